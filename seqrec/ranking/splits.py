"""Which of the cleaned ratings belong to which split, by their place relative to the user's held-out events."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from seqrec.dataset.clean import unpack

SAME = ("user_id", "item_id", "rating", "timestamp")


def mark_ratings(histories: DataFrame, events: DataFrame, *, partitions: int) -> DataFrame:
    """user_id, place, item_id, rating, timestamp of the ratings in histories (see `dataset.clean`), and which are events.

    Place counts from 0 within the user. Position and held (train, valid or test) are those of the event, and null for a rating
    that is none. An event (user_id, item_id, rating, timestamp, position, split) that no rating is has no place: see
    `count_strays`. Ratings that differ in the order column alone are one.
    """
    ratings = unpack(histories).drop("good")
    known = events.select(*SAME, "position", F.col("split").alias("held"))
    both = ratings.unionByName(known, allowMissingColumns=True).repartition(partitions, "user_id")
    marks = ("place", "position", "held")
    return both.groupBy(*SAME).agg(*(F.min(mark).alias(mark) for mark in marks))


def count_strays(marked: DataFrame) -> dict[str, int]:
    """Act: the events, and those of them that are no ratings."""
    event = F.col("position").isNotNull()
    counts: dict[str, int] = (
        marked.agg(F.count_if(event).alias("events"), F.count_if(F.col("place").isNull()).alias("strays")).collect()[0].asDict()
    )
    return counts


def split_ratings(marked: DataFrame, *, first_cut: int | None) -> DataFrame:
    """The ratings with their split; null for those that are left out.

    Ratings before a user's first held-out event are train; from it on valid, or test if the test has begun; those after the
    user's last held-out event are left out. Users without one are train whole. With a split by time (epoch ms) nothing from
    the first cut on is train: what isn't between held-out events is left out.
    """
    user, place, held = Window.partitionBy("user_id"), F.col("place"), F.col("held").isin("valid", "test")
    ratings = marked.where(place.isNotNull()).withColumns(
        {
            "first": F.min(F.when(held, place)).over(user),
            "first_test": F.min(F.when(F.col("held") == "test", place)).over(user),
            "last": F.max(F.when(held, place)).over(user),
        }
    )
    before = F.coalesce(place < F.col("first"), F.lit(True))
    tested = F.coalesce(place >= F.col("first_test"), F.lit(False))
    train = F.lit("train") if first_cut is None else F.when(F.col("timestamp") < first_cut, "train")
    split: Column = F.when(before, train).when(place <= F.col("last"), F.when(tested, "test").otherwise("valid"))
    return ratings.select("user_id", "place", "position", "item_id", "rating", "timestamp", split.alias("split"))
