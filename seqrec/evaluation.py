"""What an evaluation counts: held-out users, ranks of their targets, and metrics of the ranks.

A ranked table has one row a user: user_id, target (item_idx), rank (bigint, from 1; 0 is a miss) and items, the best first
(item indices, or structs of item_id and score). Everything is summed in Spark; the driver sees a histogram of at most 102 ranks.
"""

from collections.abc import Mapping

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.errors import UserError
from seqrec.metrics import CUTOFFS, MISS, summarise

COVERED = 10  # places of a list that count for the coverage
COVERAGE = f"coverage@{COVERED}"
LABELS = {
    "users": "users",
    "misses": "targets without a training event (misses)",
    "ndcg": "NDCG@",
    "hit_rate": "hit rate@",
    "mrr": "MRR@",
    "rank100": "rank100 (targets in the first 100)",
    "rank100_share": "rank100, share of users",
    COVERAGE: f"coverage (catalogue in the first {COVERED})",
}


def sample(held_out: DataFrame, *, users: int | None, seed: int) -> DataFrame:
    """As many users, all if None: those whose ids hash lowest with the seed, whatever the partitioning."""
    if users is None:
        return held_out
    return held_out.orderBy(F.xxhash64(F.lit(seed), "user_id"), "user_id").limit(users)


def count_misses(ranked: DataFrame, items: DataFrame) -> DataFrame:
    """Rank 0 for targets without a training event: those whose `count` in items (item_idx, count) is 0, or that it lacks."""
    trained = items.where("count > 0").select(F.col("item_idx").alias("target"), F.lit(True).alias("trained"))
    rank = F.when(F.col("trained"), F.col("rank")).otherwise(F.lit(MISS).cast("bigint"))
    return ranked.join(trained, "target", "left").select("user_id", "target", rank.alias("rank"), "items")


def rank_lists(held_out: DataFrame, recommendations: DataFrame, items: DataFrame, *, top_k: int, subset: bool) -> DataFrame:
    """Ranks in finished lists (user_id, items of item_id and score): the number of entries that score at least the target's.

    A target outside its list has rank top_k + 1, so metrics hold up to top_k; so has one of a user without a list, unless the
    lists are of a `subset`: then the others aren't evaluated.
    """
    targets = items.select(F.col("item_idx").alias("target"), F.col("item_id").alias("target_id"))
    lists = recommendations.select("user_id", F.col("items").alias("listed"))
    users = held_out.select("user_id", "target").join(targets, "target").join(lists, "user_id", "inner" if subset else "left")
    listed = F.coalesce("listed", F.array().cast(recommendations.schema["items"].dataType))
    own = F.filter("listed", lambda entry: entry["item_id"] == F.col("target_id"))
    ahead = F.size(F.filter("listed", lambda entry: entry["score"] >= F.col("own")))
    return (
        users.select("user_id", "target", "target_id", listed.alias("listed"))
        .withColumn("own", F.get(own, F.lit(0))["score"])
        .withColumn("rank", F.when(F.col("own").isNull(), top_k + 1).otherwise(ahead).cast("bigint"))
        .select("user_id", "target", "rank", F.col("listed").alias("items"))
    )


def require_finite(recommendations: DataFrame, path: str) -> None:
    """Act: raise UserError, with a count, if scores of the lists aren't finite."""
    broken = F.exists("items", lambda entry: F.isnan(entry["score"]) | (F.abs(entry["score"]) == float("inf")))
    users = recommendations.where(broken).count()
    if users:
        raise UserError(f"{path}: the lists of {users} users have scores that aren't finite: run batch_recommend again")


def measure(ranked: DataFrame, *, catalogue: int, listed: int | None = None) -> dict[str, float]:
    """Act: users, misses and the metrics of a ranked table, means over all its users, misses included.

    Coverage is the share of the catalogue's items that are among the first 10 of anybody's list. Where ranks come from lists of
    `listed` items, what looks further down isn't known and is left out.
    """
    deepest = max(CUTOFFS)
    depth = deepest if listed is None else listed
    shown = F.least("rank", F.lit(deepest + 1)).alias("rank")
    histogram = ranked.groupBy(shown).agg(F.count("*").alias("users")).collect()
    ranks, counts = (np.array([row[column] for row in histogram], dtype=np.int64) for column in ("rank", "users"))
    known = summarise(ranks, counts=counts, cutoffs=tuple(cutoff for cutoff in CUTOFFS if cutoff <= depth))
    if depth < deepest:
        del known["rank100"], known["rank100_share"]
    if depth >= COVERED:
        entries = ranked.select(F.explode(F.slice("items", 1, COVERED)).alias("item"))
        item = "item.item_id" if isinstance(entries.schema["item"].dataType, StructType) else "item"
        known[COVERAGE] = entries.select(item).distinct().count() / catalogue
    return known


def predictions(ranked: DataFrame, items: DataFrame) -> DataFrame:
    """The ranked table of a model with its targets' original ids, as schemas.predictions; the first 10 of a list."""
    ids = items.select(F.col("item_idx").alias("target"), "item_id")
    best = F.slice("items", 1, COVERED).cast(ranked.schema["items"].dataType)
    named = ranked.join(ids, "target")
    return named.select("user_id", F.col("item_id").alias("target"), "rank", best.alias("items"))


def check_table(meta: dict[str, object], *, path: str, split: str, dataset: str) -> None:
    """Raise UserError if lists weren't made for this split of this dataset, with the seen items left out."""
    if meta["history"] != split:
        raise UserError(f"{path} was made with history={meta['history']}, not {split}: run batch_recommend history={split}")
    if meta["dataset"] != dataset:
        raise UserError(f"{path} was made from dataset {meta['dataset']}, not {dataset}: pass data=FOLDER/{meta['dataset']}")
    settings = meta.get("settings")
    if isinstance(settings, dict) and settings.get("filter_seen") is False:
        raise UserError(f"{path} was made with filter_seen=false: metrics are of lists without seen items")


def show(results: Mapping[str, Mapping[str, float]]) -> str:
    """Metrics as lines, one column a method; a dash where a method doesn't have one.

    >>> print(show({"popularity": {"users": 3.0, "ndcg@10": 0.5}, "markov": {"users": 3.0}}))
             popularity  markov
    users             3       3
    NDCG@10      0.5000       -
    """
    kinds = list(LABELS)
    found = {name for metrics in results.values() for name in metrics}
    names = sorted(found, key=lambda name: (kinds.index(_kind(name)), int(name.partition("@")[2] or 0)))
    labels = ["", *(LABELS[_kind(name)] + ("" if name in LABELS else name.partition("@")[2]) for name in names)]
    columns = [[method, *(_number(name, metrics.get(name)) for name in names)] for method, metrics in results.items()]
    aligned = [[cell.rjust(max(map(len, column))) for cell in column] for column in columns]
    aligned.insert(0, [label.ljust(max(map(len, labels))) for label in labels])
    return "\n".join("  ".join(cells) for cells in zip(*aligned, strict=True))


def _kind(name: str) -> str:
    return name if name in LABELS else name.partition("@")[0]


def _number(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if name in ("users", "misses", "rank100") else f"{value:.4f}"
