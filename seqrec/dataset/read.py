"""The interactions of a table of any supported format, under fixed names; nothing is parsed yet."""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    NullType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from seqrec.dataset.ids import clean_cell, id_column, number_column
from seqrec.dataset.lines import number_lines
from seqrec.dataset.parse import BAD_LINE
from seqrec.dataset.read_file import read_file
from seqrec.dataset.spark_tables import SPARK_TABLES
from seqrec.dataset.user_lists import item_rows
from seqrec.errors import UserError
from seqrec.tables import io
from seqrec.tables.input_table import InputTable, RatingColumns

LINELESS = (*SPARK_TABLES, "blocks")  # formats whose rows have no order of lines


class ExpectedType(NamedTuple):
    """The types of Spark that a column may have, and what to call them."""

    kinds: tuple[type[DataType], ...]
    words: str


PLAIN = (StringType, NumericType, DateType, TimestampType, TimestampNTZType, NullType)
VALUE = ExpectedType(PLAIN, "a plain value: numbers, text or times")
EXPECTED = {
    "items": ExpectedType((ArrayType, StringType), "a list"),
    "rating": ExpectedType((StringType, NumericType, NullType), "numbers"),
    "order": ExpectedType((*PLAIN, BooleanType), VALUE.words),
}


def read_interactions(spark: SparkSession, table: InputTable, columns: RatingColumns) -> DataFrame:
    """user_id, item_id, rating, timestamp, order and, of text, bad_line: ids bigint or text, the others as the input has them.

    Texts are without the spaces around them; null is what the input lacks, and text that holds nothing. Without a timestamp it is
    the position in the user's list, else the line in the one input file; then it acts, to count lines. Raises UserError for a
    missing file, one of another format, and a missing column or one of a wrong type.
    """
    names = (columns.user_id, columns.items or columns.item_id, columns.rating, columns.timestamp, columns.order)
    raw = read_file(spark, table, used=[name for name in names if name is not None])
    _require_columns(raw, table, columns)
    rows = item_rows(raw, table, columns) if columns.items is not None else _rating_rows(raw, table, columns)
    kinds, nulls = {field.name: field.dataType for field in rows.schema}, table.null_values
    return rows.select(
        id_column(F.col("user_id"), kinds["user_id"], nulls).alias("user_id"),
        id_column(F.col("item_id"), kinds["item_id"], nulls).alias("item_id"),
        number_column(rows, "rating", table).alias("rating"),
        clean_cell(F.col("timestamp"), kinds["timestamp"], nulls).alias("timestamp"),
        clean_cell(F.col("order"), kinds["order"], nulls).alias("order"),
        *([BAD_LINE] if BAD_LINE in rows.columns else []),
    )


def _require_columns(raw: DataFrame, table: InputTable, columns: RatingColumns) -> None:
    """Raise UserError for a column that isn't there or has a type that it can't have."""
    named = {"user_id": columns.user_id, "items": columns.items}
    if columns.items is None:
        named = {
            "user_id": columns.user_id,
            "item_id": columns.item_id,
            "rating": columns.rating,
            "timestamp": columns.timestamp,
            "order": columns.order,
        }
    for name, column in named.items():
        if column is None:
            continue
        if column not in raw.columns:
            remedy = f"set input.columns.{name}=COLUMN" + ("" if name in ("user_id", "item_id") else " or null")
            hint = f"; is input.delimiter={table.delimiter!r} right?" if table.format == "csv" else ""
            named_columns = ", ".join(name for name in raw.columns if name != BAD_LINE) or "none"
            raise UserError(f"{table.place} has no column {column!r}; it has {named_columns}: {remedy}{hint}")
        expected = EXPECTED.get(name, VALUE)
        kind = raw.schema[column].dataType
        if not isinstance(kind, expected.kinds):
            raise UserError(
                f"{table.place}: column {column!r} is {kind.simpleString()}, expected {expected.words} for input.columns.{name}"
            )


def _rating_rows(raw: DataFrame, table: InputTable, columns: RatingColumns) -> DataFrame:
    """The interactions of a table that has one row a rating, as they are."""
    time = columns.timestamp
    if time is None:
        if table.format in LINELESS:
            raise UserError(f"{table.place} has no order of lines: say which column is the time by input.columns.timestamp")
        raw, time = number_lines(raw)
    return raw.select(
        io.column(columns.user_id).alias("user_id"),
        io.column(columns.item_id).alias("item_id"),
        _optional(columns.rating).alias("rating"),
        io.column(time).alias("timestamp"),
        _optional(columns.order).alias("order"),
        *([io.column(BAD_LINE)] if BAD_LINE in raw.columns else []),
    )


def _optional(name: str | None) -> Column:
    """A column, or nulls where there is none."""
    return F.lit(None).cast("bigint") if name is None else io.column(name)
