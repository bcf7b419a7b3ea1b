"""Candidates: users' lists of several sources, merged by reciprocal rank fusion.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, SIGIR 2009: an item's score is the sum of 1 / (k + rank) over the lists
that have it, here times the weight of the list's source. Ranks count from 1, so scores of different scales need no calibration.
"""

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def neighbours(similar: DataFrame, items: DataFrame) -> DataFrame:
    """The table similar_items by item indices: seed, neighbours array<struct<item_idx, score>> in no order."""
    seeds = items.select(F.col("item_id").alias("seed_id"), F.col("item_idx").alias("seed"))
    rows = similar.select(F.col("item_id").alias("seed_id"), F.inline("items")).join(seeds, "seed_id")
    named = rows.join(items.select("item_id", "item_idx"), "item_id")
    entry = F.struct("item_idx", F.col("score").cast("float").alias("score"))
    return named.groupBy("seed").agg(F.collect_list(entry).alias("neighbours"))


def expand(histories: DataFrame, neighbours: DataFrame, *, max_seeds: int) -> DataFrame:
    """The neighbours of each user's newest distinct items: user_id, item_idx, score, a row for each seed that has the item.

    At most max_seeds times as many rows a user as a seed has neighbours.
    """
    newest = F.slice(F.array_distinct(F.reverse("items")), 1, max_seeds)
    seeds = histories.select("user_id", F.explode(newest).alias("seed"))
    return seeds.join(neighbours, "seed").select("user_id", F.inline("neighbours"))


def entries(recommendations: DataFrame, items: DataFrame) -> DataFrame:
    """The entries of finished lists: user_id, item_idx, score; items that aren't known are left out."""
    rows = recommendations.select("user_id", F.inline("items"))
    return rows.join(items.select("item_id", "item_idx"), "item_id").select("user_id", "item_idx", "score")


def rank(scored: DataFrame, histories: DataFrame, items: DataFrame, *, top_n: int) -> DataFrame:
    """Each user's top_n items by the sum of their scores, without those in seen: user_id, items (see schemas.candidate_lists).

    Scored has user_id, item_idx and score. Scores are summed as doubles of floats, and compared as floats, so that the order of
    rows doesn't matter. One shuffle, by user, of the scored and seen rows.
    """
    seen = histories.select("user_id", F.explode("seen").alias("item_idx"), F.lit(None).cast("double").alias("score"))
    rows = scored.select("user_id", "item_idx", F.col("score").cast("float").cast("double").alias("score")).unionByName(seen)
    summed = rows.repartition("user_id").groupBy("user_id", "item_idx")
    sums = summed.agg(F.sum("score").cast("float").alias("score"), F.count_if(F.col("score").isNull()).alias("seen"))
    best = F.row_number().over(Window.partitionBy("user_id").orderBy(F.desc("score"), "item_idx"))
    first = sums.where("seen = 0").select("user_id", "item_idx", "score", best.alias("rank")).where(F.col("rank") <= top_n)
    named = first.join(items.select("item_id", "item_idx"), "item_idx")
    entry = F.struct("rank", F.struct("item_id", "item_idx", "score").alias("entry"))
    listed = named.groupBy("user_id").agg(F.sort_array(F.collect_list(entry)).alias("ranked"))
    return listed.select("user_id", F.col("ranked.entry").alias("items"))


def fuse(lists: DataFrame, users: DataFrame, *, weights: Mapping[str, float], k: float, top_n: int) -> DataFrame:
    """The table candidates: each of the users with the top_n items of the lists (see schemas.candidate_lists), or none.

    Weights are of the sources, by name; an item's sources stand in their order. One shuffle, by user.
    """
    place = F.array_position(F.array(*map(F.lit, weights)), F.col("source"))
    weight = F.element_at(F.create_map(*(F.lit(value) for pair in weights.items() for value in pair)), F.col("source"))
    rows = lists.repartition("user_id").select("user_id", "source", F.posexplode("items").alias("before", "entry"))
    source = F.struct(
        place.alias("place"),
        F.col("source").alias("name"),
        (F.col("before") + 1).alias("rank"),
        F.col("entry.score").alias("score"),
        (weight / (F.col("before") + 1 + k)).alias("part"),
    )
    found = rows.groupBy("user_id", "entry.item_id", "entry.item_idx").agg(F.sort_array(F.collect_list(source)).alias("found"))
    fused = F.aggregate("found", F.lit(0.0), lambda total, one: total + one["part"]).cast("float")
    sources = F.transform("found", lambda one: F.struct(*(one[name].alias(name) for name in ("name", "rank", "score"))))
    scored = found.select("user_id", "item_id", "item_idx", (-fused).alias("less"), sources.alias("sources"))
    entry = F.struct("less", "item_idx", "item_id", "sources")
    best = scored.groupBy("user_id").agg(F.slice(F.sort_array(F.collect_list(entry)), 1, top_n).alias("best"))
    item = ("item_id", "item_idx", "score", "sources")
    signed = F.transform(
        "best", lambda one: F.struct(*((-one["less"] if name == "score" else one[name]).alias(name) for name in item))
    )
    return users.select("user_id").join(best, "user_id", "left").select("user_id", F.coalesce(signed, F.array()).alias("items"))
