"""One pass over interactions: which rows can't be used and why, the types of the columns, and a bound on a user's rows.

The rows are counted by BUCKETS of users, so that the counts also say that no user has more rows than the fullest bucket. That
costs 0.4 s for 3 million rows on 2 cores, and spares most inputs a second pass that counts by user.
"""

import logging
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from seqrec.dataset.ids import is_lossy
from seqrec.dataset.parse import BAD_LINE, REASONS, ColumnTypes, rejection
from seqrec.dataset.times import MILLISECONDS, TOO_LARGE, TimeCounts, epoch_number, iso_milliseconds, reads_as_date, time_unit

log = logging.getLogger("seqrec")

BUCKETS = 4096  # by a hash of the user: as many rows of counts go through the shuffle from each task
BAD_TIME = "bad_timestamp"  # of a row without one of REASONS whose time isn't in the format of the others
CHECKED = {  # the columns that an example of a reason shows
    "bad_line": (BAD_LINE,),
    "bad_bytes": ("user_id", "item_id"),
    "bad_user": ("user_id",),
    "bad_item": ("item_id",),
    "bad_rating": ("rating",),
    BAD_TIME: ("timestamp",),
}
EXACT = "decimal(38,18)"  # of an order column that is text, where a double would lose digits


@dataclass(frozen=True, kw_only=True)
class WantedTypes:
    """What the configuration says of the types: ids are bigint, string or auto; times s, ms, iso or auto."""

    user: str = "auto"
    item: str = "auto"
    time: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The number of rows, their types, the number that can't be used by reason, and an example of each reason.

    `fullest` is how many usable rows the fullest of BUCKETS of users has: no user has more.
    """

    rows: int
    types: ColumnTypes
    dropped: dict[str, int]
    examples: dict[str, str]
    fullest: int

    @property
    def usable(self) -> int:
        """Rows that parse."""
        return self.rows - sum(self.dropped.values())


class OrderCounts(NamedTuple):
    """The values of an order column; of a text also those that are no whole numbers, no numbers, and what a double can't hold.

    lossy     numbers of which a double would lose digits, and EXACT would not
    large     numbers that are too large for EXACT
    """

    values: int
    fractions: int = 0
    texts: int = 0
    lossy: int = 0
    large: int = 0


def profile(interactions: DataFrame, wanted: WantedTypes) -> Profile:
    """Act: count the rows, choose the types that are wanted as `auto`, and look for examples where rows can't be used.

    An id is bigint where every usable row has a canonical integer of 64 bits: no leading zero, plus sign or decimals, but for
    the `.0` that pandas writes.
    Numbers of a time are milliseconds where most are above 1e11, else seconds; a text with - or : is a date (ISO 8601).
    A row counts for its first reason in the order of REASONS.
    """
    time_kind, order_kind = (interactions.schema[name].dataType for name in ("timestamp", "order"))
    judged = _judge(interactions, wanted)
    order_tests = _order_tests(order_kind)
    counts, example = _count(judged, {**_row_tests(), **_time_tests(), **order_tests})
    times = TimeCounts._make([*(counts[name] for name in TimeCounts._fields[:-1]), example])
    types = ColumnTypes(
        user=_id_type(wanted.user, lossy=counts["lossy_user"]),
        item=_id_type(wanted.item, lossy=counts["lossy_item"]),
        time=time_unit(wanted.time, time_kind, times),
        order=_order_type(order_kind, OrderCounts(*(counts[name] for name in order_tests))),
    )
    timed = times.dates if types.time == "iso" else times.numbers - (times.overflow if types.time == "s" else 0)
    dropped = {reason: counts[reason] for reason in REASONS} | {BAD_TIME: counts["usable"] - timed}
    examples = _examples(judged, [reason for reason in CHECKED if dropped[reason]])
    return Profile(rows=counts["rows"], types=types, dropped=dropped, examples=examples, fullest=counts["fullest"])


def _judge(interactions: DataFrame, wanted: WantedTypes) -> DataFrame:
    """Add why a row can't be used, its time in each reading (null if it has none), and whether its ids lose digits as bigint."""
    kinds = {field.name: field.dataType for field in interactions.schema}
    return interactions.withColumns(
        {
            "reason": rejection(interactions.schema, user=wanted.user, item=wanted.item),
            "number": epoch_number(kinds["timestamp"], factor=1),
            "seconds": epoch_number(kinds["timestamp"], factor=1000),
            "date": iso_milliseconds(kinds["timestamp"]),
            "lossy_user": is_lossy(F.col("user_id"), kinds["user_id"]),
            "lossy_item": is_lossy(F.col("item_id"), kinds["item_id"]),
        }
    )


