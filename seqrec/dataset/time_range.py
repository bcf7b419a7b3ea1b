"""Which times are off: in another unit than most, negative, in the future, or ten years and more from all that belong together.

The profile notes the 3-year slots in which times lie as bits of a number, in the pass that it makes anyway. Only where they
show a gap, or where there are negative numbers, several units or times in the future, a second pass counts the times by year.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from seqrec.dataset.splits import parse_cuts, say_time
from seqrec.dataset.times import TimeReading, approximate_milliseconds, epoch_milliseconds
from seqrec.errors import UserError

YEAR = 31_557_600_000  # milliseconds
SLOT = 3 * YEAR
SLOTS = 64  # bits, of the years 1910 to 2102; what lies outside is in the first or in the last
FIRST_SLOT = -20  # slots from 1970
LONG_GAP = re.compile("10{2,}1")  # two empty slots: at least 6 years; a gap of 10 years has at least two
GAP = 10  # years without a time that separate some from the others
DAY = re.compile(r"\d{4}-")  # a date that can be said
DISTANT = 100_000  # years; farther times are counted with those of that year
ODD_TIMES = ("other_time_unit", "negative_time", "future_time", "far_time", "outside_time_range")  # why a row is left out

TimeRange = tuple[int, int] | Literal["auto"] | None


class TimeBin(NamedTuple):
    """Times of a year (from 1970, of 365.25 days): how many rows, and the earliest, in epoch ms and as text.

    `own_year` is the year of a number in the unit that its size tells; `negative` is of numbers alone.
    """

    year: int
    own_year: int
    future: bool
    negative: bool
    rows: int
    earliest: int
    example: str


@dataclass(frozen=True, kw_only=True)
class JudgedTimes:
    """The times that are taken, from first to last (epoch ms; None is no bound); rows with a time; those left out, by reason."""

    first: int | None = None
    last: int | None = None
    timed: int = 0
    odd: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)


def parse_time_range(wanted: Sequence[str] | Literal["auto"] | None) -> TimeRange:
    """The range of a configuration as epoch ms; UserError for what are no two times in order."""
    return parse_cuts(list(wanted), key="input.time_range") if isinstance(wanted, Sequence) and wanted != "auto" else wanted


def slot_bit(milliseconds: Column) -> Column:
    """A number whose one bit is the slot of a time; null for null."""
    slot = F.floor(milliseconds / SLOT) - FIRST_SLOT
    bounded = F.least(F.greatest(slot, F.lit(0)), F.lit(SLOTS - 1)).cast("int")
    return F.call_function("shiftleft", F.lit(1).cast("bigint"), bounded)


def has_long_gap(slots: int) -> bool:
    """Whether the slots that are bits of a number may have a gap of ten years among them.

    >>> has_long_gap(0b1000), has_long_gap(0b1101), has_long_gap(0b1001)
    (False, False, True)
    """
    return LONG_GAP.search(f"{slots & (2**SLOTS - 1):b}") is not None


def bin_times(usable: DataFrame, kind: DataType, reading: TimeReading, *, latest: int) -> list[TimeBin]:
    """Act: the times of usable rows (timestamp, and `number`, null where it is none) in this reading, counted by year.

    Later times than `latest` (epoch ms) are in the future.
    """
    milliseconds = epoch_milliseconds(kind, reading)
    own = F.coalesce(approximate_milliseconds(F.col("number")), milliseconds.cast("double"))
    keys = {
        "year": _year(milliseconds),
        "own_year": _year(own),
        "future": milliseconds > latest,
        "negative": F.coalesce(F.col("number") < 0, F.lit(False)),
    }
    timed = usable.where(milliseconds.isNotNull())
    counted = timed.groupBy(*(key.alias(name) for name, key in keys.items()))
    example = F.min(F.struct(milliseconds.alias("at"), F.col("timestamp").cast("string").alias("text")))
    found = counted.agg(F.count(F.lit(1)).alias("rows"), example.alias("first"))
    rows = found.select("*", F.col("first.at").alias("earliest"), F.col("first.text").alias("example")).drop("first").collect()
    return [TimeBin(**row.asDict()) for row in rows]


def judge_times(bins: Sequence[TimeBin], *, latest: int) -> JudgedTimes:
    """Which times belong together: those of the years around most of the rows, up to a gap of ten years on either side.

    Negative numbers and times in the future are left out unless most are such. Raises UserError if most lie in the future.
    """
    timed = sum(row.rows for row in bins)
    future = [row for row in bins if row.future]
    if 2 * sum(row.rows for row in future) > timed:
        raise UserError(
            f"most times lie in the future, such as {_shown(future[0])}: set input.time_unit (s, ms, us, ns, iso) or "
            "input.time_format to what they are, or input.time_range=null to take them as they are"
        )
    negative = 2 * sum(row.rows for row in bins if row.negative) > timed
    plausible = [row for row in bins if not row.future and (negative or not row.negative)]
    if not plausible:
        return JudgedTimes(timed=timed)
    first, last = _bulk(plausible)
    odd: dict[str, int] = {}
    examples: dict[str, str] = {}
    for row in sorted(bins, key=lambda row: row.earliest):
        if row not in plausible or not first <= row.year <= last:
            reason = _reason(row, first, last)
            odd[reason] = odd.get(reason, 0) + row.rows
            examples.setdefault(reason, _shown(row))
    return JudgedTimes(first=first * YEAR, last=min((last + 1) * YEAR - 1, latest), timed=timed, odd=odd, examples=examples)


def count_outside(usable: DataFrame, kind: DataType, reading: TimeReading, *, first: int, last: int) -> JudgedTimes:
    """Act: the rows with a time, and those whose time lies outside of a range that the configuration gives (epoch ms)."""
    milliseconds = epoch_milliseconds(kind, reading)
    outside = ~milliseconds.between(first, last)
    example = F.min(F.when(outside, F.col("timestamp").cast("string")))
    timed, odd, shown = usable.agg(F.count(milliseconds), F.count_if(outside), example).collect()[0]
    reason = "outside_time_range"
    return JudgedTimes(
        first=first, last=last, timed=timed, odd={reason: odd} if odd else {}, examples={reason: shown} if odd else {}
    )


def _bulk(bins: Sequence[TimeBin]) -> tuple[int, int]:
    """The first and the last year of the years that most rows lie in, where less than GAP years without a row separate them."""
    rows: dict[int, int] = {}
    for row in bins:
        rows[row.year] = rows.get(row.year, 0) + row.rows
    spans: list[list[int]] = []
    for year in sorted(rows):
        if spans and year - spans[-1][-1] <= GAP:
            spans[-1].append(year)
        else:
            spans.append([year])
    largest = max(spans, key=lambda years: sum(rows[year] for year in years))
    return largest[0], largest[-1]


def _reason(row: TimeBin, first: int, last: int) -> str:
    """Why the times of a bin are left out."""
    if row.negative:
        return "negative_time"
    if row.own_year != row.year and first <= row.own_year <= last:
        return "other_time_unit"
    return "future_time" if row.future else "far_time"


def _shown(row: TimeBin) -> str:
    """An example of a bin, with the day or the year where it lies unless it says that itself."""
    day = say_time(row.earliest)[:10]
    if not DAY.match(day):
        return f"{row.example} (about the year {1970 + row.year:,})"
    return row.example if day[:4] in row.example else f"{row.example} ({day})"


def _year(milliseconds: Column) -> Column:
    """The year of a time, from 1970, at most DISTANT on either side."""
    year = F.floor(milliseconds / YEAR)
    return F.least(F.greatest(year, F.lit(-DISTANT)), F.lit(DISTANT)).cast("int")
