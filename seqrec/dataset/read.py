"""A table of any supported format as Spark reads it, and its interactions under fixed names; nothing is parsed yet."""

import logging
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
    StructField,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from seqrec.dataset.input_files import first_lines, guard_headers, guard_sizes, guard_text
from seqrec.dataset.lines import head_keys, number_lines
from seqrec.dataset.parse import id_column
from seqrec.dataset.unreadable import SPARK_ERRORS, unreadable
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io
from seqrec.tables.input_table import InputTable, RatingColumns

NAMES = ("user_id", "item_id", "rating", "timestamp")  # of the columns of a CSV without header, by default
SEPARATORS = r"[\s,;|]+"  # between the items of a list that is text
log = logging.getLogger("seqrec")


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
    """user_id, item_id, rating, timestamp, order: ids bigint or text, the others as the input has them, null where it has none.

    Without a timestamp it is the position in the user's list, else the line in the one input file; then it acts, to count lines.
    Raises UserError for a missing file, one of another format, and a missing column or one of a wrong type.
    """
    raw = read_file(spark, table, lists=columns.items)
    _require_columns(raw, table, columns)
    return _one_row_an_item(raw, table, columns) if columns.items is not None else _one_row_a_rating(raw, columns)


def read_file(spark: SparkSession, table: InputTable, *, lists: str | None = None) -> DataFrame:
    """Act: a table as it is: CSV and JSON as text, but for JSON's column `lists`, which is a list of text.

    Of CSV and JSON the first line of each file is looked at, of Parquet its size. Raises UserError for a missing file, one of
    another format, files of a CSV with other columns, and a folder that is being written.
    """
    _guard_path(table)
    where = files.absolute(table.path)
    try:
        if table.format == "parquet":
            raw = io.read_parquet(spark, table.path)
            guard_sizes(raw, table)
            return raw
        lines = first_lines(spark, io.reader(spark, where).text(where))
        guard_text(lines, table)
        if table.format == "json":
            return _read_json(spark, where, encoding=table.encoding, lists=lists)
        raw = _read_csv(spark, where, table)
        if table.header:
            guard_headers(lines, table)
        return raw
    except SPARK_ERRORS as error:
        raise unreadable(error, table) from None


def first_line(spark: SparkSession, table: InputTable) -> str:
    """Act: the first line of a table of text, shortened, for messages; empty for Parquet."""
    lines = [] if table.format == "parquet" else io.reader(spark, table.path).text(files.absolute(table.path)).head(1)
    return str(lines[0][0])[:120] if lines else ""


def _guard_path(table: InputTable) -> None:
    """Raise UserError for a path that isn't there or is being written; warn of a Delta table."""
    key, path = table.key, table.path
    if not files.exists(path):
        if any(mark in path for mark in "*?[{"):
            return  # a pattern: Spark says where it matches nothing
        raise UserError(f"{key}.path={path}: no such file or folder")
    if files.exists(files.join(path, "_temporary")):
        raise UserError(
            f"{key}.path={path} is still being written, or the job that wrote it was stopped: it holds the folder _temporary; "
            "wait until it is whole, or write it again"
        )
    if files.exists(files.join(path, "_delta_log")):
        log.warning("%s.path=%s is a Delta table: all its Parquet files are read, those of older versions too", key, path)


def _read_csv(spark: SparkSession, where: str, table: InputTable) -> DataFrame:
    """CSV as text; a quote inside quotes is doubled."""
    reader = io.reader(spark, where).options(sep=table.delimiter, header=table.header, encoding=table.encoding, escape='"')
    if table.header and table.names is None:
        return reader.csv(where)
    return reader.schema(StructType([StructField(name, StringType()) for name in table.names or NAMES])).csv(where)


def _read_json(spark: SparkSession, where: str, *, encoding: str, lists: str | None) -> DataFrame:
    """JSON lines with every key as text, so that numbers keep all their digits; the column `lists` is a list of text."""
    keys = head_keys(spark, where, encoding=encoding)
    kinds = [StructField(key, ArrayType(StringType()) if key == lists else StringType()) for key in keys]
    return io.reader(spark, where).option("encoding", encoding).schema(StructType(kinds)).json(where)


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
            raise UserError(f"{table.path} has no column {column!r}; it has {', '.join(raw.columns) or 'none'}: {remedy}{hint}")
        expected = EXPECTED.get(name, VALUE)
        kind = raw.schema[column].dataType
        if not isinstance(kind, expected.kinds):
            raise UserError(
                f"{table.path}: column {column!r} is {kind.simpleString()}, expected {expected.words} for input.columns.{name}"
            )


def _one_row_a_rating(raw: DataFrame, columns: RatingColumns) -> DataFrame:
    """The interactions of a table that has one row a rating."""
    time = columns.timestamp
    if time is None:
        raw, time = number_lines(raw)
    return raw.select(
        _id(raw, columns.user_id).alias("user_id"),
        _id(raw, columns.item_id).alias("item_id"),
        _optional(columns.rating).alias("rating"),
        io.column(time).alias("timestamp"),
        _optional(columns.order).alias("order"),
    )


def _one_row_an_item(raw: DataFrame, table: InputTable, columns: RatingColumns) -> DataFrame:
    """The interactions of a table that has one row a user, with a list of items.

    A list that is text is JSON, or ids between spaces, commas, semicolons or bars.
    """
    name, user = str(columns.items), io.column(columns.user_id)
    items = io.column(name)
    if isinstance(raw.schema[name].dataType, StringType):
        words = F.split(F.trim(items), SEPARATORS)
        items = F.coalesce(F.when(items.startswith("["), F.from_json(items, ArrayType(StringType()))), words)
    repeated = raw.groupBy(user.alias("user")).count().where(F.col("count") > 1).head(1)
    if repeated:
        raise UserError(
            f"{table.path}: user {repeated[0]['user']!r} has {repeated[0]['count']} rows; "
            "input.columns.items takes one row a user"
        )
    exploded = raw.select(user.alias("user_id"), F.posexplode(items).alias("timestamp", "item_id"))
    return exploded.select(
        _id(exploded, "user_id").alias("user_id"),
        _id(exploded, "item_id").alias("item_id"),
        _optional(None).alias("rating"),
        F.col("timestamp").cast("bigint"),
        _optional(None).alias("order"),
    )


def _id(table: DataFrame, name: str) -> Column:
    """A column of ids, as `id_column` takes it."""
    return id_column(io.column(name), table.schema[name].dataType)


def _optional(name: str | None) -> Column:
    """A column, or nulls where there is none."""
    return F.lit(None).cast("bigint") if name is None else io.column(name)