def _is_timed() -> Column:
    """Whether the time of a judged row can be read in one way at least."""
    return F.col("number").isNotNull() | F.col("date").isNotNull()


def _row_tests() -> dict[str, Column]:
    """The tests by which judged rows are counted, without those of times and of order."""
    usable = F.col("reason").isNull()
    return {
        "rows": F.lit(True),
        "usable": usable,
        "lossy_user": usable & _is_timed() & F.col("lossy_user"),
        "lossy_item": usable & _is_timed() & F.col("lossy_item"),
        **{reason: F.col("reason") == reason for reason in REASONS},
    }


def _time_tests() -> dict[str, Column]:
    """The tests by which the times of judged rows are counted, see TimeCounts."""
    usable, number = F.col("reason").isNull(), F.col("number")
    return {
        "numbers": usable & number.isNotNull(),
        "dates": usable & number.isNull() & F.col("date").isNotNull(),
        "large": usable & ~number.between(-MILLISECONDS, MILLISECONDS),
        "too_large": usable & ~number.between(-TOO_LARGE, TOO_LARGE),
        "overflow": usable & number.isNotNull() & F.col("seconds").isNull(),
        "undivided": usable & reads_as_date(number),
    }


def _order_tests(kind: DataType) -> dict[str, Column]:
    """The tests by which the values of an order column are counted, in the order of OrderCounts; only text has all of them."""
    order = F.col("order")
    there = order.isNotNull()
    if not isinstance(kind, StringType):
        return {"order_values": there}
    double, exact = order.try_cast("double"), order.try_cast(EXACT)
    return {
        "order_values": there,
        "order_fractions": there & order.try_cast("bigint").isNull(),
        "order_texts": there & double.isNull(),
        "order_lossy": exact != double.try_cast(EXACT),
        "order_large": there & exact.isNull(),
    }


def _count(judged: DataFrame, tests: dict[str, Column]) -> tuple[dict[str, int], int | None]:
    """Act: how many rows pass each test, with `fullest` (see Profile); and the smallest undivided number, None without one."""
    example = F.min(F.when(tests["undivided"], F.col("number"))).alias("example")
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(BUCKETS))
    buckets = judged.groupBy(bucket).agg(*(F.count_if(test).alias(name) for name, test in tests.items()), example)
    fullest, smallest = F.max("usable").alias("fullest"), F.min("example").alias("example")
    counts = buckets.agg(*(F.sum(name).alias(name) for name in tests), fullest, smallest).collect()[0].asDict()
    smallest_number = counts.pop("example")
    return {name: int(count or 0) for name, count in counts.items()}, smallest_number


def _examples(judged: DataFrame, reasons: list[str]) -> dict[str, str]:
    """Act: for each of these reasons the smallest value that was refused for it, as text."""
    if not reasons:
        return {}
    wrong = {reason: F.col("reason") == reason for reason in reasons} | {BAD_TIME: F.col("reason").isNull() & ~_is_timed()}
    values = (
        F.min(F.when(wrong[reason], F.concat_ws(" · ", *(F.col(name).cast("string") for name in CHECKED[reason])))).alias(reason)
        for reason in reasons
    )
    smallest = judged.agg(*values).collect()[0].asDict()
    return {reason: value for reason, value in smallest.items() if value is not None}


def _id_type(wanted: str, *, lossy: int) -> str:
    """The type of an id: the wanted one, or with `auto` bigint where no id would lose something."""
    return ("string" if lossy else "bigint") if wanted == "auto" else wanted


def _order_type(kind: DataType, counts: OrderCounts) -> str | None:
    """The type of an order column: a number where all values are numbers, and then one that loses no digits."""
    if not counts.values:
        return None
    if not isinstance(kind, StringType):
        return kind.simpleString()
    if not counts.fractions:
        return "bigint"
    if counts.texts:
        if counts.texts < counts.values:
            log.warning(
                "input.columns.order: %d of %d values are no numbers, so all are sorted as text, where 10 comes before 9",
                counts.texts,
                counts.values,
            )
        return "string"
    return EXACT if counts.lossy and not counts.large else "double"
