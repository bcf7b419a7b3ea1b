"""Times of any type as epoch milliseconds, and the unit of those that are numbers."""

from typing import NamedTuple

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, FractionalType, IntegralType, StringType, TimestampNTZType, TimestampType

from seqrec.errors import UserError

MILLISECONDS = 10**11  # numbers above are milliseconds: as seconds they lie after the year 5138
TOO_LARGE = 10**14  # above they are neither: as milliseconds they lie after the year 5138
LARGEST = 2**53  # a double holds all integers up to here
# What a whole date begins with. Spark takes less, too: it reads 12:30 as a time of today, and 2015-03 as the month's first day.
DAY = r"^\s*[+-]?\d{4,6}-\d{1,2}-\d{1,2}(?!\d)"
# A date or a date and time without marks between, of the years 1900 to 2099: 20150301, 201503011230, 20150301123000.
DIGITS = r"^(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(([01]\d|2[0-3])[0-5]\d([0-5]\d)?)?$"
LENGTHS = (8, 12, 14)


class TimeCounts(NamedTuple):
    """The usable rows whose time is a number, and those whose time is a date in ISO 8601; then kinds of the numbers.

    large       so large that they are milliseconds
    too_large   so large that they are neither seconds nor milliseconds
    overflow    too large for 64 bits once they are seconds times 1000
    undivided   dates without marks, such as 20150301; `example` is the smallest of them
    """

    numbers: int
    dates: int
    large: int
    too_large: int
    overflow: int
    undivided: int
    example: int | None


def is_native(kind: DataType) -> bool:
    """Whether a column of this type has times that need no unit."""
    return isinstance(kind, TimestampType | TimestampNTZType | DateType)


def epoch_number(kind: DataType, *, factor: int) -> Column:
    """The column timestamp as a whole number times the factor; of a native time epoch ms.

    Null where it is no number, or too large for a bigint.
    """
    column = F.col("timestamp")
    if is_native(kind):
        return F.unix_millis(column.cast("timestamp"))
    if isinstance(kind, IntegralType):
        return F.try_multiply(column.cast("bigint"), F.lit(factor).cast("bigint"))
    fraction = column.try_cast("double") * factor
    rounded = F.when(F.abs(fraction) <= LARGEST, F.round(fraction).cast("bigint"))
    if isinstance(kind, FractionalType):
        return rounded
    return F.coalesce(F.try_multiply(column.try_cast("bigint"), F.lit(factor).cast("bigint")), rounded)


def iso_milliseconds(kind: DataType) -> Column:
    """Epoch ms of the column timestamp where it is text in ISO 8601 with a whole date (UTC where it has no zone), else null."""
    text = F.col("timestamp")
    if not isinstance(kind, StringType):
        return F.lit(None).cast("bigint")
    return F.when(text.rlike(DAY), F.unix_millis(F.try_to_timestamp(text)))


def reads_as_date(number: Column) -> Column:
    """Whether a whole number is a date without marks, such as 20150301."""
    possible = F.lit(False)
    for length in LENGTHS:
        possible |= number.between(19 * 10 ** (length - 2), 21 * 10 ** (length - 2))
    return possible & number.cast("string").rlike(DIGITS)


def time_unit(wanted: str, kind: DataType, counts: TimeCounts) -> str:
    """The unit of a column of times: native, iso, s or ms. It is the wanted one, or with `auto` that of most of the times.

    Raises UserError if most numbers are too large for both units, or are dates without marks.
    """
    if is_native(kind):
        return "native"
    if wanted != "auto":
        return wanted
    if counts.dates > counts.numbers:
        return "iso"
    if 2 * counts.too_large > counts.numbers:
        raise UserError(
            "most timestamps are numbers above 1e14, neither epoch seconds nor milliseconds: divide micro- or nanoseconds, "
            "or set input.time_unit=ms to take the numbers as they are"
        )
    unit = "ms" if 2 * counts.large > counts.numbers else "s"
    if 2 * counts.undivided > counts.numbers:
        raise UserError(
            f"most timestamps are numbers such as {counts.example}, which is a date without marks or an epoch: write dates "
            f"as 2015-03-01, or set input.time_unit={unit} to take the numbers as epochs"
        )
    return unit
