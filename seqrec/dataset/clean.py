"""Typed ratings into histories: a user's ratings together, in order, without exact duplicates; and the checks of an input."""

import logging
from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.profile import Profile
from seqrec.dataset.time_range import ODD_TIMES
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

WHOLE_ROWS = ("input.delimiter", "input.header", "input.columns")  # the keys that mend rows of the most reasons; of the others:
KEYS = {
    "bad_line": ("input.quote", "input.multiline", *WHOLE_ROWS),
    "bad_bytes": ("input.encoding", *WHOLE_ROWS),
    **dict.fromkeys(("bad_user", "bad_item"), (*WHOLE_ROWS, "input.id_type")),
    "bad_timestamp": (*WHOLE_ROWS, "input.time_unit", "input.time_format"),
    **dict.fromkeys(ODD_TIMES, ("input.time_range ([FIRST, LAST], or null for all)", "input.time_unit", "input.time_format")),
}
ORDER = ("timestamp", "order", "tie", "item_id", "rating")  # of a user's ratings, by those of these columns that exist
ROWS_PER_PARTITION = 500_000


def guard_extended(profile: Profile, vocabulary: str, *, max_share: float, path: str) -> None:
    """Raise UserError if item ids don't fit the integers of a vocabulary that is extended, as A16, or lose something, as 007."""
    bad, lossy = profile.dropped.get("bad_item", 0), profile.lossy_items
    if not lossy and bad <= max_share * profile.rows:
        return
    example = f", such as {profile.examples['bad_item'][:200]!r}" if bad else ""
    what = f"{bad} of {profile.rows} rows have item ids that are no integers{example}"
    if lossy:
        what = f"{lossy} of {profile.rows} rows have item ids that lose something as integers, such as 007 for 7"
    known = "; input.id_type=bigint reads 007 as 7" if lossy and not bad else ""
    raise UserError(
        f"{path}: {what}, and those of vocabulary={vocabulary} are integers: give the ids as they are there{known}; or leave "
        "vocabulary out, and train a new model"
    )


def guard_bad(profile: Profile, *, max_share: float, path: str, head: str) -> None:
    """Raise UserError if the input is empty, has no usable row, or has more than max_share of rows that can't be used.

    Fewer such rows are left out, with a warning that counts them.
    """
    if not profile.rows:
        raise UserError(f"{path} has no rows: nothing to build sequences from")
    bad = sum(profile.dropped.values())
    reasons = "; ".join(
        f"{count} {reason}" + (f", such as {profile.examples[reason][:200]!r}" if reason in profile.examples else "")
        for reason, count in profile.dropped.items()
        if count
    )
    first_line = f"; the first line is {head!r}" if head else ""
    keys = dict.fromkeys(key for reason, count in profile.dropped.items() if count for key in KEYS.get(reason, WHOLE_ROWS))
    remedy = f"check {', '.join(keys)}"
    if bad <= max_share * profile.rows and bad < profile.rows:
        if bad:
            log.warning("%s: %d of %d rows are left out (%s): to keep them, %s", path, bad, profile.rows, reasons, remedy)
        return
    raise UserError(
        f"{path}: {bad} of {profile.rows} rows can't be used ({reasons}), max_bad_share is {max_share:g}{first_line}: "
        f"{remedy}, or raise max_bad_share"
    )


def guard_duplicates(*, rows: int, kept: int, max_share: float) -> None:
    """Raise UserError if more than max_share of the usable rows are exact duplicates."""
    if rows - kept > max_share * rows:
        raise UserError(
            f"{rows - kept} of {rows} usable rows are exact duplicates, max_duplicate_share is {max_share:g}: "
            "remove them, or raise max_duplicate_share"
        )


