"""Groups of the held-out users, whose metrics are shown apart: by history, by popularity of what they took, by any column.

    segments=[history, popularity, gender]

history       quarters of the users by how many items the input has
popularity    by the targets: head, the most popular items that have HEAD_SHARE of the training events; tail, the others; cold,
              without a training event. A user counts in a group with the targets of that group alone
COLUMN        of the table of users: its values, or quarters of the users if it has more than MOST_GROUPS and all are numbers

Of other columns with more values, the MOST_GROUPS with most users are groups of their own, and the rest are one. Users without
a value are a group, too.
"""

from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.command.screen import counted, grouped
from seqrec.evaluation.held_out import HeldOut
from seqrec.evaluation.list_measures import ItemFacts
from seqrec.evaluation.ranked import with_target_facts
from seqrec.evaluation.user_columns import UserColumns, read_user_columns
from seqrec.indices import FIRST_ITEM

HISTORY, POPULARITY = "history", "popularity"
MOST_GROUPS = 12
KINDS = ("head", "tail", "cold")  # of targets, by the popularity of the item
QUARTERS = (0.25, 0.5, 0.75)
NO_VALUE = "no value"
COLUMNS = ("user_id", "segment", "place", "group", "kept")


def divide_users(held_out: HeldOut, names: Sequence[str], facts: ItemFacts, users: UserColumns | None) -> DataFrame:
    """Act: user_id, segment, place (the order of groups), group and kept, for each segment and the group of each user in it.

    `kept` says which targets count; null: all of them. Of the segment `popularity` a user may be in several groups.
    """
    columns = [name for name in names if name not in BUILT_IN]
    described = None
    if columns and users is not None:
        rows = read_user_columns(held_out, users, columns)
        described = held_out.users.select("user_id").join(rows, "user_id", "left").persist()
    parts = []
    for name in names:
        if name in BUILT_IN:
            groups = BUILT_IN[name](held_out, facts)
        else:
            assert described is not None
            groups = _by_value(described.select("user_id", F.col(f"`{name}`").alias("value")))
        parts.append(groups.withColumn("segment", F.lit(name)).select(*COLUMNS))
    table = parts[0]
    for part in parts[1:]:
        table = table.unionAll(part)
    return table.persist()


def _by_history(held_out: HeldOut, _: ItemFacts) -> DataFrame:
    """Quarters of the users by the length of the input."""
    return _quarters(held_out.users.select("user_id", F.size("items").cast("double").alias("value")))


def _by_popularity(held_out: HeldOut, facts: ItemFacts) -> DataFrame:
    """The groups of the users' targets, each with the targets that count in it."""
    count, index = F.col("count"), F.col("item_idx")
    least, last = facts.end_of_head
    is_head = (count > least) | ((count == least) & (index <= last + FIRST_ITEM))
    kinds = F.when(count == 0, "cold").when(is_head, "head").otherwise("tail")
    items = held_out.dataset.items.select(index.alias("target"), kinds.alias("kind"))
    users = with_target_facts(held_out.users.select("user_id", "targets"), items)

    def group(place: int, name: str) -> Column:
        kept = F.transform("facts", lambda fact: F.coalesce(fact["kind"], F.lit("cold")) == name)
        return F.struct(F.lit(place).alias("place"), F.lit(name).alias("group"), kept.alias("kept"))

    groups = F.array(*(group(place, name) for place, name in enumerate(KINDS)))
    spread = users.select("user_id", F.explode(groups).alias("entry")).select("user_id", "entry.*")
    return spread.where(F.exists("kept", lambda kept: kept))


def _by_value(users: DataFrame) -> DataFrame:
    """Groups of users (user_id, value: text) by their values, or quarters of them if these are many numbers."""
    number = F.col("value").try_cast("double")
    distinct, there, numbers = users.agg(F.count_distinct("value"), F.count("value"), F.count(number)).collect()[0]
    if distinct > MOST_GROUPS and numbers == there:
        return _quarters(users.select("user_id", number.alias("value")))
    by_size = users.where(F.col("value").isNotNull()).groupBy("value").count().orderBy(F.desc("count"), "value")
    values = sorted(row["value"] for row in by_size.limit(MOST_GROUPS).collect())
    rest = counted(distinct - len(values), "other value")
    place = F.array_position(F.array(*map(F.lit, values)), F.col("value")).cast("int") if values else F.lit(0)
    group = F.when(F.col("value").isNull(), NO_VALUE).when(place > 0, F.col("value")).otherwise(rest)
    order = F.when(F.col("value").isNull(), MOST_GROUPS + 2).when(place > 0, place).otherwise(MOST_GROUPS + 1)
    return users.select("user_id", order.alias("place"), group.alias("group"), _all_targets())


def _quarters(users: DataFrame) -> DataFrame:
    """Groups of users (user_id, value: double) between the quartiles, called by their least and greatest value."""
    edges = users.agg(F.percentile("value", list(QUARTERS)).alias("edges")).collect()[0]["edges"] or []
    place = sum(((F.col("value") > edge).cast("int") for edge in sorted(set(edges))), F.lit(0))
    placed = users.withColumn("place", F.coalesce(place, F.lit(len(QUARTERS) + 1)))
    spans = placed.groupBy("place").agg(F.min("value").alias("low"), F.max("value").alias("high")).orderBy("place").collect()
    names = {row["place"]: _span(row["low"], row["high"]) for row in spans}
    group = F.element_at(F.create_map(*(F.lit(part) for pair in names.items() for part in pair)), F.col("place"))
    return placed.select("user_id", "place", group.alias("group"), _all_targets())


def _span(low: float | None, high: float | None) -> str:
    """A group of numbers in words.

    >>> _span(3.0, 12.0), _span(5.0, 5.0), _span(None, None)
    ('3–12', '5', 'no value')
    """
    if low is None or high is None:
        return NO_VALUE
    return "–".join(grouped(value) for value in dict.fromkeys((low, high)))


def _all_targets() -> Column:
    """The column `kept` where all targets count."""
    return F.lit(None).cast("array<boolean>").alias("kept")


BUILT_IN: dict[str, Callable[[HeldOut, ItemFacts], DataFrame]] = {HISTORY: _by_history, POPULARITY: _by_popularity}
