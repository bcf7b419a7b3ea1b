"""Ranked tables: the result of each method of an evaluation for the held-out users.

A ranked table has a row for each user: user_id, target (item_idx), rank (bigint, from 1; 0 is a miss) and items, the best first
(item indices, or structs of item_id and score).
"""

from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.metrics import MISS
from seqrec.storage.metadata import CandidatesMeta, ListsMeta


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The ranked table of a method, and what the method was made from.

    `listed` is the length of the lists if the ranks come from lists: beyond it no rank is known.
    """

    name: str
    table: DataFrame
    source: dict[str, Any] = field(default_factory=dict)
    listed: int | None = None


def require_fitting(meta: ListsMeta | CandidatesMeta, *, path: str, split: str, dataset: str) -> None:
    """Raise UserError if the lists in a version weren't made for this split of this dataset, with the seen items left out."""
    if meta.history != split:
        job = "batch_recommend" if isinstance(meta, ListsMeta) else "build_candidates"
        raise UserError(f"{path} was made with history={meta.history}, not {split}: run {job} history={split}")
    if meta.dataset != dataset:
        raise UserError(f"{path} was made from dataset {meta.dataset}, not {dataset}: pass data=FOLDER/{meta.dataset}")
    if not meta.filter_seen:
        raise UserError(f"{path} was made with filter_seen=false: metrics are of lists without seen items")


def require_finite(lists: DataFrame, path: str) -> None:
    """Act: raise UserError, with a count, if scores of the lists (user_id, items) aren't finite."""
    broken = F.exists("items", lambda entry: F.isnan(entry["score"]) | (F.abs(entry["score"]) == float("inf")))
    users = lists.where(broken).count()
    if users:
        raise UserError(f"{path}: the lists of {users} users have scores that aren't finite: run batch_recommend again")


def count_misses(ranked: DataFrame, items: DataFrame) -> DataFrame:
    """Set rank 0 for targets without a training event: their `count` in items (item_idx, count) is 0, or they aren't in it."""
    trained = items.where("count > 0").select(F.col("item_idx").alias("target"), F.lit(True).alias("trained"))
    rank = F.when(F.col("trained"), F.col("rank")).otherwise(F.lit(MISS).cast("bigint"))
    return ranked.join(trained, "target", "left").select("user_id", "target", rank.alias("rank"), "items")


def rank_lists(held_out: DataFrame, lists: DataFrame, items: DataFrame, *, top_k: int, subset: bool) -> DataFrame:
    """Ranks in finished lists (user_id, items of item_id and score): the number of entries that score at least the target's.

    A target outside its list has rank top_k + 1, so metrics hold up to top_k. So has the target of a user without a list, unless
    the lists are of a `subset` of the users: then the others aren't evaluated.
    """
    targets = items.select(F.col("item_idx").alias("target"), F.col("item_id").alias("target_id"))
    listed = lists.select("user_id", F.col("items").alias("listed"))
    users = held_out.select("user_id", "target").join(targets, "target").join(listed, "user_id", "inner" if subset else "left")
    entries = F.coalesce("listed", F.array().cast(lists.schema["items"].dataType))
    of_target = F.filter("listed", lambda entry: entry["item_id"] == F.col("target_id"))
    ahead = F.size(F.filter("listed", lambda entry: entry["score"] >= F.col("target_score")))
    return (
        users.select("user_id", "target", "target_id", entries.alias("listed"))
        .withColumn("target_score", F.get(of_target, F.lit(0))["score"])
        .withColumn("rank", F.when(F.col("target_score").isNull(), top_k + 1).otherwise(ahead).cast("bigint"))
        .select("user_id", "target", "rank", F.col("listed").alias("items"))
    )
