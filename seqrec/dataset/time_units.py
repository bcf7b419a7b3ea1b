"""In which unit or by which patterns a column of times is read: the ways that are possible, and the one that most rows have."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from seqrec.command.overrides import show_value
from seqrec.dataset.time_formats import date_formats
from seqrec.dataset.times import (
    MILLISECONDS,
    NANOSECONDS,
    TOO_LARGE,
    UNDIVIDED,
    UNITS,
    TimeReading,
    approximate_milliseconds,
    check_patterns,
    epoch_milliseconds,
    is_native,
    reads_as_date,
    whole_number,
    written_date,
)
from seqrec.errors import UserError

SAMPLE = 1000  # rows whose times are looked at for patterns


class TimeWays(NamedTuple):
    """The ways in which a column may be read. Without `reading` they are numbers of any unit, and each of the `dates`.

    `example` is a date that several of the dates read, as different days.
    """

    reading: TimeReading | None
    dates: tuple[TimeReading, ...] = ()
    example: str | None = None

    def columns(self, kind: DataType) -> dict[str, Column]:
        """number, null where it is none or dates alone are read; date0, date1, … in epoch ms; milliseconds, the first of these.

        Milliseconds are exact in the one reading there is, and else of a number in the unit that its size tells.
        """
        if self.reading is not None:
            milliseconds = epoch_milliseconds(kind, self.reading)
            number = F.lit(None).cast("bigint") if is_native(kind) or self.reading.unit == "iso" else whole_number(kind)
            return {"number": number, "date0": milliseconds, "milliseconds": milliseconds}
        number = whole_number(kind)
        dates = {f"date{index}": written_date(kind, reading) for index, reading in enumerate(self.dates)}
        milliseconds = F.coalesce(approximate_milliseconds(number), *(date.cast("double") for date in dates.values()))
        return {"number": number, **dates, "milliseconds": milliseconds}


class TimeCounts(NamedTuple):
    """The usable rows whose time can be read as a number (in the one reading, if there is one), or as each of the dates.

    by_unit             the numbers by the unit that their size tells; empty where the reading was given
    undivided           numbers that may be dates without marks, such as 20150301; `example` is the smallest of them
    negative, future    numbers below 0, and times later than now
    """

    numbers: int
    by_date: tuple[int, ...]
    by_unit: dict[str, int]
    undivided: int
    example: int | None
    negative: int
    future: int

    @property
    def differ(self) -> bool:
        """Whether some of the times may be off the others."""
        return bool(self.negative or self.future or sum(number > 0 for number in self.by_unit.values()) > 1)


def time_ways(interactions: DataFrame, *, unit: str, patterns: tuple[str, ...]) -> TimeWays:
    """The ways in which the column timestamp may be read. With `auto` it acts: the first texts tell the patterns of dates.

    Raises UserError for a pattern by which Spark can't read.
    """
    kind = interactions.schema["timestamp"].dataType
    if is_native(kind):
        return TimeWays(TimeReading("native"))
    if patterns:
        check_patterns(interactions.sparkSession, patterns)
        return TimeWays(TimeReading("iso", patterns, iso=False))
    if unit != "auto":
        return TimeWays(TimeReading(unit))
    if not isinstance(kind, StringType):
        return TimeWays(None)
    first = interactions.select("timestamp").where(F.col("timestamp").isNotNull()).limit(SAMPLE).collect()
    formats = date_formats(row[0] for row in first)
    return TimeWays(None, tuple(TimeReading("iso", tried) for tried in formats.alternatives or [()]), formats.example)


def time_tests(ways: TimeWays, *, latest: int | None) -> dict[str, Column]:
    """The tests by which the times of judged rows are counted. With `latest` (epoch ms) those that may be off are counted too."""
    usable, number, milliseconds = F.col("reason").isNull(), F.col("number"), F.col("milliseconds")
    free = ways.reading is None
    limits = {"over_s": MILLISECONDS, "over_ms": TOO_LARGE, "over_us": NANOSECONDS} if free else {}
    dates = range(len(ways.dates))
    return {
        "numbers": usable & (number if free else milliseconds).isNotNull(),
        "undivided": usable & reads_as_date(number) if free else F.lit(False),
        **{name: usable & ~number.between(-limit, limit) for name, limit in limits.items()},
        **{f"dates{index}": usable & number.isNull() & F.col(f"date{index}").isNotNull() for index in dates},
        "negative": F.lit(False) if latest is None else usable & (number < 0),
        "future": F.lit(False) if latest is None else usable & (milliseconds > latest),
    }


def count_times(counts: dict[str, int], ways: TimeWays, *, example: int | None) -> TimeCounts:
    """The counts of `time_tests`, by their names."""
    over = [counts["numbers"], *(counts.get(name, 0) for name in ("over_s", "over_ms", "over_us")), 0]
    by_unit = {unit: over[index] - over[index + 1] for index, unit in enumerate(UNITS)}
    return TimeCounts(
        numbers=counts["numbers"],
        by_date=tuple(counts[f"dates{index}"] for index in range(len(ways.dates))),
        by_unit={} if ways.reading is not None else by_unit,
        undivided=counts["undivided"],
        example=example,
        negative=counts["negative"],
        future=counts["future"],
    )


def choose_reading(ways: TimeWays, counts: TimeCounts) -> TimeReading:
    """The reading that most of the times have: the one there is, or that of most dates, or the unit of most numbers.

    Raises UserError if two patterns read equally many dates, or if most numbers are dates without marks.
    """
    if ways.reading is not None:
        return ways.reading
    most = max(counts.by_date, default=0)
    if most > counts.numbers:
        best = [date for date, number in zip(ways.dates, counts.by_date, strict=True) if number == most]
        if len(best) > 1:
            choices = " or ".join(f"input.time_format={show_value(_plain(date.patterns))}" for date in best)
            raise UserError(f"dates such as {ways.example!r} can be read in {len(best)} ways: set {choices}")
        return best[0]
    unit = max(counts.by_unit, key=lambda unit: counts.by_unit[unit])
    if 2 * counts.undivided > counts.numbers:
        pattern = UNDIVIDED[len(str(counts.example))]
        raise UserError(
            f"most timestamps are numbers such as {counts.example}, which is a date without marks or an epoch: set "
            f"input.time_format={pattern} to take them as dates, or input.time_unit={unit} as epochs"
        )
    return TimeReading(unit)


def _plain(patterns: tuple[str, ...]) -> str | list[str]:
    """Patterns as a configuration has them: one alone, or a list."""
    return patterns[0] if len(patterns) == 1 else list(patterns)
