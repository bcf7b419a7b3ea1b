"""Ranks of held-out targets by popularity and by a first-order Markov chain, in native Spark.

Both rank the whole catalogue without what the user has had (`seen`; no target is ever left out), with ties against a target,
and both learn from the training events alone. Their tables are ranked tables (see `ranked`), with the LISTED best item indices of
each user; where scores tie, the lower index comes first.
"""

from collections.abc import Callable, Collection

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.ranked import Ranked, final_ranks, with_target_facts

LISTED = 10


def popularity(held_out: DataFrame, *, items: DataFrame) -> DataFrame:
    """Rank by the number of training events (`items.count`). Acts: one number, the most items that a user has had."""
    return _by_popularity(held_out, items).select("user_id", "targets", "ranks", F.slice("popular", 1, LISTED).alias("items"))


def markov(held_out: DataFrame, *, items: DataFrame, events: DataFrame) -> DataFrame:
    """Rank by the number of training events that follow the user's last item; popularity decides where that is equal.

    Items that never followed it come after those that did, by popularity; for a user without items all come by popularity.
    A target's cost is the number of items that followed the last one, and of those seen. Acts as `popularity` does.
    """
    users = _by_popularity(held_out, items).withColumn("last", F.try_element_at("input", F.lit(-1)))
    after = F.coalesce("after", F.array())
    joined = users.join(_successors(items, events), "last", "left").withColumn("after", after)
    joined = joined.withColumn("following", F.transform("after", lambda row: row["item"]))  # best first

    def rank(fact: Column, i: Column) -> Column:
        position = F.array_position("following", fact["target"]).cast("int")  # from 1; 0 if it never followed
        end = F.get("after", position - 1)["end"]
        less_popular = F.filter("after", lambda row: row["popularity"] < fact["popularity"])
        passed = _size_without(F.transform(less_popular, lambda row: row["item"]), "had")
        followed = _size_without(F.slice("following", 1, end), "had").cast("bigint")
        return F.when(position > 0, followed).otherwise(F.get("ranks", i) + passed)

    first = F.slice(F.array_except("following", F.col("had")), 1, LISTED)
    best = F.slice(F.concat(first, F.array_except("popular", first)), 1, LISTED)
    return joined.select("user_id", "targets", F.transform("facts", rank).alias("ranks"), best.alias("items"))


def _by_popularity(held_out: DataFrame, items: DataFrame) -> DataFrame:
    """Of each user: input, had (seen without the targets), the targets' popularity and ranks, the 2 * LISTED most popular.

    The popularity is in `facts`, see `with_target_facts`.
    """
    users = held_out.select(
        "user_id", "targets", F.col("items").alias("input"), F.array_except("seen", F.col("targets")).alias("had")
    )
    longest = users.agg(F.max(F.size("had"))).first()
    assert longest is not None
    most_popular = items.orderBy(F.desc("count"), "item_idx").limit(2 * LISTED + (longest[0] or 0))
    order = F.sort_array(F.collect_list(F.struct((-F.col("count")).alias("less"), "item_idx")))
    popular = most_popular.agg(F.transform(order, lambda row: row["item_idx"]).alias("popular"))

    levels = items.groupBy("count").agg(F.count("*").alias("n"))
    at_least = F.sum("n").over(Window.orderBy(F.desc("count")))  # one task, over the distinct counts alone
    levels = levels.select("count", at_least.alias("at_least"))
    facts = items.join(levels, "count").select(F.col("item_idx").alias("target"), F.col("count").alias("popularity"), "at_least")

    seen = users.select("user_id", F.explode("had").alias("item_idx")).join(items, "item_idx")
    counts = seen.groupBy("user_id").agg(F.collect_list("count").alias("had_counts"))

    def rank(fact: Column) -> Column:
        ahead = F.size(F.filter(F.coalesce("had_counts", F.array()), lambda count: count >= fact["popularity"]))
        return fact["at_least"] - ahead

    left = F.array_except(F.slice("popular", F.lit(1), F.size("had") + 2 * LISTED), F.col("had"))
    return (
        with_target_facts(users, facts)
        .join(counts, "user_id", "left")
        .crossJoin(F.broadcast(popular))
        .withColumn("ranks", F.transform("facts", rank))
        .withColumn("popular", left)
        .select("user_id", "targets", "input", "had", "facts", "ranks", "popular")
    )


def _successors(items: DataFrame, events: DataFrame) -> DataFrame:
    """Of each item (`last`): what followed it in training, as after array<struct<…, item, popularity, end>>, best first.

    `end` is the last position in `after` of the items that an item ties with, itself included.
    """
    by_time = Window.partitionBy("user_id").orderBy("position")
    pairs = events.where("split = 'train'").select(F.lag("item_idx").over(by_time).alias("last"), "item_idx")
    counted = pairs.where("last IS NOT NULL").groupBy("last", "item_idx").agg(F.count("*").alias("times"))
    weighted = counted.join(items.select("item_idx", F.col("count").alias("popularity")), "item_idx")
    better = Window.partitionBy("last").orderBy(F.desc("times"), F.desc("popularity"))
    ended = weighted.withColumn("end", F.count("*").over(better).cast("int"))
    row = F.struct("end", F.col("item_idx").alias("item"), "popularity")
    return ended.groupBy("last").agg(F.sort_array(F.collect_list(row)).alias("after"))


def _size_without(array: Column, excluded: str) -> Column:
    """How many distinct items of an array are not in the column `excluded`."""
    return F.size(F.array_except(array, F.col(excluded)))


def rank_by_popularity(held_out: HeldOut) -> Ranked:
    """Ranks by `popularity`."""
    items = held_out.dataset.items
    return Ranked(name="popularity", table=final_ranks(popularity(held_out.users, items=items), held_out.users, items))


def rank_by_markov(held_out: HeldOut) -> Ranked:
    """Ranks by `markov`."""
    items, events = held_out.dataset.items, held_out.dataset.events
    ranked = markov(held_out.users, items=items, events=events)
    return Ranked(name="markov", table=final_ranks(ranked, held_out.users, items))


BASELINES: dict[str, Callable[[HeldOut], Ranked]] = {"popularity": rank_by_popularity, "markov": rank_by_markov}


def result_name(name: str, *, kind: str, taken: Collection[str] = BASELINES) -> str:
    """The name of a result, followed by its kind if a baseline, or another name in `taken`, is the same.

    >>> result_name("sasrec", kind="model"), result_name("popularity", kind="model")
    ('sasrec', 'popularity (model)')
    """
    while name in taken:
        name = f"{name} ({kind})"
    return name
