"""Typed ratings into cleaned ones: bad rows guarded, exact duplicates dropped, users together and in order."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
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


def partition_count(rows: int, *, at_least: int) -> int:
    """Partitions for that many rows, and one a core at least.

    >>> partition_count(20_000_000, at_least=2), partition_count(1000, at_least=2)
    (40, 2)
    """
    return max(at_least, -(-rows // ROWS_PER_PARTITION))


def clean(ratings: DataFrame, *, partitions: int, min_rating: float | None = None, collapse: bool = False) -> DataFrame:
    """Exact duplicates dropped; the one shuffle of the ratings puts a user into one partition, sorted by user and ORDER.

    Ties of timestamp and order column are broken by a hash of user and item: the same whatever the partitioning, and unlike
    item_id no hint. Adds `first` (a user's first row), `tied` (it has the timestamp of the row before), `rated` (at or above
    the minimum rating; without a rating it isn't) and `good` (rated, and with collapse not the same item as the user's rated
    row before): what may be learned from.
    """
    tied = ratings.withColumn("tie", F.xxhash64("user_id", "item_id")).repartition(partitions, "user_id")
    in_order = user_order(tied)
    keys = [name for name in ORDER if name in tied.columns]
    same = {name: F.lag(name).over(in_order).eqNullSafe(F.col(name)) for name in keys}
    first = F.row_number().over(in_order) == 1
    repeated = ~first
    for equal in same.values():
        repeated &= equal
    marked = tied.withColumns({"first": first, "tied": ~first & same["timestamp"], "repeated": repeated})
    rated = F.lit(True) if min_rating is None else F.coalesce(F.col("rating") >= min_rating, F.lit(False))
    rows = marked.where(~F.col("repeated")).withColumn("rated", rated)
    good = F.col("rated") & ~repeats("rated", user_order(rows)) if collapse else F.col("rated")
    return rows.withColumn("good", good).select(*ratings.columns, "tie", "first", "tied", "rated", "good")


def user_order(ratings: DataFrame) -> WindowSpec:
    """The order of a user's rows: ORDER, a unique key once exact duplicates are gone."""
    return Window.partitionBy("user_id").orderBy(*(name for name in ORDER if name in ratings.columns))


def repeats(flag: str, in_order: WindowSpec) -> Column:
    """Whether the user's row before, among those with the flag, has the same item."""
    before = in_order.rowsBetween(Window.unboundedPreceding, -1)
    return F.last(F.when(F.col(flag), F.col("item_id")), ignorenulls=True).over(before).eqNullSafe(F.col("item_id"))
