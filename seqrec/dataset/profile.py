"""One pass over interactions: which rows can't be used and why, the types of the columns, and a bound on a user's rows.

The rows are counted by BUCKETS of users, so that the counts also say that no user has more rows than the fullest bucket. That
costs 0.4 s for 3 million rows on 2 cores, and spares most inputs a second pass that counts by user.
"""

import logging
import time
from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from seqrec.dataset.ids import is_lossy
from seqrec.dataset.parse import BAD_LINE, REASONS, ColumnTypes, rejection
from seqrec.dataset.time_range import (
    ODD_TIMES,
    JudgedTimes,
    TimeRange,
    bin_times,
    count_outside,
    has_long_gap,
    judge_times,
    slot_bit,
)
from seqrec.dataset.time_units import TimeWays, choose_reading, count_times, time_tests, time_ways
from seqrec.dataset.times import TimeReading, epoch_milliseconds

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
DAY_MS = 86_400_000  # by which clocks may differ before a time is in the future


@dataclass(frozen=True, kw_only=True)
class WantedTypes:
    """What the configuration says of the types: ids are bigint, string or auto.

    Times are s, ms, us, ns, iso, auto, or order (the position of a row); or they have one of the patterns. They lie in the range
    (epoch ms); auto finds those that are off the others, None takes all.
    """

    user: str = "auto"
    item: str = "auto"
    time: str = "auto"
    patterns: tuple[str, ...] = ()
    time_range: TimeRange = "auto"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The number of rows, their types, the number that can't be used by reason, and an example of each reason.

    `fullest` is how many usable rows the fullest of BUCKETS of users has: no user has more. `lossy_items` is how many usable rows
    have an item id that would lose something as an integer, such as 007.
    """

    rows: int
    types: ColumnTypes
    dropped: dict[str, int]
    examples: dict[str, str]
    fullest: int
    lossy_items: int = 0

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
    the `.0` that pandas writes. Times have the unit that the size of most of them tells, or are dates: see `choose_reading`.
    Those that are off the others are left out (see `judge_times`), for which the rows are read once more. A row counts for its
    first reason, as in REASONS.
    """
    kind, order_kind = (interactions.schema[name].dataType for name in ("timestamp", "order"))
    ways = time_ways(interactions, unit=wanted.time, patterns=wanted.patterns)
    judged = _judge(interactions, wanted, ways)
    order_tests = _order_tests(order_kind)
    latest = round(time.time() * 1000) + DAY_MS
    judging = wanted.time_range == "auto" and wanted.time != "order"
    tests = {**_row_tests(), **time_tests(ways, latest=latest if judging else None), **order_tests}
    counts, extremes = _count(judged, tests, slots=judging)
    times = count_times(counts, ways, example=extremes["example"])
    reading = choose_reading(ways, times)
    usable = judged.where(F.col("reason").isNull())
    taken = JudgedTimes(timed=max(times.by_date, default=0) if reading.unit == "iso" and times.by_date else times.numbers)
    if isinstance(wanted.time_range, tuple) and wanted.time != "order":
        taken = count_outside(usable, kind, reading, first=wanted.time_range[0], last=wanted.time_range[1])
    elif judging and (times.differ or has_long_gap(extremes["slots"] or 0)):
        taken = judge_times(bin_times(usable, kind, reading, latest=latest), latest=latest)
    elif times.differ:
        taken = JudgedTimes(timed=usable.where(epoch_milliseconds(kind, reading).isNotNull()).count())
    types = ColumnTypes(
        user=_id_type(wanted.user, lossy=counts["lossy_user"]),
        item=_id_type(wanted.item, lossy=counts["lossy_item"]),
        time=reading,
        order=_order_type(order_kind, OrderCounts(*(counts[name] for name in order_tests))),
        first=taken.first,
        last=taken.last,
    )
    dropped = {reason: counts[reason] for reason in REASONS} | {BAD_TIME: counts["usable"] - taken.timed}
    dropped |= {reason: taken.odd.get(reason, 0) for reason in ODD_TIMES}
    examples = _examples(judged, [reason for reason in CHECKED if dropped[reason]], kind, reading) | taken.examples
    return Profile(
        rows=counts["rows"],
        types=types,
        dropped=dropped,
        examples=examples,
        fullest=counts["fullest"],
        lossy_items=counts["lossy_item"],
    )


def _judge(interactions: DataFrame, wanted: WantedTypes, ways: TimeWays) -> DataFrame:
    """Add why a row can't be used, its time in each way (null if it has none), and whether its ids lose digits as bigint."""
    kinds = {field.name: field.dataType for field in interactions.schema}
    return interactions.withColumns(
        {
            "reason": rejection(interactions.schema, user=wanted.user, item=wanted.item),
            **ways.columns(kinds["timestamp"]),
            "lossy_user": is_lossy(F.col("user_id"), kinds["user_id"]),
            "lossy_item": is_lossy(F.col("item_id"), kinds["item_id"]),
        }
    )


def _row_tests() -> dict[str, Column]:
    """The tests by which judged rows are counted, without those of times and of order."""
    usable, timed = F.col("reason").isNull(), F.col("milliseconds").isNotNull()
    return {
        "rows": F.lit(True),
        "usable": usable,
        "lossy_user": usable & timed & F.col("lossy_user"),
        "lossy_item": usable & timed & F.col("lossy_item"),
        **{reason: F.col("reason") == reason for reason in REASONS},
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


def _count(judged: DataFrame, tests: dict[str, Column], *, slots: bool) -> tuple[dict[str, int], dict[str, int | None]]:
    """Act: how many rows pass each test, with `fullest` (see Profile); and two numbers, None without a row that has them.

    example   the smallest undivided number
    slots     the slots of the times of usable rows, as bits, if they are wanted
    """
    example = F.min(F.when(tests["undivided"], F.col("number"))).alias("example")
    bits = F.bit_or(F.when(F.col("reason").isNull(), slot_bit(F.col("milliseconds")))) if slots else F.lit(None).cast("bigint")
    bucket = F.pmod(F.xxhash64("user_id"), F.lit(BUCKETS))
    counted = (F.count_if(test).alias(name) for name, test in tests.items())
    buckets = judged.groupBy(bucket).agg(*counted, example, bits.alias("slots"))
    totals = (*(F.sum(name).alias(name) for name in tests), F.max("usable").alias("fullest"))
    row = buckets.agg(*totals, F.min("example").alias("example"), F.bit_or("slots").alias("slots")).collect()[0].asDict()
    extremes = {name: row.pop(name) for name in ("example", "slots")}
    return {name: int(count or 0) for name, count in row.items()}, extremes


def _examples(judged: DataFrame, reasons: list[str], kind: DataType, reading: TimeReading) -> dict[str, str]:
    """Act: for each of these reasons the smallest value that was refused for it, as text."""
    if not reasons:
        return {}
    untimed = F.col("reason").isNull() & epoch_milliseconds(kind, reading).isNull()
    wrong = {reason: F.col("reason") == reason for reason in reasons} | {BAD_TIME: untimed}
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
