"""Interactions from ratings of any supported format, by the names that the config maps; nothing is parsed yet."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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

NAMES = ("user_id", "item_id", "rating", "timestamp")  # of a CSV without header, where none are given
SEPARATORS = r"[\s,;|]+"  # between the items of a list that is text
Columns = Mapping[str, str | None]
log = logging.getLogger("seqrec")


class Expected(NamedTuple):
    """The types of Spark that a column may have, and what to call them."""

    kinds: tuple[type[DataType], ...]
    words: str


PLAIN = (StringType, NumericType, DateType, TimestampType, TimestampNTZType, NullType)
VALUE = Expected(PLAIN, "a plain value: numbers, text or times")
EXPECTED = {
    "items": Expected((ArrayType, StringType), "a list"),
    "rating": Expected((StringType, NumericType, NullType), "numbers"),
    "order": Expected((*PLAIN, BooleanType), VALUE.words),
}


def read_interactions(spark: SparkSession, *, path: str, format: str, columns: Columns, **text: Any) -> DataFrame:
    """user_id, item_id, rating, timestamp, order: ids bigint or text, the others as the input has them, null where it has none.

    Columns maps these names, and `items` for one row a user, to the input's; `text` is what else `read_file` takes. Without
    a timestamp it is the place in the user's list, else the line in the one input file (then it acts: lines are counted). Raises
    UserError for a missing file, one of another format, and a missing column or one of a wrong type, with those that are there.
    """
    lists = columns["items"]
    raw = read_file(spark, key="input", path=path, format=format, lists=lists, **text)
    _require(raw, columns, path=path, hint=f"; is input.delimiter={text['delimiter']!r} right?" if format == "csv" else "")
    return _explode(raw, columns, path=path) if lists is not None else _select(raw, columns)


def read_file(
    spark: SparkSession,
    *,
    key: str,
    path: str,
    format: str,
    delimiter: str,
    header: bool,
    names: Sequence[str] | None,
    encoding: str,
    lists: str | None = None,
) -> DataFrame:
    """Act: a file or folder as it is: CSV and JSON as text, but for JSON's column `lists`, a list of text.

    Of CSV and JSON the first line of each file is looked at, of Parquet its size. Raises UserError, naming the settings below
    `key`, for a missing file, one of another format, files of a CSV with other columns, and a folder that is being written.
    """
    _guard_path(path, key=key)
    where = files.absolute(path)
    try:
        if format == "parquet":
            table = io.read_parquet(spark, path)
            guard_sizes(table, key=key)
            return table
        lines = first_lines(spark, io.reader(spark, where).text(where))
        guard_text(lines, key=key)
        if format == "json":
            return _read_json(spark, where, encoding=encoding, items=lists)
        table = _read_csv(spark, where, delimiter=delimiter, header=header, names=names, encoding=encoding)
        if header:
            guard_headers(lines, key=key, encoding=encoding)
        return table
    except SPARK_ERRORS as error:
        raise unreadable(error, key=key, path=path, format=format) from None


def first_line(spark: SparkSession, *, path: str, format: str) -> str:
    """Act: the first line of a text input, shortened, for messages; empty for Parquet."""
    lines = [] if format == "parquet" else io.reader(spark, path).text(files.absolute(path)).head(1)
    return str(lines[0][0])[:120] if lines else ""


def _guard_path(path: str, *, key: str) -> None:
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


def _read_csv(
    spark: SparkSession, where: str, *, delimiter: str, header: bool, names: Sequence[str] | None, encoding: str
) -> DataFrame:
    """CSV as text, quotes doubled inside quotes; names replace those of a header."""
    reader = (
        io.reader(spark, where)
        .option("sep", delimiter)
        .option("header", header)
        .option("encoding", encoding)
        .option("escape", '"')
    )
    if header and names is None:
        return reader.csv(where)
    return reader.schema(StructType([StructField(name, StringType()) for name in names or NAMES])).csv(where)


def _read_json(spark: SparkSession, where: str, *, encoding: str, items: str | None) -> DataFrame:
    """JSON lines with every key as text, so that numbers keep all their digits, and the column of items as a list of text."""
    keys = head_keys(spark, where, encoding=encoding)
    kinds = [StructField(key, ArrayType(StringType()) if key == items else StringType()) for key in keys]
    return io.reader(spark, where).option("encoding", encoding).schema(StructType(kinds)).json(where)


def _require(raw: DataFrame, columns: Columns, *, path: str, hint: str) -> None:
    for name in ("user_id", "items") if columns["items"] is not None else (*NAMES, "order"):
        column = columns[name]
        if column is None:
            continue
        if column not in raw.columns:
            remedy = f"set input.columns.{name}=COLUMN" + ("" if name in ("user_id", "item_id") else " or null")
            raise UserError(f"{path} has no column {column!r}; it has {', '.join(raw.columns) or 'none'}: {remedy}{hint}")
        expected = EXPECTED.get(name, VALUE)
        kind = raw.schema[column].dataType
        if not isinstance(kind, expected.kinds):
            raise UserError(
                f"{path}: column {column!r} is {kind.simpleString()}, expected {expected.words} for input.columns.{name}"
            )


def _select(raw: DataFrame, columns: Columns) -> DataFrame:
    time = columns["timestamp"]
    if time is None:
        raw, time = number_lines(raw)
    ids = (id_column(_column(columns[name]), raw.schema[str(columns[name])].dataType).alias(name) for name in NAMES[:2])
    others = {"rating": columns["rating"], "timestamp": time, "order": columns["order"]}
    return raw.select(*ids, *(_column(column).alias(name) for name, column in others.items()))


def _explode(raw: DataFrame, columns: Columns, *, path: str) -> DataFrame:
    """One row an item of a user's list; a text is a JSON list, or ids between spaces, commas, semicolons or bars."""
    items, user = _column(columns["items"]), _column(columns["user_id"])
    if isinstance(raw.schema[str(columns["items"])].dataType, StringType):
        text = F.split(F.trim(items), SEPARATORS)
        items = F.coalesce(F.when(items.startswith("["), F.from_json(items, ArrayType(StringType()))), text)
    repeated = raw.groupBy(user.alias("user")).count().where(F.col("count") > 1).head(1)
    if repeated:
        raise UserError(
            f"{path}: user {repeated[0]['user']!r} has {repeated[0]['count']} rows; input.columns.items takes one row a user"
        )
    one = raw.select(user.alias("user_id"), F.posexplode(items).alias("timestamp", "item_id"))
    ids = (id_column(F.col(name), one.schema[name].dataType).alias(name) for name in NAMES[:2])
    return one.select(*ids, _column(None).alias("rating"), F.col("timestamp").cast("bigint"), _column(None).alias("order"))


def _column(name: str | None) -> Column:
    return F.lit(None).cast("bigint") if name is None else io.column(name)
