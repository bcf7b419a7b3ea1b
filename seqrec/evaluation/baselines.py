"""Ranks of held-out targets by popularity and by a first-order Markov chain, in native Spark.

Both rank the whole catalogue without what the user has had (`seen`; the target itself is never left out), with ties against the
target, and both learn from the training events alone. They return one row a user: user_id, target, rank (bigint, from 1) and
items (array<int>, the LISTED best; where scores tie, the lower index first).
"""

from collections.abc import Collection

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

LISTED = 10
BASELINES = ("popularity", "markov")  # names that only they have among the results of an evaluation


def result_name(name: str, *, kind: str, taken: Collection[str] = BASELINES) -> str:
    """The name of a result: with its kind where the plain name is another's.

    >>> result_name("sasrec", kind="model"), result_name("popularity", kind="model")
    ('sasrec', 'popularity (model)')
    """
    while name in taken:
        name = f"{name} ({kind})"
    return name


def popularity(held_out: DataFrame, *, items: DataFrame) -> DataFrame:
    """Rank by the number of training events (`items.count`). Acts: one number, the most items that a user has had."""
    return _by_popularity(held_out, items).select("user_id", "target", "rank", F.slice("popular", 1, LISTED).alias("items"))


def markov(held_out: DataFrame, *, items: DataFrame, events: DataFrame) -> DataFrame:
    """Rank by the number of training events that follow the user's last item; popularity decides where that is equal.

    So the items that never followed it come behind those that did, by popularity, and all of them for a user without items.
    A user's cost is the number of items that followed the last one, and of those seen. Acts as `popularity` does.
    """
    users = _by_popularity(held_out, items).withColumn("last", F.try_element_at("input", F.lit(-1)))
    joined = users.join(_successors(items, events), "last", "left")
    after = F.coalesce("after", F.array())
    following = F.transform(after, lambda row: row["item"])  # best first
    place = F.array_position(following, F.col("target")).cast("int")  # from 1; 0 if it never followed
    end = F.get(after, place - 1)["end"]
    less_popular = F.filter(after, lambda row: row["popularity"] < F.col("popularity"))
    passed = _size_without(F.transform(less_popular, lambda row: row["item"]), "had")
    rank = F.when(place > 0, _size_without(F.slice(following, 1, end), "had")).otherwise(F.col("rank") + passed)
    first = F.slice(F.array_except(following, F.col("had")), 1, LISTED)
    best = F.slice(F.concat(first, F.array_except("popular", first)), 1, LISTED)
    return joined.select("user_id", "target", rank.cast("bigint").alias("rank"), best.alias("items"))


def _by_popularity(held_out: DataFrame, items: DataFrame) -> DataFrame:
    """Of each user: input, had (seen without the target), the target's popularity and rank, the 2 * LISTED most popular."""
    users = held_out.select(
        "user_id", "target", F.col("items").alias("input"), F.array_remove("seen", F.col("target")).alias("had")
    )
    longest = users.agg(F.max(F.size("had"))).first()
    assert longest is not None
    most_popular = items.orderBy(F.desc("count"), "item_idx").limit(2 * LISTED + (longest[0] or 0))
    order = F.sort_array(F.collect_list(F.struct((-F.col("count")).alias("less"), "item_idx")))
    popular = most_popular.agg(F.transform(order, lambda row: row["item_idx"]).alias("popular"))

    levels = items.groupBy("count").agg(F.count("*").alias("n"))
    at_least = F.sum("n").over(Window.orderBy(F.desc("count")))  # one task, over the distinct counts alone
    levels = levels.select("count", at_least.alias("at_least"))
    targets = items.join(levels, "count").select(
        F.col("item_idx").alias("target"), F.col("count").alias("popularity"), "at_least"
    )
    users = users.join(targets, "target")

    seen = users.select("user_id", "popularity", F.explode("had").alias("item_idx")).join(items, "item_idx")
    ahead = seen.where(F.col("count") >= F.col("popularity")).groupBy("user_id").agg(F.count("*").alias("ahead"))
    left = F.array_except(F.slice("popular", F.lit(1), F.size("had") + 2 * LISTED), F.col("had"))
    return (
        users.join(ahead, "user_id", "left")
        .crossJoin(F.broadcast(popular))
        .withColumn("rank", F.col("at_least") - F.coalesce("ahead", F.lit(0)))
        .withColumn("popular", left)
        .select("user_id", "target", "input", "had", "popularity", "rank", "popular")
    )


def _successors(items: DataFrame, events: DataFrame) -> DataFrame:
    """Of each item (`last`): what followed it in training, as after array<struct<…, item, popularity, end>>, best first.

    `end` is the last place that an item may have among those it ties with, itself included.
    """
    by_time = Window.partitionBy("user_id").orderBy("position")
    pairs = events.where("split = 'train'").select(F.lag("item_idx").over(by_time).alias("last"), "item_idx")
    counted = pairs.where("last IS NOT NULL").groupBy("last", "item_idx").agg(F.count("*").alias("times"))
    known = counted.join(items.select("item_idx", F.col("count").alias("popularity")), "item_idx")
    better = Window.partitionBy("last").orderBy(F.desc("times"), F.desc("popularity"))
    ended = known.withColumn("end", F.count("*").over(better).cast("int"))
    row = F.struct("end", F.col("item_idx").alias("item"), "popularity")
    return ended.groupBy("last").agg(F.sort_array(F.collect_list(row)).alias("after"))


def _size_without(array: Column, excluded: str) -> Column:
    return F.size(F.array_except(array, F.col(excluded)))
