"""Swing (Yang et al., 2020, "Large Scale Product Graph Construction for Recommendation in E-commerce").

Two users who have both items speak for them, the more the fewer other items the two have in common.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.retrieval.activity import sampled
from seqrec.retrieval.fixed_point import from_units, to_units, units

PAIRS_PER_TASK = 250_000


def user_pairs(max_users_per_item: int | None) -> Column:
    """The number of pairs of users in the sample of an item, see `item_users`."""
    kept = sampled(max_users_per_item)
    return kept * (kept - 1) / 2


def swing(samples: DataFrame, *, alpha1: float, alpha2: float, beta: float, most_users: int) -> DataFrame:
    """item_idx, neighbour, score: the sum of w_u * w_v / (alpha2 + |I_u ∩ I_v|) over the pairs of S_i of whom both have j.

    w_u = 1 / (alpha1 + |I_u|)^beta; samples are those of `sample_users`, most_users is the size of the largest one.

    A sampled user's items go to the item, once. There the pairs of its users are joined, the items that the two have in common
    are intersected from their lists, which gives |I_u ∩ I_v| and the items j that the pair speaks for, and these are summed. So
    where the samples are partitioned by item_idx nothing but them is shuffled, at most max_user_items indices for an interaction;
    an item costs at most max_users_per_item^2 / 2 intersections of lists of at most max_user_items.
    """
    weight = F.pow(F.col("size") + F.lit(alpha1), F.lit(-beta))
    scale = units(largest=(1 + alpha1) ** (-2 * beta) / (alpha2 + 1), terms=max(1, most_users * (most_users - 1) // 2))
    users = samples.select("item_idx", "place", weight.alias("weight"), "items")
    one, two = users.alias("one"), users.alias("two")
    same_item = (F.col("one.item_idx") == F.col("two.item_idx")) & (F.col("one.place") < F.col("two.place"))
    pairs = one.join(two, same_item).select(
        "one.item_idx",
        (F.col("one.weight") * F.col("two.weight")).alias("weight"),
        F.array_intersect("one.items", "two.items").alias("common"),
    )
    term = to_units(F.col("weight") / (F.lit(alpha2) + F.size("common")), scale)
    terms = pairs.select("item_idx", term.alias("term"), "common")
    # Not explode: for it Spark adds a filter on the size of `common`, and intersects a second time to evaluate it.
    spoken = terms.select("item_idx", "term", F.explode_outer("common").alias("neighbour")).where("item_idx != neighbour")
    sums = spoken.groupBy("item_idx", "neighbour").agg(F.sum("term").alias("total"))
    return sums.select("item_idx", "neighbour", from_units(F.col("total"), scale).alias("score"))
