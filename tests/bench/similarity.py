"""item_cf and swing against self-joins in Spark and against `implicit`: seconds, and bytes that are shuffled."""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from seqrec import simulate
from seqrec.command.session import working
from seqrec.dataset.clean import partition_count
from seqrec.retrieval.activity import Limits
from seqrec.retrieval.item_similarity import methods, similar_items
from seqrec.retrieval.swing import Smoothing
from seqrec.settings.item_similarity import ItemSimilarity
from tests.bench.timing import Comparison, seconds

SIZES = {100_000: (1000, 2000), 1_000_000: (10_000, 10_000), 5_000_000: (50_000, 10_000)}  # interactions: users, items
TOP, AIM = 100, 3.0
ML_100K = Path(__file__).parents[3] / "shared" / "data" / "ml-100k" / "u.data"
INSTALL = "not measured, as implicit isn't installed: pip install --target FOLDER implicit, and PYTHONPATH=FOLDER for the bench"


class Measured(NamedTuple):
    """Seconds, and bytes that shuffles wrote."""

    seconds: float
    shuffled: int


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """ML-100K where it is, and 0.1, 1 and 5 million simulated interactions, the defaults.

    One round, whatever `rounds` is, after a first one of the smallest. Self-joins know no caps, so they count all pairs; swing's
    is run on the smallest only, where it takes minutes already.
    """
    del rounds
    results = []
    taken: dict[str, Measured] = {}
    known = {f"{size / 1e6:g} M interactions": simulated(root, size) for size in SIZES}
    smallest = next(iter(known))
    inputs = [(smallest, known[smallest]), *({"ML-100K": real(root)} if ML_100K.exists() else {}).items(), *known.items()]
    for number, (data, ratings) in enumerate(inputs):
        for method, plain in (("item_cf", join_users), ("swing", join_users_and_items)):
            name = f"{method}, {data}"
            ours = measure(spark, f"{name}, seqrec", partial(lists, spark, ratings, root / "ours", method=method))
            taken[name] = ours
            if data != smallest and method == "swing":
                continue
            theirs = measure(spark, f"{name}, self-join", partial(plain, spark, ratings, root / "plain"))
            if number == 0:
                check(spark, ratings, root, method)
            else:
                results.append(Comparison(what=name, ours=[ours.seconds], plain=[theirs.seconds], aim=AIM))
        if number:
            by_implicit(ratings, f"item_cf, {data}, implicit")
    for method in ("item_cf", "swing"):
        small, large = (taken[f"{method}, {size} M interactions"] for size in (1, 5))
        times, more = large.seconds / small.seconds, large.shuffled / small.shuffled
        sys.stderr.write(f"{method}, from 1 M to 5 M interactions: {times:.2f} times the seconds, {more:.2f} times the bytes\n")
    return results


def simulated(root: Path, size: int) -> Path:
    """Simulated ratings of a size."""
    users, items = SIZES[size]
    simulate.write_ratings(root / f"{size}.parquet", simulate.Simulation(users=users, items=items, events=size))
    return root / f"{size}.parquet"


def real(root: Path) -> Path:
    """The pairs of user and item in ML-100K's u.data."""
    parsing = pyarrow.csv.ParseOptions(delimiter="\t")
    names = pyarrow.csv.ReadOptions(column_names=["user_id", "item_id", "rating", "timestamp"])
    table = pyarrow.csv.read_csv(ML_100K, read_options=names, parse_options=parsing)
    pq.write_table(table.select(["user_id", "item_id"]), root / "ml-100k.parquet")
    return root / "ml-100k.parquet"


def lists(spark: SparkSession, ratings: Path, output: Path, *, method: str, **settings: Any) -> None:
    """What the job does, without the dataset around it."""
    cfg = ItemSimilarity.model_validate({"data": "-", "output": "-", "method": method, **settings})
    interactions = spark.read.parquet(str(ratings)).select("user_id", F.col("item_id").cast("int").alias("item_idx"))
    items = spark.range(1, 1 + max(items for _, items in SIZES.values())).select("id").withColumnRenamed("id", "item_id")
    named = items.withColumn("item_idx", F.col("item_id").cast("int"))
    limits = Limits(
        min_user_items=cfg.min_user_items,
        max_user_items=cfg.max_user_items,
        max_users_per_item=cfg.users_per_item,
        max_pairs=cfg.max_pairs,
        seed=cfg.seed,
    )
    by = methods(Smoothing(alpha1=cfg.alpha1, alpha2=cfg.alpha2, beta=cfg.beta))[method]
    with (
        working(spark, partitions=partition_count(interactions.count(), at_least=spark.sparkContext.defaultParallelism)),
        similar_items(interactions, named, method=by, limits=limits, top_n=cfg.top_n) as (table, _),
    ):
        table.write.mode("overwrite").parquet(str(output))


