"""Marked ratings into tables: an event a row, or a user a row with arrays in order.

Marked ratings (see `events.mark`) that are cached, partitioned and sorted by user, are grouped where they are.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def events(marked: DataFrame) -> DataFrame:
    """Table events: what is learned from or held out."""
    return marked.where("event").select("user_id", "item_idx", "rating", "timestamp", "position", "split")


def sequences(marked: DataFrame, *, max_history: int) -> DataFrame:
    """Table sequences: every user of the cleaned ratings; items are the newest `max_history` of the history, oldest first.

    Seen are the vocabulary's items among all the user's ratings, also those below the minimum. Both may be empty.
    """
    recent = F.col("history") & (F.col("age") < max_history)
    entry = F.when(recent, F.struct((-F.col("age")).alias("order"), "item_idx", "timestamp"))
    entries = F.sort_array(F.collect_list(entry)).alias("entries")
    users = marked.groupBy("user_id").agg(entries, _distinct(F.col("item_idx")).alias("seen"))
    return users.select(
        "user_id", F.col("entries.item_idx").alias("items"), F.col("entries.timestamp").alias("timestamps"), "seen"
    )


def held_out(marked: DataFrame, *, split: str, max_history: int) -> DataFrame:
    """Tables valid and test: users with an event of the split and one before it, which others lack who are left out.

    The target is the user's first event of the split; items are the newest `max_history` events before it, oldest first;
    seen are the vocabulary's items among all ratings before it, also those below the minimum.
    """
    target, position, event = F.col(f"{split}_position"), F.col("position"), F.col("event")
    earlier = F.when(event, position < target).otherwise(position <= target)
    recent = event & (position < target) & (position >= target - max_history)
    entry = F.when(recent, F.struct("position", "item_idx"))
    users = (
        marked.where((target > 0) & (position <= target))
        .groupBy("user_id")
        .agg(
            F.sort_array(F.collect_list(entry)).alias("entries"),
            _distinct(F.when(earlier, F.col("item_idx"))).alias("seen"),
            F.max(F.when(event & (position == target), F.col("item_idx"))).alias("target"),
        )
    )
    return users.select("user_id", F.col("entries.item_idx").alias("items"), "seen", "target")


def _distinct(item: Column) -> Column:
    return F.sort_array(F.collect_set(item))
