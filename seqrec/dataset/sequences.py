"""Arranged users (see `events.arrange`) into the tables events, sequences, valid and test. Nothing is shuffled."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def events(arranged: DataFrame) -> DataFrame:
    """Table events: the training events and the held-out ones."""
    carried = ("user_id", "event_ratings", "event_timestamps", "train_length", "tested")
    exploded = arranged.select(*carried, F.posexplode("event_items").alias("position", "item_idx"))
    position = F.col("position")
    return exploded.select(
        "user_id",
        "item_idx",
        F.get("event_ratings", position).alias("rating"),
        F.get("event_timestamps", position).alias("timestamp"),
        "position",
        F.when(position < F.col("train_length"), "train")
        .when(position < F.col("tested"), "valid")
        .otherwise("test")
        .alias("split"),
    )


def sequences(arranged: DataFrame, *, max_history: int) -> DataFrame:
    """Table sequences: every user of the cleaned ratings; items are the newest `max_history` of the history, oldest first.

    Seen are the vocabulary's items among all the user's ratings, also among those below the minimum. Both may be empty.
    """
    newest = (newest_before(F.col(name), F.size(name), max_history).alias(name) for name in ("items", "timestamps"))
    return arranged.select("user_id", *newest, _distinct(F.col("all")).alias("seen"))


def held_out(arranged: DataFrame, *, split: str, max_history: int) -> DataFrame:
    """Tables valid and test: the users with an event of the split and an event before it.

    Targets are the items of the user's events of the split, in order, each once; items are the newest `max_history` events
    before the first of them, oldest first; seen are the vocabulary's items among all ratings before it, also those below the
    minimum.
    """
    first, end = split_bounds(split)
    users = arranged.where((first > 0) & (first < end))
    before = F.slice("all", F.lit(1), F.get("event_ordinals", first))
    items = newest_before(F.col("event_items"), first, max_history).alias("items")
    return users.select("user_id", items, _distinct(before).alias("seen"), targets(split).alias("targets"))


def split_bounds(split: str) -> tuple[Column, Column]:
    """Of arranged users: the positions of the first event of a split, valid or test, and of the first after it."""
    trained, tested = F.col("train_length"), F.col("tested")
    return {"valid": (trained, tested), "test": (tested, F.size("event_items"))}[split]


def targets(split: str) -> Column:
    """Of arranged users: the distinct items of the events of a split, in the order of their first events."""
    first, end = split_bounds(split)
    return F.array_distinct(F.slice("event_items", first + 1, end - first))


def newest_before(array: Column, end: Column, count: int) -> Column:
    """The last `count` elements of the first `end`."""
    start = F.greatest(end - count, F.lit(0))
    return F.slice(array, start + 1, end - start)


def _distinct(items: Column) -> Column:
    """The distinct items of an array, sorted, without nulls."""
    return F.sort_array(F.array_except(items, F.array(F.lit(None).cast("int"))))
