"""Which users have which items, within limits of activity, and a seeded sample of each item's users.

I_u are a user's distinct items, U_i an item's users. The limits come first: I_u, U_i and all sums over them have only the users
within the limits. The sample S_i of U_i only bounds the work: a sum over S_i is scaled to estimate the sum over U_i.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from seqrec.tables.exact_sums import sum_fractions


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Whose items count, how many users of an item are sampled, and how many pairs are counted at most; None is no limit."""

    min_user_items: int
    max_user_items: int | None
    max_users_per_item: int | None
    max_pairs: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The input of a method that scores pairs of items, and how many neighbours of each item are wanted."""

    users: DataFrame  # see `sample_users`; partitioned by item_idx
    items: DataFrame  # see `item_users`
    max_users_per_item: int | None
    most_users: int  # of an item's sample
    top_n: int


def user_items(events: DataFrame, *, min_user_items: int, max_user_items: int | None) -> DataFrame:
    """user_id, items (I_u, sorted) and size (|I_u|) of the users with so many items; None is no limit.

    The others are left out whole: a shortened list would be another user's.
    """
    lists = events.groupBy("user_id").agg(F.sort_array(F.collect_set("item_idx")).alias("items"))
    sized = lists.withColumn("size", F.size("items"))
    within = sized.where(F.col("size") >= min_user_items)
    if max_user_items is not None:
        within = within.where(F.col("size") <= max_user_items)
    return within.select("user_id", "items", "size")


def item_users(users: DataFrame) -> DataFrame:
    """A row for each item: item_idx, users (|U_i|), listed and weight (sums over U_i of |I_u| and of 1 / |I_u|)."""
    pairs = users.select("size", F.explode("items").alias("item_idx"))
    return pairs.groupBy("item_idx").agg(
        F.count(F.lit(1)).alias("users"),
        F.sum("size").alias("listed"),
        sum_fractions(1 / F.col("size")).alias("weight"),
    )


def sample_users(users: DataFrame, *, max_users_per_item: int | None, seed: int) -> DataFrame:
    """item_idx, number (from 1, unique in the item), items and size of each user in the item's sample S_i.

    The sample are the users whose ids hash lowest with the item's; None takes all of them. A user's list of items is never cut.
    Spark applies the limit before the shuffle too: a task gets at most max_users_per_item rows of an item from each earlier task.
    """
    pairs = users.select("user_id", F.explode("items").alias("item_idx"))
    order = F.xxhash64(F.lit(seed), "item_idx", "user_id")
    number = F.row_number().over(Window.partitionBy("item_idx").orderBy(order, "user_id"))
    numbered = pairs.withColumn("number", number)
    if max_users_per_item is not None:
        numbered = numbered.where(F.col("number") <= max_users_per_item)
    return numbered.join(users, "user_id").select("item_idx", "number", "items", "size")


def sample_size(max_users_per_item: int | None) -> Column:
    """|S_i| of an item, see `item_users`."""
    return F.col("users") if max_users_per_item is None else F.least("users", F.lit(max_users_per_item))
