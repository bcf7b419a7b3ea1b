"""Cells of text without the spaces around them and without those that hold nothing; and ids as bigint or text."""

import re
from collections.abc import Sequence
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, FractionalType, IntegralType, NumericType, StringType

from seqrec.dataset.json_values import INFINITE
from seqrec.tables import io
from seqrec.tables.input_table import NULL_VALUES, InputTable

SPACES = " \t\r\n\u00a0\ufeff"  # around a cell, with the space of typesetters and the byte order mark
UNDECODED = "\ufffd"  # stands where bytes are no text in the encoding of a file
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
MOST = 2**63  # from here on an integer is none of Spark's
WHOLE = ".0"  # the end of whole numbers as pandas writes them in a column that has nulls


def clean_cell(column: Column, kind: DataType, null_values: Sequence[str] = NULL_VALUES) -> Column:
    """A cell without spaces around it, null if it holds nothing.

    A number is null if it is NaN or equals one of the null values. Other types are as they are.
    """
    if isinstance(kind, NumericType):
        there = ~F.isnan(column) if isinstance(kind, FractionalType) else F.lit(True)
        nulls = _null_numbers(null_values, kind)
        return F.when(there & ~column.isin(nulls) if nulls else there, column)
    if not isinstance(kind, StringType):
        return column
    trimmed = F.trim(column, F.lit(SPACES))
    return F.when(~trimmed.isin(list(null_values)), trimmed) if null_values else trimmed


def _null_numbers(null_values: Sequence[str], kind: NumericType) -> list[Column]:
    """The null values that are numbers, as literals; of a column of integers only the whole ones."""
    numbers = [Decimal(value) for value in null_values if NUMBER.fullmatch(value)]
    if isinstance(kind, IntegralType):
        return [F.lit(int(number)) for number in numbers if number == int(number) and abs(number) < MOST]
    return [F.lit(float(number)).cast(kind) for number in numbers]


def number_column(table: DataFrame, name: str, source: InputTable) -> Column:
    """A column of numbers, cleaned; of text with a point before the decimals."""
    kind = table.schema[name].dataType
    cell = clean_cell(io.column(name), kind, source.null_values)
    return F.replace(cell, F.lit(","), F.lit(".")) if source.decimal == "," and isinstance(kind, StringType) else cell


def id_column(column: Column, kind: DataType, null_values: Sequence[str] = NULL_VALUES) -> Column:
    """An id as bigint or text, cleaned; null for an infinite number.

    Whole numbers of a fractional column (pandas makes them beside nulls) lose their `.0`.
    """
    cell = clean_cell(column, kind, null_values)
    if isinstance(kind, IntegralType):
        return cell.cast("bigint")
    if isinstance(kind, FractionalType):
        whole = cell.try_cast("bigint")
        return F.when(whole.cast(kind) == cell, whole.cast("string")).otherwise(cell.cast("string"))
    return F.when(~cell.isin(*INFINITE), cell) if isinstance(kind, StringType) else cell.cast("string")


def typed_id(column: Column, kind: DataType, wanted: str) -> Column:
    """An id as bigint or string, null where it can't be one; as bigint a text such as 12.0 is 12."""
    if wanted != "bigint" or not isinstance(kind, StringType):
        return column.try_cast(wanted)
    return _without_zero(column).try_cast("bigint")


def is_lossy(column: Column, kind: DataType) -> Column:
    """Whether an id is there and would lose something as a bigint: whether it isn't the text of an integer, or that and `.0`."""
    if isinstance(kind, IntegralType):
        return F.lit(False)
    text = _without_zero(column)
    return column.isNotNull() & ~text.try_cast("bigint").cast("string").eqNullSafe(text)


def is_undecoded(column: Column, kind: DataType) -> Column:
    """Whether an id has a letter that stands for bytes which are no text: several ids may have become the same."""
    return column.contains(UNDECODED) if isinstance(kind, StringType) else F.lit(False)


def _without_zero(text: Column) -> Column:
    """A text without `.0` at its end."""
    return F.when(text.endswith(WHOLE), F.substring(text, F.lit(1), F.length(text) - len(WHOLE))).otherwise(text)
