"""Which of the cleaned ratings belong to which split, by their place relative to the user's held-out events."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from seqrec.dataset.clean import unpack

SAME = ("user_id", "item_id", "rating", "timestamp")


def mark_ratings(
    histories: DataFrame, events: DataFrame, *, partitions: int, ordered: bool = False, collapse: bool = False
) -> DataFrame:
    """user_id, place, item_id, rating, timestamp of the ratings in histories (see `dataset.clean`), and which are events.

    Place counts from 0 within the user. Position and held (train, valid or test) are those of the event, and null for a rating
    that is none. An event (user_id, item_id, rating, timestamp, position, split) that no rating is has no place: see
    `count_strays`. Ordered says that ratings may differ in their place alone, by an order column: the events among them are
    found by their order. Collapse says that the events are without neighbours of the same item.
    """
    ratings = unpack(histories).drop("good")
    known = events.select(*SAME, "position", F.col("split").alias("held"))
    both = ratings.unionByName(known, allowMissingColumns=True).repartition(partitions, "user_id")
    if ordered:
        both = _number_equals(both, collapse=collapse)
    marks = ("place", "position", "held")
    grouped = both.groupBy(*SAME, *(["number"] if ordered else []))
    return grouped.agg(*(F.min(mark).alias(mark) for mark in marks)).select(*SAME, *marks)


def _number_equals(both: DataFrame, *, collapse: bool) -> DataFrame:
    """Number events that are equal but for their position, and likewise the ratings that are they; other ratings get -1 - place.

    Equal ratings are events together, for they are all good and in the k-core, or none is. Only a collapse parts them: of
    neighbours with the same item, among the ratings that equal an event, the first is one. A rating that was collapsed and
    equals no event is no neighbour of another item, so it changes nothing.
    """
    rated = F.col("place").isNotNull()
    counted = both.withColumn("member", rated & (F.count("position").over(Window.partitionBy(*SAME)) > 0))
    event = F.col("member")
    if collapse:
        before = F.lag("item_id").over(Window.partitionBy("user_id", "member").orderBy("place"))
        event &= ~F.coalesce(before == F.col("item_id"), F.lit(False))
    chosen = counted.withColumn("event", F.when(rated, event).otherwise(F.lit(True))).withColumn("rated", rated)
    number = F.row_number().over(Window.partitionBy(*SAME, "rated", "event").orderBy("place", "position"))
    return chosen.withColumn("number", F.when(F.col("event"), number).otherwise(-1 - F.col("place")))


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
