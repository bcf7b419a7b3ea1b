"""Ranked tables: the result of each method of an evaluation for the held-out users.

A ranked table has a row for each user: user_id, targets (array<int>), ranks (array<bigint>, of each target, from 1; 0 is a miss),
cold (array<boolean>, whether a target has no training event) and items, the best first (item indices, or structs of item_id and
score).
"""

from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.metrics import MISS
from seqrec.scoring.available import is_recommendable
from seqrec.storage.candidate_metadata import CandidatesMeta
from seqrec.storage.metadata import ListsMeta


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The ranked table of a method, and what the method was made from.

    `listed` is the length of the lists if the ranks come from lists: beyond it no rank is known. A method that is `compared` is
    set beside the first method of the evaluation. `subset` says in words which users have lists, if not all do. `vectors` is the
    path of a table of the model's item embeddings. `catalogue` has the dataset's items, where the lists may have others.
    """

    name: str
    table: DataFrame
    source: dict[str, Any] = field(default_factory=dict)
    listed: int | None = None
    compared: bool = False
    subset: str | None = None
    vectors: str | None = None
    catalogue: DataFrame | None = None


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


def with_target_facts(held_out: DataFrame, facts: DataFrame) -> DataFrame:
    """The held-out users with `facts`: an array of structs, one for each target in their order, of a table with the key target.

    A struct has the target and the table's other columns; these are null for a target that it lacks.
    """
    exploded = held_out.select("user_id", F.posexplode("targets").alias("position", "target"))
    joined = exploded.join(facts, "target", "left")
    columns = [name for name in facts.columns if name != "target"]
    ordered = F.sort_array(F.collect_list(F.struct("position", "target", *columns)))
    return held_out.join(joined.groupBy("user_id").agg(ordered.alias("facts")), "user_id")


def final_ranks(ranked: DataFrame, held_out: DataFrame, items: DataFrame, *, listed: int = 0) -> DataFrame:
    """A ranked table with rank 0 for targets that are never recommended, and other ranks once a user (see `metrics.part_ties`).

    Recommended are items with a training event or a vector (see `available.is_recommendable`), in items: item_idx, count, maybe
    vector; and what stands in lists of `listed` items. The column `cold` says whether each target has no training event.
    """
    trained = (F.col("count") > 0).alias("trained")
    marks = items.select(F.col("item_idx").alias("target"), trained, is_recommendable(items).alias("recommended"))
    facts = with_target_facts(held_out.select("user_id", "targets"), marks).select("user_id", "facts")

    def known(rank: Column, i: Column) -> Column:
        return F.when(F.get("facts", i)["recommended"] | (rank <= listed), rank).otherwise(F.lit(MISS).cast("bigint"))

    cold = F.transform("facts", lambda fact: ~F.coalesce(fact["trained"], F.lit(False)))
    settled = ranked.join(facts, "user_id").withColumns({"ranks": F.transform("ranks", known), "cold": cold})
    return settled.select("user_id", "targets", _part_ties(F.col("ranks")).alias("ranks"), "cold", "items")


def _part_ties(ranks: Column) -> Column:
    """Ranks of targets that tie, one after another, whatever the order of the targets; misses stay as they are."""

    def parted(rank: Column, i: Column) -> Column:
        later = F.filter(F.slice(ranks, i + 2, F.size(ranks)), lambda other: other == rank)
        return F.when(rank > MISS, rank - F.size(later)).otherwise(rank)

    all_differ = F.size(F.array_distinct(ranks)) == F.size(ranks)
    return F.when(all_differ, ranks).otherwise(F.transform(ranks, parted))


def rank_lists(held_out: DataFrame, lists: DataFrame, items: DataFrame, *, top_k: int, subset: bool) -> DataFrame:
    """Ranks in finished lists (user_id, items of item_id and score): places in the order of the list, after entries that tie.

    Entries tie if they follow one another with the same score: lists needn't be in the order of their scores, as those aren't
    that were re-ranked or filled up. A target outside its list has a rank of at least top_k + 1, so metrics hold up to top_k:
    top_k and the number of the user's targets. So has a target of a user without a list, unless the lists are of a `subset` of
    the users: then the others aren't evaluated.
    """
    ids = items.select(F.col("item_idx").alias("target"), F.col("item_id").alias("target_id"))
    listed = lists.select("user_id", F.col("items").alias("listed"))
    users = with_target_facts(held_out.select("user_id", "targets"), ids).join(listed, "user_id", "inner" if subset else "left")
    entries = F.coalesce("listed", F.array().cast(lists.schema["items"].dataType))

    def rank(fact: Column) -> Column:
        place = F.array_position("ids", fact["target_id"]).cast("int")  # from 1; 0 if it isn't listed
        score = F.get("scores", place - 1)
        after = F.slice("scores", place + 1, F.size("scores"))
        others = F.array_position(F.transform(after, lambda other: other != score), F.lit(True)).cast("int")
        ties = F.when(others > 0, others - 1).otherwise(F.size(after))
        return F.when(place > 0, place + ties).otherwise(top_k + F.size("targets")).cast("bigint")

    return (
        users.select("user_id", "targets", "facts", entries.alias("listed"))
        .withColumns({"ids": F.col("listed.item_id"), "scores": F.col("listed.score")})
        .select("user_id", "targets", F.transform("facts", rank).alias("ranks"), F.col("listed").alias("items"))
    )