def join_users(spark: SparkSession, ratings: Path, output: Path) -> None:
    """ItemCF as one writes it at first: interactions joined with themselves by user, pairs grouped, a window."""
    pairs = spark.read.parquet(str(ratings)).select("user_id", "item_id").distinct()
    weights = pairs.groupBy("user_id").agg((1 / F.count("*")).alias("weight"))
    weighted = pairs.join(weights, "user_id")
    norms = weighted.groupBy("item_id").agg(F.sum("weight").alias("norm"))
    other = weighted.select("user_id", F.col("item_id").alias("other"))
    sums = weighted.join(other, "user_id").where("item_id != other").groupBy("item_id", "other").agg(F.sum("weight").alias("sum"))
    right = norms.select(F.col("item_id").alias("other"), F.col("norm").alias("other_norm"))
    score = F.col("sum") / F.sqrt(F.col("norm") * F.col("other_norm"))
    save(sums.join(norms, "item_id").join(right, "other").select("item_id", "other", score.alias("score")), output)


def join_users_and_items(spark: SparkSession, ratings: Path, output: Path) -> None:
    """Swing so: pairs of users joined by item, their common items grouped, and pairs of these exploded."""
    pairs = spark.read.parquet(str(ratings)).select("user_id", "item_id").distinct()
    weights = pairs.groupBy("user_id").agg(F.pow(15 + F.count("*"), F.lit(-0.3)).alias("weight"))
    weighted = pairs.join(weights, "user_id")
    other = weighted.select("item_id", F.col("user_id").alias("other_user"), F.col("weight").alias("other_weight"))
    users = weighted.join(other, "item_id").where("user_id < other_user")
    product = (F.first("weight") * F.first("other_weight")).alias("product")
    common = users.groupBy("user_id", "other_user").agg(product, F.collect_list("item_id").alias("items"))
    terms = common.select((F.col("product") / F.size("items")).alias("term"), "items", F.explode("items").alias("item_id"))
    both = terms.select("item_id", "term", F.explode("items").alias("other")).where("item_id != other")
    save(both.groupBy("item_id", "other").agg(F.sum("term").alias("score")), output)


def save(scores: DataFrame, output: Path) -> None:
    """The best of each item, as lists."""
    place = F.row_number().over(Window.partitionBy("item_id").orderBy(F.desc("score"), "other"))
    best = scores.withColumn("place", place).where(F.col("place") <= TOP)
    entry = F.struct("place", F.col("other").alias("item_id"), F.col("score").cast("float").alias("score"))
    ordered = best.groupBy("item_id").agg(F.sort_array(F.collect_list(entry)).alias("items"))
    ordered.write.mode("overwrite").parquet(str(output))


def check(spark: SparkSession, ratings: Path, root: Path, method: str) -> None:
    """Act: without caps, both ways give the same scores."""
    lists(spark, ratings, root / "uncapped", method=method, max_users_per_item=None, max_user_items=None)
    left, right = (spark.read.parquet(str(root / name)) for name in ("uncapped", "plain"))
    both = left.selectExpr("item_id", "items.score AS ours").join(
        right.selectExpr("item_id", "items.score AS theirs"), "item_id", "full"
    )
    far = both.where(
        "theirs IS NULL OR ours IS NULL OR exists(zip_with(ours, theirs, (a, b) -> abs(a - b)), d -> d > 1e-5 OR d IS NULL)"
    )
    assert far.isEmpty(), f"{method}: the two ways differ, e.g. in {far.first()}"


def by_implicit(ratings: Path, what: str) -> None:
    """Report the seconds of implicit's nearest neighbours on all cores, of a matrix in memory with ItemCF's weights."""
    try:
        neighbours, sparse = importlib.import_module("implicit.nearest_neighbours"), importlib.import_module("scipy.sparse")
    except ImportError:
        sys.stderr.write(f"{what}: {INSTALL}\n")
        return
    table = pq.read_table(ratings, columns=["user_id", "item_id"])
    users, items = table["user_id"].to_numpy(), table["item_id"].to_numpy()
    weights = 1 / np.sqrt(np.bincount(users)[users])
    matrix = sparse.csr_matrix((weights, (users, items)))
    model = neighbours.CosineRecommender(K=TOP + 1, num_threads=os.cpu_count() or 1)
    spent = seconds(lambda: model.fit(matrix, show_progress=False))
    sys.stderr.write(f"{what}: {spent:.1f} s\n")


def measure(spark: SparkSession, what: str, act: Callable[[], None]) -> Measured:
    """Of a call; reports it too."""
    before = shuffled(spark)
    found = Measured(seconds(act), shuffled(spark) - before)
    sys.stderr.write(f"{what}: {found.seconds:.1f} s, {found.shuffled / 2**20:.0f} MiB shuffled\n")
    return found


def shuffled(spark: SparkSession) -> int:
    """Bytes that the finished tasks of this application have written to shuffles, as Spark's status store knows."""
    context: Any = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    executors = context.statusStore().executorList(False)
    return sum(int(executors.apply(place).totalShuffleWrite()) for place in range(executors.size()))
