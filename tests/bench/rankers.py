"""Rows that a ranker scores in Spark's Python workers: ranker.onnx in ONNX Runtime, against LightGBM's own predict.

Both encode the columns in the same way, and each task has one thread.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession

from jobs import train_ranker
from seqrec.rankers.lightgbm_ranker import BOOSTER
from seqrec.scoring.shipping import ShippedRanker, ship_ranker
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from seqrec.storage.ranker_metadata import RankerMeta
from tests.bench.timing import Comparison, compare, seconds
from tests.rankers.toy import sample_table, write_samples

ROWS, COPIES, TREES = 100_000, 2, 300

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """200,000 rows of 7 features, 300 trees of 31 leaves: every row read, encoded and scored, and the scores summed."""
    path = write_samples(root / "samples", sample_table(rows=ROWS))
    fields = {"samples": str(root / "samples"), "output": str(root / "ranker"), "patience": None}
    train_ranker.run(TrainRanker.model_validate({**fields, "lightgbm": {"num_rounds": TREES}}))
    version = locate_ranker(str(root / "ranker"))
    shipped, booster = ship_ranker(spark, version), Path(version.path, BOOSTER).read_text("utf-8")
    rows = copied_rows(spark, path, version.meta)
    return compare_scores(
        f"ranker, {ROWS * COPIES:,} rows, ONNX and LightGBM", rows, shipped, lambda: own_predict(booster), rounds=rounds
    )


def copied_rows(spark: SparkSession, path: Path, meta: RankerMeta) -> DataFrame:
    """The columns that a ranker reads of its samples in a folder, COPIES times, cached."""
    once = spark.read.parquet(f"{path}/{meta.samples.table}").select(*meta.columns)
    rows = once.crossJoin(spark.range(COPIES).drop("id")).repartition(spark.sparkContext.defaultParallelism).cache()
    rows.count()
    return rows


def compare_scores(label: str, rows: DataFrame, shipped: ShippedRanker, own: Callable[[], Predict], *, rounds: int) -> Comparison:
    """Seconds of all rows scored in Spark's workers, by ONNX Runtime and by the library that trained; both sum to the same."""
    sums: list[float] = []

    def timed(predict: Callable[[], Predict]) -> float:
        return seconds(lambda: sums.append(sum_scores(rows, shipped, predict)))

    compared = compare(
        label,
        ours=lambda _: timed(lambda: shipped.open().score_features),
        plain=lambda _: timed(own),
        rounds=rounds,
        aim=1.0,
    )
    assert np.allclose(sums, sums[0], rtol=1e-4), "both give the same scores"
    return compared


def own_predict(booster: str) -> Predict:
    """LightGBM's predict, of a booster in its own format."""
    opened = lightgbm.Booster(model_str=booster)
    return lambda features: np.asarray(opened.predict(features, num_threads=1))


def sum_scores(rows: DataFrame, shipped: ShippedRanker, predict: Callable[[], Predict]) -> float:
    """The sum of all rows' scores."""

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ranker, opened = shipped.open(), predict()
        for batch in batches:
            scores = opened(ranker.encoding.encode(batch))
            yield pa.RecordBatch.from_pydict({"total": [float(np.sum(scores, dtype=np.float64))]})

    return float(sum(row["total"] for row in rows.mapInArrow(score, "total double").collect()))
