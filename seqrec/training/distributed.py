"""Training processes that Spark's TorchDistributor starts; those of torchrun need no launcher."""

import os
import traceback
from collections.abc import Callable
from functools import partial

import torch
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from seqrec.command.entry import logs_on_screen
from seqrec.command.session import require_slots
from seqrec.errors import UserError
from seqrec.training.processes import require_gpus
from seqrec.training.setup import TrainingSetup
from seqrec.training.tracked_records import tracked_elsewhere
from seqrec.training.train import Trained, run_training


def train_on_spark(spark: SparkSession, setup: TrainingSetup, *, processes: int) -> Trained:
    """`run_training` in processes that Spark starts, see `run_on_spark`."""
    return run_on_spark(spark, partial(run_training, setup), processes=processes, folder=setup.folder)


def run_on_spark(spark: SparkSession, training: Callable[[], Trained], *, processes: int, folder: str) -> Trained:
    """Train in `processes` processes: on the driver for a local master, else one in each task slot of the cluster.

    With a local master, the driver's GPUs are used; else those that Spark assigns (spark.task.resource.gpu.amount). What is
    called is pickled to a file for the processes; it holds no secret. Where the job is tracked, its run gets the records of the
    training's folder at the end. Raises UserError with the message of the process that
    failed, and if the cluster has fewer slots than processes, because they have to start together.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started > 1:
        raise UserError(
            f"distributor=spark in each of {started} processes of torchrun: leave torchrun out, or set distributor=none"
        )
    context = spark.sparkContext
    master = str(context.master)
    local = master == "local" or master.startswith("local[")
    if local and torch.cuda.is_available():
        require_gpus(processes, torch.cuda.device_count())
    if not local:
        require_slots(spark, processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes) if local else 1))
    # On a local master each process takes the GPU of its rank by itself; Spark would ask for spark.driver.resource.gpu.amount.
    gpus = not local and context.getConf().contains("spark.task.resource.gpu.amount")
    try:
        distributor = TorchDistributor(num_processes=processes, local_mode=local, use_gpu=gpus)
        with tracked_elsewhere(folder):
            outcome = distributor.run(_train_or_message, training)
    except (RuntimeError, ValueError, PySparkException, Py4JJavaError) as error:
        cause = str(error).partition(" The task output is ")[0].partition(" The last ")[0].strip().splitlines()[0]
        raise UserError(
            f"a process of the training on {master} ended without saying why to the others ({cause}): what it said stands above; "
            f"checkpoints stay, so the same command goes on from the last one"
        ) from error
    if isinstance(outcome, str):
        raise UserError(outcome)
    return outcome or Trained(metrics={}, finished=False)


def _train_or_message(training: Callable[[], Trained]) -> Trained | str:
    """What was reached, or the message of the error that ended the training; raised, it would fill a hundred lines."""
    try:
        with logs_on_screen():
            return training()
    except UserError as error:
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return f"the training ended with {type(error).__name__}: {error}"
