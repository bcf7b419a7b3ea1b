"""method=lightgbm on a Spark cluster: LightGBM's own distributed training, started by Spark's barrier execution.

    the training rows ─► W tasks that run at once ─► each encodes its rows and keeps them: 8 · F bytes a row at most
                         the tasks tell each other their addresses (allGather), then LightGBM's workers talk among themselves

Each worker has a part of the training rows, and all have the same valid rows, so that all stop at the same round. The trees are
those of the histograms summed over the workers (`tree_learner=data`; Ke et al. 2017, Meng et al. 2016), and the result is an
ordinary booster, converted and measured as one that was trained on one machine. SynapseML's LightGBM would do the same through
its own jars, which have to fit Spark and Scala; this needs the package lightgbm on the executors, and nothing else.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.session import require_slots
from seqrec.rankers.boosting import Boosting, Trees, train_trees
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.rankers.samples import SPLIT, LabelColumn, Samples
from seqrec.serving.feature_encoding import Encoding
from seqrec.tables import io
from seqrec.tables.python_tasks import map_batches

RESULT = "model string, rounds int, reached double"
WAIT_MINUTES = 10  # that a worker waits for the others


@dataclass(frozen=True, kw_only=True)
class WorkerTask:
    """What each worker gets beside its rows: the encoding, the label, a broadcast of the valid rows, and the parameters."""

    encoding: Encoding
    label: LabelColumn
    place: str
    valid: Any  # Broadcast[SampleMatrix]
    boosting: Boosting


def train_trees_on_spark(
    spark: SparkSession, samples: Samples, encoding: Encoding, valid: SampleMatrix, boosting: Boosting, *, workers: int
) -> Trees:
    """Train in `workers` tasks of the session's cluster; UserError if it has fewer slots, as they start together."""
    require_slots(spark, workers)
    shared = spark.sparkContext.broadcast(valid)
    task = WorkerTask(encoding=encoding, label=samples.label, place=samples.place, valid=shared, boosting=boosting)
    rows = training_rows(spark, samples, encoding.names).repartition(workers)
    [result] = map_batches(rows, partial(train_in_task, task=task), RESULT, barrier=True).collect()
    shared.unpersist()
    booster = lightgbm.Booster(model_str=result["model"])
    return Trees(booster=booster, rounds=result["rounds"], reached=result["reached"])


def training_rows(spark: SparkSession, samples: Samples, columns: list[str]) -> DataFrame:
    """The columns and the label of the training rows that have one."""
    table = io.open_table(spark, samples.place)
    trained = table.where((F.col(SPLIT) == "train") & F.col(f"`{samples.label.name}`").isNotNull())
    return trained.select(*(F.col(f"`{name}`") for name in dict.fromkeys([*columns, samples.label.name])))


def train_in_task(batches: Iterator[pa.RecordBatch], *, task: WorkerTask) -> Iterator[pa.RecordBatch]:
    """A worker: its rows, then the training with the others; the first of them gives the trees."""
    train = _matrix(batches, task)
    context = BarrierTaskContext.get()
    network = _network(context)
    names = [feature.name for feature in task.encoding.features]
    trees = train_trees(train, task.valid.value, task.boosting, names=names, network=network)
    trees.booster.free_network()
    if context.partitionId() == 0:
        columns = {"model": [trees.booster.model_to_string()], "rounds": [trees.rounds], "reached": [trees.reached]}
        schema = pa.schema([("model", pa.string()), ("rounds", pa.int32()), ("reached", pa.float64())])
        yield pa.RecordBatch.from_pydict(columns, schema=schema)


def _matrix(batches: Iterator[pa.RecordBatch], task: WorkerTask) -> SampleMatrix:
    """The rows of this worker that have a label; whose they are plays no part in the training."""
    features, labels = [np.zeros((0, len(task.encoding.features)), np.float32)], [np.zeros(0, np.float32)]
    for batch in batches:
        values = task.label.values(batch.column(task.label.name), path=task.place)
        there = ~np.isnan(values)
        features.append(task.encoding.encode(batch)[there])
        labels.append(values[there].astype(np.float32))
    joined = np.concatenate(labels)
    return SampleMatrix(features=np.concatenate(features), labels=joined, users=np.zeros(len(joined), np.int64))


def _network(context: BarrierTaskContext) -> dict[str, Any]:
    """LightGBM's parameters of this worker: it listens at a free port, and all tasks tell each other where."""
    host = context.getTaskInfos()[context.partitionId()].address.rsplit(":", 1)[0]
    address = socket.gethostbyname(host)
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    machines = context.allGather(f"{address}:{port}")
    return {
        "machines": ",".join(machines),
        "num_machines": len(machines),
        "local_listen_port": port,
        "tree_learner": "data",
        "pre_partition": True,
        "num_threads": max(1, context.cpus()),
        "time_out": WAIT_MINUTES,
    }
