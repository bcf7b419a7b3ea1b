"""batch_recommend against a pandas UDF that pads everything to max_len and filters the seen items in pandas.

And the two ways into Python that compute the same: mapInArrow, as batch_recommend scores, against the column function. And lists
of ten items against the same with five next items beside them.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from jobs import batch_recommend, build_sequences
from seqrec import simulate
from seqrec.export.export_onnx import export
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import recommend_udf, recommend_users
from seqrec.serving import exports
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.train import run_training
from tests.bench import sequences
from tests.bench.timing import Comparison, compare, cpu_seconds, seconds

USERS, ITEMS, MEAN, K = 20_000, 3000, 60, 100
# the two arrays as the column items of recommendations, whose fields are never null, unlike those of arrays_zip
ZIPPED = "zip_with(lists.item_id, lists.score, (i, s) -> struct(coalesce(i, 0L) AS item_id, coalesce(s, 0f) AS score))"
SCHEMA = "user_id bigint, items array<struct<item_id: bigint, score: float>>"


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """20,000 users with 60 items on average, 3000 items, the best 100 each; the model is one step old, which costs the same."""
    data, model = prepare(root)
    output = root / "scored"
    exported = Path(exports.locate(str(model)).path)
    nowhere = {"mongodb_uri": "none", "milvus_uri": "none"}
    keys = {"data": str(data), "model": str(model), "output": str(output), "publish": False, "top_k": K, "stores": nowhere}

    def naive(number: int) -> float:
        spent = seconds(lambda: pad_and_filter(spark, Path(versions.resolve(str(data))), exported, root / "naive"))
        if number == 0:
            check(spark, Path(versions.resolve(str(output))), root / "naive")
        return spent

    job_and_naive = compare(
        f"batch_recommend, {USERS:,} users",
        ours=lambda _: seconds(lambda: batch_recommend.run(BatchRecommend.model_validate(keys))),
        plain=naive,
        rounds=rounds,
        aim=3.0,
    )
    users = spark.read.parquet(f"{versions.resolve(str(data))}/sequences")
    return [job_and_naive, *both_ways(users, str(model), root, rounds=rounds), next_items(users, str(model), root, rounds=rounds)]


def prepare(root: Path) -> tuple[str, str]:
    """The folders of the dataset and of an exported model."""
    ratings, data, model = root / "score.parquet", root / "score", root / "scored-model"
    simulate.write_ratings(ratings, simulate.Simulation(users=USERS, items=ITEMS, events=USERS * MEAN))
    build_sequences.run(sequences.settings(ratings, data))
    given = {"data": str(data), "model": str(model), "max_steps": 1, "valid_users": 16, "tensorboard": False, "plots": False}
    run_training(sequence_setup(Train.model_validate(given)))
    export(str(model), data=str(data), checkpoint="last")
    return str(data), str(model)


def next_items(users: DataFrame, model: str, root: Path, *, rounds: int) -> Comparison:
    """Lists of ten items alone, and with five next items: four further runs of the encoder."""
    shipped = ship(users.sparkSession, exports.locate(model))

    def write(lists: ListSettings) -> float:
        scored = recommend_users(users, model=shipped, lists=lists)
        return seconds(lambda: scored.write.mode("overwrite").parquet(str(root / "next")))

    return compare(
        "lists of 10, and with horizon=5",
        ours=lambda _: write(ListSettings(top_k=10)),
        plain=lambda _: write(ListSettings(top_k=10, horizon=5)),
        rounds=rounds,
        aim=1.0,
    )


def both_ways(users: DataFrame, model: str, root: Path, *, rounds: int) -> list[Comparison]:
    """The same lists by mapInArrow, and by the column function with its arrays zipped, both written: wall and CPU time."""
    recommend, shipped = recommend_udf(model, top_k=K), ship(users.sparkSession, exports.locate(model))
    paths = {name: str(root / name) for name in ("arrow", "column")}
    cpu: dict[str, list[float]] = {name: [] for name in paths}

    def write(lists: DataFrame, name: str, number: int) -> float:
        before = cpu_seconds()
        spent = seconds(lambda: lists.write.mode("overwrite").parquet(paths[name]))
        if number:
            cpu[name].append(cpu_seconds() - before)
        return spent

    def by_arrow(number: int) -> float:
        return write(recommend_users(users, model=shipped, lists=ListSettings(top_k=K)), "arrow", number)

    def by_column(number: int) -> float:
        lists = users.select("user_id", recommend("items", "seen").alias("lists"))
        spent = write(lists.selectExpr("user_id", f"{ZIPPED} AS items", "lists.source"), "column", number)
        if number == 0:
            left, right = (users.sparkSession.read.parquet(path) for path in paths.values())
            assert left.count() == right.count() == USERS
            assert left.exceptAll(right).isEmpty(), "the two ways differ"
        return spent

    what = "mapInArrow, and the column function"
    wall = compare(what, ours=by_arrow, plain=by_column, rounds=rounds, aim=1.0)
    return [wall, Comparison(what=f"{what}: CPU time", ours=cpu["arrow"], plain=cpu["column"], aim=1.0)]


def pad_and_filter(spark: SparkSession, dataset: Path, model: Path, output: Path) -> None:
    """Score every user of sequences, and write the lists."""
    ids = pq.read_table(model / "vocabulary.parquet")["item_id"].to_numpy()
    encoder, matrix = str(model / "encoder.onnx"), str(model / "item_matrix.npy")

    def recommend(frames: Iterable[pd.DataFrame]) -> Iterable[pd.DataFrame]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a process a core already
        session = onnxruntime.InferenceSession(encoder, options)
        rows = np.load(matrix)
        for frame in frames:
            lists = []
            for first in range(0, len(frame), 256):
                part = frame.iloc[first : first + 256]
                padded = np.zeros((len(part), sequences.MAX_LEN), dtype=np.int64)
                for place, items in enumerate(part["items"]):
                    newest = items[-sequences.MAX_LEN :]
                    padded[place, sequences.MAX_LEN - len(newest) :] = newest
                scores = session.run(None, {"items": padded})[0] @ rows.T  # (B, D) @ (D, V + 2) -> (B, V + 2)
                for row, seen in zip(scores, part["seen"], strict=True):
                    best = pd.Series(row).drop([0, 1, *seen]).nlargest(K)
                    chosen = ids[best.index.to_numpy() - 2]
                    lists.append([{"item_id": item, "score": score} for item, score in zip(chosen, best, strict=True)])
            yield pd.DataFrame({"user_id": frame["user_id"], "items": lists})

    users = spark.read.parquet(str(dataset / "sequences")).select("user_id", "items", "seen")
    spread = users.repartition(spark.sparkContext.defaultParallelism)
    spread.mapInPandas(recommend, SCHEMA).write.mode("overwrite").parquet(str(output))


def check(spark: SparkSession, ours: Path, plain: Path) -> None:
    """Act: the two ways agree on the first ten, but for items whose scores are equal up to rounding."""
    left, right = (_first_ten(spark, path) for path in (ours / "recommendations", plain))
    both = left.join(right.withColumnRenamed("items", "others"), "user_id")
    common = both.selectExpr("avg(size(array_intersect(items, others))) AS common", "count(*) AS users").first()
    assert common is not None
    assert common["users"] == USERS
    assert common["common"] > 9.9, f"the two ways have {common['common']:.2f} of 10 items in common"


def _first_ten(spark: SparkSession, path: Path) -> DataFrame:
    return spark.read.parquet(str(path)).selectExpr("user_id", "slice(items.item_id, 1, 10) AS items")