def guard_user_events(ratings: DataFrame, *, most: int, path: str) -> None:
    """Act: raise UserError if a user has more than `most` ratings, because all ratings of a user are in memory at once."""
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
    """The number of partitions for `rows` rows: ROWS_PER_PARTITION in each, but at least `at_least` partitions.

    >>> partition_count(20_000_000, at_least=2), partition_count(1000, at_least=2)
    (40, 2)
    """
    return max(at_least, -(-rows // ROWS_PER_PARTITION))


def clean(ratings: DataFrame, *, partitions: int, min_rating: float | None = None, collapse: bool = False) -> DataFrame:
    """Histories, a row a user: the user's ratings in order, without exact duplicates. The one shuffle of the ratings.

    items, ratings, timestamps   arrays in ORDER. Ties of timestamp and order column are broken by a hash of user and item: it is
                                 the same whatever the partitioning and, unlike item_id, says nothing about the item
    good                         an array: which ratings may be learned from: those at or above the minimum rating (a rating
                                 without a value isn't); with collapse, of these only those whose predecessor has another item
    usable                       how many ratings came in, exact duplicates included
    tied, rated, learnable       how many have the same timestamp as the one before, reach the minimum rating, are good
    """
    keyed = ratings.withColumn("tie", F.xxhash64("user_id", "item_id")).repartition(partitions, "user_id")
    entry = F.struct(*(name for name in ORDER if name in keyed.columns))
    listed = F.sort_array(F.collect_list(entry)).alias("entries")
    lists = keyed.groupBy("user_id").agg(listed, F.count(F.lit(1)).alias("usable"))
    entries = F.col("entries")
    distinct = F.when(_all_differ(entries.tie), entries).otherwise(without_repeats("entries", lambda entry: entry))
    users = lists.withColumn("entries", distinct)
    if min_rating is None:
        reached = F.array_repeat(F.lit(True), F.size(entries))
        rated = F.size(entries)
    else:
        least = F.lit(min_rating).cast("float")  # a float, as the ratings are: 4.1 as a double is above the float
        reached = F.transform(entries, lambda entry: F.coalesce(entry.rating >= least, F.lit(False)))
        rated = F.size(F.filter("good", lambda good: good))
    users = users.withColumn("good", reached).withColumn("rated", rated).withColumn("learnable", F.col("rated"))
    if collapse:
        users = _flag_first_of_neighbours(users)
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
    """The ratings in histories, a row each: user_id, ordinal (from 0, in the user's order), item_id, rating, timestamp, good."""
    ordinal = F.col("ordinal")
    exploded = histories.select("user_id", "ratings", "timestamps", "good", F.posexplode("items").alias("ordinal", "item_id"))
    return exploded.select(
        "user_id",
        "ordinal",
        "item_id",
        F.get("ratings", ordinal).alias("rating"),
        F.get("timestamps", ordinal).alias("timestamp"),
        F.get("good", ordinal).alias("good"),
    )


def without_repeats(name: str, key: Callable[[Column], Column]) -> Column:
    """An array column without the elements whose key is that of the element before.

    It takes the column's name, since Spark would evaluate an expression anew for each element.
    """
    return F.filter(name, lambda element, i: (i == 0) | (key(F.get(name, i - 1)) != key(element)))


def _all_differ(values: Column) -> Column:
    """Whether no element repeats. It is cheaper than finding the duplicates."""
    return F.size(F.array_distinct(values)) == F.size(values)


def _flag_first_of_neighbours(users: DataFrame) -> DataFrame:
    """Of consecutive good entries with the same item only the first stays `good`; `learnable` counts those that stay.

    Entries that aren't good don't separate neighbours: they are left out at first, and a sort puts them back in their positions.
    """
    numbered = F.transform(
        F.arrays_zip("entries", "good"),
        lambda pair, i: F.struct(i.alias("ordinal"), pair.entries.item_id.alias("item_id"), pair.good.alias("good")),
    )
    flagged = users.withColumn("numbered", numbered).withColumn("flagged", F.filter("numbered", lambda entry: entry.good))
    is_first = F.transform(
        "flagged",
        lambda entry, i: F.struct(
            entry.ordinal.alias("ordinal"), ((i == 0) | (F.get("flagged", i - 1).item_id != entry.item_id)).alias("good")
        ),
    )
    others = F.filter("numbered", lambda entry: ~entry.good)
    unflagged = F.transform(others, lambda entry: F.struct(entry.ordinal.alias("ordinal"), entry.good.alias("good")))
    good = F.transform(F.sort_array(F.concat(is_first, unflagged)), lambda entry: entry.good)
    counted = flagged.withColumn("good", good).withColumn("learnable", F.size(F.filter("good", lambda good: good)))
    return counted.drop("numbered", "flagged")
