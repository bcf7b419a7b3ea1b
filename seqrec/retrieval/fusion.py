"""Candidates: users' lists of several sources, merged by reciprocal rank fusion.

    similar_items   -> similar_by_index -> expand_seeds ─┐
                                                         ├─> rank_scored -> candidate_lists -> fuse -> candidates
    recommendations -> list_entries ─────────────────────┘

Reciprocal rank fusion is Cormack, Clarke and Büttcher, SIGIR 2009: an item's score is the sum of 1 / (k + rank) over the lists
that have it, here times the weight of the list's source. Ranks count from 1, so scores of different scales need no calibration.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from seqrec.tables.exact_sums import sum_floats


def similar_by_index(similar: DataFrame, items: DataFrame) -> DataFrame:
    """The table similar_items by item indices: seed, similar array<struct<item_idx, score>> in no order."""
    seeds = items.select(F.col("item_id").alias("seed_id"), F.col("item_idx").alias("seed"))
    rows = similar.select(F.col("item_id").alias("seed_id"), F.inline("items")).join(seeds, "seed_id")
    named = rows.join(items.select("item_id", "item_idx"), "item_id")
    entry = F.struct("item_idx", F.col("score").cast("float").alias("score"))
    return named.groupBy("seed").agg(F.collect_list(entry).alias("similar"))


def expand_seeds(histories: DataFrame, similar: DataFrame, *, max_seeds: int) -> DataFrame:
    """The items similar to each user's newest distinct items: user_id, item_idx, score, a row for each seed that has the item.

    A user has at most max_seeds times as many rows as a seed has similar items.
    """
    newest = F.slice(F.array_distinct(F.reverse("items")), 1, max_seeds)
    seeds = histories.select("user_id", F.explode(newest).alias("seed"))
    return seeds.join(similar, "seed").select("user_id", F.inline("similar"))


def list_entries(recommendations: DataFrame, items: DataFrame) -> DataFrame:
    """The entries of finished lists: user_id, item_idx, score; items that the dataset lacks are left out."""
    rows = recommendations.select("user_id", F.inline("items"))
    return rows.join(items.select("item_id", "item_idx"), "item_id").select("user_id", "item_idx", "score")


def rank_scored(scored: DataFrame, histories: DataFrame, items: DataFrame, *, top_n: int) -> DataFrame:
    """Each user's top_n items by the sum of their scores, without those in seen: user_id, items (see schemas.candidate_lists).

    Scored has user_id, item_idx and score. One shuffle, by user, of the scored and seen rows.
    """
    seen = histories.select("user_id", F.explode("seen").alias("item_idx"), F.lit(None).cast("float").alias("score"))
    rows = scored.select("user_id", "item_idx", F.col("score").cast("float").alias("score")).unionByName(seen)
    summed = rows.repartition("user_id").groupBy("user_id", "item_idx")
    sums = summed.agg(sum_floats(F.col("score")).alias("score"), F.count_if(F.col("score").isNull()).alias("seen"))
    best = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("score"), "item_idx"))
    first = sums.where("seen = 0").select("user_id", "item_idx", "score", best.alias("rank")).where(F.col("rank") <= top_n)
    named = first.join(items.select("item_id", "item_idx"), "item_idx")
    entry = F.struct("rank", F.struct("item_id", "item_idx", "score").alias("entry"))
    listed = named.groupBy("user_id").agg(F.sort_array(F.collect_list(entry)).alias("ranked"))
    return listed.select("user_id", F.col("ranked.entry").alias("items"))


def fuse(lists: DataFrame, users: DataFrame, *, weights: Mapping[str, float], k: float, top_n: int) -> DataFrame:
    """The table candidates: each of the users with the top_n items of the lists (see schemas.candidate_lists), or none.

    Weights are by the name of the source; an item's sources are listed and summed in their order. One shuffle, by user.
    """
    number = F.array_position(F.array(*map(F.lit, weights)), F.col("source"))
    weight = F.element_at(F.create_map(*(F.lit(value) for pair in weights.items() for value in pair)), F.col("source"))
    rows = lists.repartition("user_id").select("user_id", "source", F.posexplode("items").alias("before", "entry"))
    source = F.struct(
        number.alias("number"),
        F.col("source").alias("name"),
        (F.col("before") + 1).alias("rank"),
        F.col("entry.score").alias("score"),
        (weight / (F.col("before") + 1 + k)).alias("part"),
    )
    listed = F.sort_array(F.collect_list(source)).alias("listed")
    merged = rows.groupBy("user_id", "entry.item_id", "entry.item_idx").agg(listed)
    fused = F.aggregate("listed", F.lit(0.0), lambda total, source: total + source["part"]).cast("float")
    named = ("name", "rank", "score")
    sources = F.transform("listed", lambda source: F.struct(*(source[name].alias(name) for name in named)))
    scored = merged.select("user_id", "item_id", "item_idx", (-fused).alias("less"), sources.alias("sources"))
    entry = F.struct("less", "item_idx", "item_id", "sources")
    best = scored.groupBy("user_id").agg(F.slice(F.sort_array(F.collect_list(entry)), 1, top_n).alias("best"))
    items = F.transform(
        "best",
        lambda entry: F.struct(
            entry["item_id"].alias("item_id"),
            entry["item_idx"].alias("item_idx"),
            (-entry["less"]).alias("score"),
            entry["sources"].alias("sources"),
        ),
    )
    return users.select("user_id").join(best, "user_id", "left").select("user_id", F.coalesce(items, F.array()).alias("items"))
