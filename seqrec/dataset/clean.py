"""Typed ratings into histories: bad rows guarded, exact duplicates dropped, a user's ratings together and in order."""

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.parse import Profile
from seqrec.errors import UserError

ORDER = ("timestamp", "order", "tie", "item_id", "rating")  # within a user, as far as the columns are there
ROWS_PER_PARTITION = 500_000


def guard_bad(found: Profile, *, max_share: float, path: str, head: str) -> None:
    """Raise UserError if the input is empty, has no usable row, or a greater share of rows that can't be used."""
    if not found.rows:
        raise UserError(f"{path} has no rows: nothing to build sequences from")
    bad = sum(found.dropped.values())
    if bad <= max_share * found.rows and bad < found.rows:
        return
    reasons = (
        f"{count} {reason}" + (f", such as {found.examples[reason]!r}" if reason in found.examples else "")
        for reason, count in found.dropped.items()
        if count
    )
    seen = f"; the first line is {head!r}" if head else ""
    raise UserError(
        f"{path}: {bad} of {found.rows} rows can't be used ({'; '.join(reasons)}), max_bad_share is {max_share:g}{seen}: check "
        "input.delimiter, input.header, input.columns, input.id_type and input.time_unit, or raise max_bad_share"
    )


def guard_duplicates(*, rows: int, kept: int, max_share: float) -> None:
    """Raise UserError if a greater share of the usable rows are exact duplicates."""
    if rows - kept > max_share * rows:
        raise UserError(
            f"{rows - kept} of {rows} usable rows are exact duplicates, max_duplicate_share is {max_share:g}: "
            "remove them, or raise max_duplicate_share"
        )


def guard_user_events(ratings: DataFrame, *, most: int, path: str) -> None:
    """Act: raise UserError if a user has more than so many of the ratings, which are in memory at once."""
    counts = ratings.groupBy("user_id").count().where(F.col("count") > most).persist()
    first = counts.orderBy(F.desc("count"), "user_id").head(1)
    if first:
        user, number = first[0]
        others = counts.count() - 1
        raise UserError(
            f"{path}: user {user!r} has {number:,} ratings{f', and {others:,} other users have' if others else ','} more than "
            f"max_user_events={most:,}: leave bots out of the input, or raise max_user_events and the memory "
            "(SPARK_DRIVER_MEMORY, or the executors'), which holds all ratings of a user at once"
        )
    counts.unpersist()


def partition_count(rows: int, *, at_least: int) -> int:
    """Partitions for that many rows, and one a core at least.

    >>> partition_count(20_000_000, at_least=2), partition_count(1000, at_least=2)
    (40, 2)
    """
    return max(at_least, -(-rows // ROWS_PER_PARTITION))


def clean(ratings: DataFrame, *, partitions: int, min_rating: float | None = None, collapse: bool = False) -> DataFrame:
    """Histories, a row a user: the user's ratings in order, without exact duplicates. The one shuffle of the ratings.

    items, ratings, timestamps   arrays in ORDER; ties of timestamp and order column are broken by a hash of user and item: the
                                 same whatever the partitioning, and unlike item_id no hint
    good                         an array: what may be learned from. At or above the minimum rating (without a rating it isn't),
                                 and with collapse not the same item as the user's one before among those
    usable                       how many ratings came in, exact duplicates included
    tied, rated, learnable       how many have the timestamp of the one before, reach the minimum rating, are good
    """
    keyed = ratings.withColumn("tie", F.xxhash64("user_id", "item_id")).repartition(partitions, "user_id")
    entry = F.struct(*(name for name in ORDER if name in keyed.columns))
    listed = F.sort_array(F.collect_list(entry)).alias("entries")
    lists = keyed.groupBy("user_id").agg(listed, F.count(F.lit(1)).alias("usable"))
    entries = F.col("entries")
    tidy = F.when(_all_differ(entries.tie), entries).otherwise(without_repeats("entries", lambda one: one))
    users = lists.withColumn("entries", tidy)
    if min_rating is None:
        reached = F.array_repeat(F.lit(True), F.size(entries))
        rated = F.size(entries)
    else:
        least = F.lit(min_rating).cast("float")  # as precise as the ratings: 4.1 as a double is above their 4.1
        reached = F.transform(entries, lambda one: F.coalesce(one.rating >= least, F.lit(False)))
        rated = F.size(F.filter("good", lambda one: one))
    users = users.withColumn("good", reached).withColumn("rated", rated).withColumn("learnable", F.col("rated"))
    if collapse:
        users = _flag_first(users)
    return users.select(
        "user_id",
        entries.item_id.alias("items"),
        entries.rating.alias("ratings"),
        entries.timestamp.alias("timestamps"),
        "good",
        "usable",
        (F.size(entries) - F.size(F.array_distinct(entries.timestamp))).alias("tied"),
        "rated",
        "learnable",
    )


def unpack(histories: DataFrame) -> DataFrame:
    """The ratings in histories, a row each: user_id, place (from 0), item_id, rating, timestamp, good."""
    placed = histories.select("user_id", "ratings", "timestamps", "good", F.posexplode("items").alias("place", "item_id"))
    fields = {"rating": "ratings", "timestamp": "timestamps", "good": "good"}
    return placed.select("user_id", "place", "item_id", *(F.get(array, "place").alias(name) for name, array in fields.items()))


def without_repeats(name: str, key: Callable[[Column], Column]) -> Column:
    """An array column without the elements that have the key of the one before.

    Of a column, by its name: an expression would be evaluated for each element.
    """
    return F.filter(name, lambda one, i: (i == 0) | (key(F.get(name, i - 1)) != key(one)))


def _all_differ(values: Column) -> Column:
    """Whether no element is there twice: told sooner than which ones are."""
    return F.size(F.array_distinct(values)) == F.size(values)


def _flag_first(users: DataFrame) -> DataFrame:
    """Keep the flag `good` of an entry only where the flagged one before has another item; `learnable` counts them."""
    places = F.transform("entries", lambda one, i: F.struct(i.alias("place"), one.item_id.alias("item_id")))
    flagged = users.withColumn("flagged", F.filter(places, lambda one: F.get("good", one.place)))
    kept = flagged.withColumn("kept", without_repeats("flagged", lambda one: one.item_id))
    rest = F.array_except(F.transform("entries", lambda _, i: i), F.col("kept.place"))
    flags = F.concat(
        F.transform("kept", lambda one: F.struct(one.place.alias("place"), F.lit(True).alias("flag"))),
        F.transform(rest, lambda place: F.struct(place.alias("place"), F.lit(False).alias("flag"))),
    )
    good = F.transform(F.sort_array(flags), lambda one: one.flag)
    return kept.withColumns({"good": good, "learnable": F.size("kept")}).drop("flagged", "kept")
