"""Which of the cleaned ratings are events of the dataset, and which split each rating is in."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from seqrec.dataset.clean import unpack

SAME = ("user_id", "item_id", "rating", "timestamp")  # what an event and its rating have in common


class StrayCounts(NamedTuple):
    """The number of events, and of those without a matching rating."""

    events: int
    strays: int


def mark_ratings(
    histories: DataFrame, events: DataFrame, *, partitions: int, ordered: bool = False, collapse: bool = False
) -> DataFrame:
    """user_id, ordinal, item_id, rating, timestamp of the ratings in histories (see `dataset.clean`), and which are events.

    The ordinal counts from 0 within the user. Position and held (train, valid or test) are those of the event, null for a rating
    that is no event. An event (user_id, item_id, rating, timestamp, position, split) without a matching rating has no ordinal:
    see `count_strays`. With `ordered` (an order column), ratings may differ in their ordinal alone, and are matched to events by
    their order. With `collapse`, of neighbouring ratings with the same item only the first is an event.
    """
    ratings = unpack(histories).drop("good")
    marked_events = events.select(*SAME, "position", F.col("split").alias("held"))
    both = ratings.unionByName(marked_events, allowMissingColumns=True).repartition(partitions, "user_id")
    if ordered:
        both = _number_equals(both, collapse=collapse)
    marks = ("ordinal", "position", "held")
    grouped = both.groupBy(*SAME, *(["number"] if ordered else []))
    return grouped.agg(*(F.min(mark).alias(mark) for mark in marks)).select(*SAME, *marks)


def _number_equals(both: DataFrame, *, collapse: bool) -> DataFrame:
    """Number ratings and events that are equal in SAME: the k-th event and the k-th rating that is an event share a number.

    Of equal ratings either all are events or none is, because all of them, or none, are good and in the k-core. Only a collapse
    makes a difference: among the ratings that equal an event, the first of neighbours with the same item is an event. (A
    collapsed rating that equals no event has the item of the rating before it, so it separates no neighbours.) A rating that is
    no event gets a unique number below 0.
    """
    is_rating, ordinal = F.col("ordinal").isNotNull(), F.col("ordinal")
    equals_event = is_rating & (F.count("position").over(Window.partitionBy(*SAME)) > 0)
    rows = both.withColumn("equals_event", equals_event).withColumn("is_rating", is_rating)
    is_event = F.col("equals_event")
    if collapse:
        item_before = F.lag("item_id").over(Window.partitionBy("user_id", "equals_event").orderBy("ordinal"))
        is_event &= ~F.coalesce(item_before == F.col("item_id"), F.lit(False))
    rows = rows.withColumn("is_event", ~F.col("is_rating") | is_event)
    rank = F.row_number().over(Window.partitionBy(*SAME, "is_rating", "is_event").orderBy("ordinal", "position"))
    return rows.withColumn("number", F.when(F.col("is_event"), rank).otherwise(-1 - ordinal))


def count_strays(marked: DataFrame) -> StrayCounts:
    """Act: the number of events among marked ratings, and of those without a matching rating."""
    events, strays = F.count_if(F.col("position").isNotNull()), F.count_if(F.col("ordinal").isNull())
    return StrayCounts(*marked.agg(events, strays).collect()[0])


def split_ratings(marked: DataFrame, *, first_cut: int | None) -> DataFrame:
    """The ratings with their split; null for those that are left out.

    Ratings before a user's first held-out event are train; from it on valid, or test if the test has begun; those after the
    user's last held-out event are left out. All ratings of a user without one are train. With a split by time (epoch ms) nothing
    from the first cut on is train: what isn't between held-out events is left out.
    """
    user, ordinal, held_out = Window.partitionBy("user_id"), F.col("ordinal"), F.col("held").isin("valid", "test")
    ratings = marked.where(ordinal.isNotNull()).withColumns(
        {
            "first": F.min(F.when(held_out, ordinal)).over(user),
            "first_test": F.min(F.when(F.col("held") == "test", ordinal)).over(user),
            "last": F.max(F.when(held_out, ordinal)).over(user),
        }
    )
    before = F.coalesce(ordinal < F.col("first"), F.lit(True))
    tested = F.coalesce(ordinal >= F.col("first_test"), F.lit(False))
    train = F.lit("train") if first_cut is None else F.when(F.col("timestamp") < first_cut, "train")
    split: Column = F.when(before, train).when(ordinal <= F.col("last"), F.when(tested, "test").otherwise("valid"))
    return ratings.select("user_id", "ordinal", "position", "item_id", "rating", "timestamp", split.alias("split"))
