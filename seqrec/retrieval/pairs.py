"""How many pairs a method will count, estimated before it counts them, so that a job that would never end doesn't start."""

from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError

CAPS = (1000, 500, 200, 100, 50, 20, 10)  # of users per item, tried for the advice


class Workload(NamedTuple):
    """Items and interactions within the limits, the size of the largest sample, pairs to count, and pairs for smaller caps."""

    items: int
    interactions: int
    most_users: int
    pairs: int
    smaller: dict[int, int]


def estimate(items: DataFrame, *, pairs: Callable[[int | None], Column], max_users_per_item: int | None) -> Workload:
    """Act: the workload from the table of `item_users`, one row an item; `pairs` gives an item's number for a cap."""
    caps = [cap for cap in CAPS if max_users_per_item is None or cap < max_users_per_item]
    row = items.agg(
        F.count(F.lit(1)).alias("items"),
        F.coalesce(F.sum("users"), F.lit(0)).alias("interactions"),
        F.coalesce(F.max("users"), F.lit(0)).alias("most"),
        *(F.coalesce(F.sum(pairs(cap)), F.lit(0)).alias(f"pairs_{cap}") for cap in (max_users_per_item, *caps)),
    ).collect()[0]
    most = row["most"] if max_users_per_item is None else min(row["most"], max_users_per_item)
    smaller = {cap: round(row[f"pairs_{cap}"]) for cap in caps}
    return Workload(row["items"], row["interactions"], most, round(row[f"pairs_{max_users_per_item}"]), smaller)


def guard_pairs(workload: Workload, *, method: str, max_users_per_item: int | None, max_pairs: int) -> None:
    """Raise UserError if there is no pair, or if there are more than allowed: it says which cap brings them below."""
    if not workload.pairs:
        raise UserError(f"{method} has no pair to count ({workload.interactions} interactions): widen the limits of activity")
    if workload.pairs <= max_pairs:
        return
    fitting = next(
        (f"max_users_per_item={cap} ({count:,} pairs)" for cap, count in workload.smaller.items() if count <= max_pairs), None
    )
    remedy = f"lower it to {fitting}" if fitting else "lower it, and max_user_items"
    cap = "null" if max_users_per_item is None else max_users_per_item
    raise UserError(
        f"{method} would count about {workload.pairs:,} pairs with max_users_per_item={cap}, more than max_pairs={max_pairs:,}: "
        f"{remedy}, or raise max_pairs"
    )
