"""The k-core: the users and items that are left when those with few events are dropped until all have enough."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError

MAX_ROUNDS = 200
MANY = 10  # users and items: of so many, some are expected to have something in common


@dataclass(frozen=True, kw_only=True)
class CoreMinimum:
    """The least number of events of a user and of an item; 0 or 1 is off."""

    users: int
    items: int


def k_core(histories: DataFrame, *, users: int, items: int) -> DataFrame:
    """Act, one job a round and MAX_ROUNDS at most: the items of the k-core, one column item_id.

    The k-core is the largest set of events in which every user has at least `users` of them and every item at least `items`:
    what is left when both filters are repeated until neither drops anything; 0 or 1 is off. Its items tell which events are in
    it: those with such an item, of users who have at least `users` of them.

    Histories have a row a user: user_id, and items, an array. A round shuffles counts of items and caches one table of them.
    Raises UserError if nothing is left, or if the last round still dropped something.
    """
    counts = _count_items(histories, users=users).persist()
    for _ in range(MAX_ROUNDS):
        enough = F.col("count") >= items
        sums = counts.agg(F.count_if(enough).alias("kept"), F.count(F.lit(1)).alias("all")).collect()[0]
        if not sums["kept"]:
            raise _nothing_left(histories, users=users, items=items)
        kept = counts.where(enough).select("item_id")
        if sums["kept"] == sums["all"]:
            return kept
        left = histories.select("user_id", F.explode("items").alias("item_id")).join(kept, "item_id", "left_semi")
        counts = _count_items(left.groupBy("user_id").agg(F.collect_list("item_id").alias("items")), users=users).persist()
    raise UserError(f"k_core.users={users} and k_core.items={items} aren't stable after {MAX_ROUNDS} rounds: lower them")


def _count_items(histories: DataFrame, *, users: int) -> DataFrame:
    """item_id and count, of the events of users who have at least `users` of them."""
    return histories.where(F.size("items") >= users).select(F.explode("items").alias("item_id")).groupBy("item_id").count()


def _nothing_left(histories: DataFrame, *, users: int, items: int) -> UserError:
    """Act: the error of a k-core without events, which says whether the columns or the limits are to blame.

    Where no item has two users, or no user two items, a column holds something else, such as a number of the row.
    """
    events = histories.select("user_id", F.explode("items").alias("item_id"))
    sides = {"user": ("user_id", "item_id", users), "item": ("item_id", "user_id", items)}
    numbers, shown = {}, []
    for name, (side, other, least) in sides.items():
        counts = events.groupBy(side).agg(F.count(F.lit(1)).alias("events"), F.count_distinct(other).alias("others"))
        most = F.coalesce(F.max("others"), F.lit(0))
        all_, enough, largest = counts.agg(F.count(F.lit(1)), F.count_if(F.col("events") >= least), most).collect()[0]
        numbers[name] = (all_, largest)
        shown.append(f"{enough:,} of {all_:,} {name}s have {least} events")
    said = f"k_core.users={users} and k_core.items={items} leave no events"
    if min(number for number, _ in numbers.values()) >= MANY:
        for name, other in (("item", "user"), ("user", "item")):
            number, largest = numbers[name]
            if largest < 2:
                return UserError(
                    f"{said}, because none of {number:,} {name}s has two {other}s: the columns are probably others than "
                    "input.columns.user_id and input.columns.item_id say (a column with the number of the row?): set them"
                )
    return UserError(f"{said} ({'; '.join(shown)}): lower them, lower min_rating if it is set, or give more ratings")
