"""How a column of times is read: as epochs in a unit, as dates of ISO 8601, or by patterns. All become epoch milliseconds."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, FractionalType, IntegralType, StringType, TimestampNTZType, TimestampType

from seqrec.dataset.time_formats import ZONES
from seqrec.dataset.unreadable import SPARK_ERRORS
from seqrec.errors import UserError

MILLISECONDS = 10**11  # numbers above are milliseconds: as seconds they lie after the year 5138
TOO_LARGE = 10**14  # above they are microseconds: as milliseconds they lie after the year 5138
NANOSECONDS = 10**17  # above they are nanoseconds: as microseconds they lie after the year 5138
UNITS = {"s": 1000, "ms": 1, "us": 0.001, "ns": 0.000001}  # milliseconds of one
LARGEST = 2**53  # a double holds all integers up to here
LONGEST = 2**63 - 2**10  # the largest double that is a bigint
# What a whole date begins with. Spark takes less, too: it reads 12:30 as a time of today, and 2015-03 as the month's first day.
DAY = r"^\s*[+-]?\d{4,6}-\d{1,2}-\d{1,2}(?!\d)"
# A date or a date and time without marks between, of the years 1900 to 2099: 20150301, 201503011230, 20150301123000.
DIGITS = r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d)?)?$"
UNDIVIDED = {8: "yyyyMMdd", 12: "yyyyMMddHHmm", 14: "yyyyMMddHHmmss"}  # the patterns of such dates by their lengths
NAMED_ZONE = r"(:\d\d(?:[.,]\d{1,9})?(?: ?[AaPp][Mm])? ?)([A-Z]{3,5})(?=$| \d{4}$)"  # behind a clock, a year may follow
WEEKDAY = r"^E+[,.]? *"  # of a pattern: Spark writes weekdays, but doesn't read them


class TimeReading(NamedTuple):
    """How a column is read: unit native (Spark's own times), order (the position of a line or in a list), s, ms, us, ns or iso.

    Of iso, dates are read by ISO 8601 where `iso`, then by the patterns in their order.
    """

    unit: str
    patterns: tuple[str, ...] = ()
    iso: bool = True

    @property
    def text(self) -> str:
        """The reading in one word or more: the unit, or the ways in which dates are read."""
        return " or ".join([*(["iso"] if self.iso else []), *self.patterns]) if self.unit == "iso" else self.unit


def is_native(kind: DataType) -> bool:
    """Whether a column of this type has times that need no unit."""
    return isinstance(kind, TimestampType | TimestampNTZType | DateType)


def epoch_milliseconds(kind: DataType, reading: TimeReading) -> Column:
    """The column timestamp as epoch ms, in this reading; null where it can't be read so, or is too large for a bigint."""
    if is_native(kind):
        return F.unix_millis(F.col("timestamp").cast("timestamp"))
    if reading.unit == "iso":
        return written_date(kind, reading)
    if reading.unit in ("us", "ns"):
        return _divided(kind, 1000 if reading.unit == "us" else 1_000_000)
    return _multiplied(kind, 1000 if reading.unit == "s" else 1)


def whole_number(kind: DataType) -> Column:
    """The column timestamp as a whole number, a fraction rounded; null where it is no number, or too large for a bigint."""
    column = F.col("timestamp")
    if isinstance(kind, IntegralType):
        return column.cast("bigint")
    double = column.try_cast("double")
    rounded = F.when(double.between(-LONGEST, LONGEST), F.round(double).cast("bigint"))
    return rounded if isinstance(kind, FractionalType) else F.coalesce(column.try_cast("bigint"), rounded)


def written_date(kind: DataType, reading: TimeReading) -> Column:
    """Epoch ms of the column timestamp where it is a date as the reading says (UTC where it has no zone), else null."""
    column = F.col("timestamp")
    if not isinstance(kind, StringType) and not reading.patterns:
        return F.lit(None).cast("bigint")
    text = column.try_cast("bigint").cast("string") if isinstance(kind, FractionalType) else column.cast("string")
    ways = [F.when(text.rlike(DAY), F.try_to_timestamp(with_offsets(text)))] if reading.iso else []
    return F.unix_millis(F.coalesce(*ways, *(by_pattern(text, pattern) for pattern in reading.patterns), F.lit(None)))


def by_pattern(text: Column, pattern: str) -> Column:
    """A text as a timestamp by a pattern, whatever the number of its spaces; a weekday that begins it is left out.

    Where the pattern reads an offset with a colon (XXX), names of zones are read as theirs (see `with_offsets`).
    """
    plain = F.trim(F.regexp_replace(text, r"\s+", " "))
    if re.match(WEEKDAY, pattern):
        plain = F.regexp_replace(plain, r"^\p{L}+[,.]? ?", "")
    plain = with_offsets(plain) if "XXX" in pattern else plain
    return F.try_to_timestamp(plain, F.lit(" ".join(re.sub(WEEKDAY, "", pattern).split())))


def with_offsets(text: Column) -> Column:
    """A text whose zone is written as an offset where it has one of the names in ZONES; null where it has another name.

    Java reads such a name as one of several zones: BST is British Summer Time, or Bougainville's, or Dhaka's.
    """
    names = F.create_map(*(F.lit(part) for pair in ZONES.items() for part in pair))
    offset = F.element_at(names, F.regexp_extract(text, NAMED_ZONE, 2))
    written = F.regexp_replace(text, F.lit(NAMED_ZONE), F.concat(F.lit("$1"), offset))
    return F.when(text.rlike(NAMED_ZONE), written).otherwise(text)


def unit_class(number: Column) -> Column:
    """The unit that the size of a number tells, as an index in UNITS: seconds up to 1e11, then milliseconds, and so on."""
    limits = (MILLISECONDS, TOO_LARGE, NANOSECONDS)
    index = F.lit(len(limits))
    for position, limit in reversed(list(enumerate(limits))):
        index = F.when(number.between(-limit, limit), position).otherwise(index)
    return index


def approximate_milliseconds(number: Column) -> Column:
    """Epoch ms of a number in the unit that its size tells, as a double."""
    index, double = unit_class(number), number.cast("double")
    factors = list(UNITS.values())
    milliseconds = double * factors[-1]
    for position, factor in reversed(list(enumerate(factors[:-1]))):
        milliseconds = F.when(index == position, double * factor).otherwise(milliseconds)
    return milliseconds


def reads_as_date(number: Column) -> Column:
    """Whether a whole number is a date without marks, such as 20150301."""
    possible = F.lit(False)
    for length in UNDIVIDED:
        possible |= number.between(19 * 10 ** (length - 2), 21 * 10 ** (length - 2))
    return possible & number.cast("string").rlike(DIGITS)


def check_patterns(spark: SparkSession, patterns: Sequence[str]) -> None:
    """Act: raise UserError for a pattern that Spark can't read dates by."""
    for pattern in patterns:
        said = f"input.time_format={pattern}"
        letters = "it takes Spark's datetime letters, such as yyyy-MM-dd HH:mm:ss, d/M/yyyy h:mm a or EEE MMM d HH:mm:ss Z yyyy"
        if "%" in pattern or "y" not in pattern:
            raise UserError(f"{said} has no year (y): {letters}")
        try:
            spark.range(1).select(by_pattern(F.lit("1"), pattern)).collect()
        except SPARK_ERRORS as error:
            reason = " ".join(str(error).split()).partition(" SQLSTATE")[0]
            raise UserError(f"{said} can't be read ({reason[:200]}): {letters}") from None


def _multiplied(kind: DataType, factor: int) -> Column:
    """The column timestamp as a whole number times the factor; null where it is no number, or too large."""
    column, long = F.col("timestamp"), F.lit(factor).cast("bigint")
    if isinstance(kind, IntegralType):
        return F.try_multiply(column.cast("bigint"), long)
    fraction = column.try_cast("double") * factor
    rounded = F.when(F.abs(fraction) <= LARGEST, F.round(fraction).cast("bigint"))
    return rounded if isinstance(kind, FractionalType) else F.coalesce(F.try_multiply(column.try_cast("bigint"), long), rounded)


def _divided(kind: DataType, divisor: int) -> Column:
    """The column timestamp divided by the divisor: of whole numbers without the remainder, of others rounded."""
    column = F.col("timestamp")
    quotient = F.call_function("div", column.try_cast("bigint"), F.lit(divisor).cast("bigint"))
    if isinstance(kind, IntegralType):
        return quotient
    fraction = column.try_cast("double") / divisor
    rounded = F.when(F.abs(fraction) <= LARGEST, F.round(fraction).cast("bigint"))
    return rounded if isinstance(kind, FractionalType) else F.coalesce(quotient, rounded)
