"""Tables of items into one text an item: columns of several tables by priority, put into a template.

    texts, counts = item_texts(spark, tables, template, id_type="auto", max_bad_share=0.01)

A column that several tables have is taken, item by item, from the first table that has a value; all tables' items are there.
An item with several rows in a table has their distinct values, in order, with commas between them.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType

from seqrec.dataset.id_tables import choose_item_column, read_rows, require_columns
from seqrec.dataset.ids import clean_cell, id_column, is_lossy, typed_id
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.storage.metadata import IdType
from seqrec.tables import io
from seqrec.tables.input_table import InputTable
from seqrec.texts.templates import Template

log = logging.getLogger("seqrec")

TEXT = StringType()
BETWEEN = ", "  # values of a list, in a text


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table of items: where it is, its column of the id (None: found by name), and what separates the values in a column."""

    table: InputTable
    id: str | None = None
    separators: Mapping[str, str] = field(default_factory=dict)


class ItemTexts(NamedTuple):
    """item_id and text of all items, cached, the text null where an item has none; the type of the ids; and the counts.

    items, without_text   all items, and those of which no column has a value
    repeated              items with several rows in a table
    unusable              rows without a usable id, which are left out
    """

    table: DataFrame
    id_type: IdType
    counts: dict[str, int]


class OpenTable(NamedTuple):
    """A table as it was read, the name of its column of the id, and the id as text."""

    source: TextTable
    raw: DataFrame
    id: str
    value: Column


def item_texts(
    spark: SparkSession, tables: Sequence[TextTable], template: Template, *, id_type: str, max_bad_share: float
) -> ItemTexts:
    """Act: the texts of the tables' items. `id_type` is bigint, string or auto: bigint where all ids are whole numbers.

    Raises UserError for a column of the template that no table has, for tables without rows, for more than max_bad_share of rows
    without a usable id, and where no item has a text.
    """
    opened = [_open(spark, source, max_bad_share=max_bad_share) for source in tables]
    _require_template(opened, template)
    kind: IdType = "bigint" if id_type == "bigint" or (id_type == "auto" and not any(map(_is_text, opened))) else "string"
    unusable = sum(_count_unusable(table, kind, max_bad_share=max_bad_share) for table in opened)
    values = [_values(table, template, kind, place) for place, table in enumerate(opened)]
    joined = reduce(lambda left, right: left.join(right, "item_id", "full_outer"), values)
    merged = {column: F.coalesce(*_candidates(opened, column)) for column in template.columns}
    rows = F.array_max(F.array(*(F.coalesce(f"rows_{place}", F.lit(0)) for place in range(len(opened)))))
    texts = joined.select("item_id", template.text(merged).alias("text"), (rows > 1).alias("repeated")).persist()
    items, without, repeated = texts.agg(F.count(F.lit(1)), F.count_if(F.col("text").isNull()), F.count_if("repeated")).collect()[
        0
    ]
    counts = {"items": items, "without_text": without, "repeated": repeated, "unusable": unusable}
    if without == items:
        raise UserError(f"no item has a value of {', '.join(template.columns)}: take other columns, or another table")
    if repeated:
        log.warning("%d of %d items have several rows in a table: their values are joined by commas", repeated, items)
    return ItemTexts(texts.select("item_id", "text"), kind, counts)


def _open(spark: SparkSession, source: TextTable, *, max_bad_share: float) -> OpenTable:
    """Act: read a table, and find its column of the id."""
    with reading(source.table):
        raw = read_rows(spark, source.table, max_bad_share=max_bad_share)
    name = choose_item_column(raw, source.table, source.id)
    return OpenTable(source, raw, name, id_column(io.column(name), raw.schema[name].dataType, source.table.null_values))


def _require_template(opened: Sequence[OpenTable], template: Template) -> None:
    """Raise UserError for a column that no table has, or whose values are no text, and for a separator of a column not there."""
    for column in template.columns:
        if not any(column in table.raw.columns for table in opened):
            there = "; ".join(f"{table.source.table.place} has {', '.join(table.raw.columns)}" for table in opened)
            raise UserError(f"template names the column {column!r}, which no table has: {there}")
    for table in opened:
        path, kinds = table.source.table.place, table.raw.schema
        for column in template.columns:
            if column in table.raw.columns and _is_nested(kinds[column].dataType):
                kind = kinds[column].dataType.simpleString()
                raise UserError(f"{path}: column {column!r} is {kind}, a template takes text, numbers and lists of these")
        require_columns(table.raw, f"{table.source.table.key}.separators", sorted(table.source.separators), path=path)


def _is_nested(kind: DataType) -> bool:
    """Whether values are more than text, numbers and lists of these."""
    inner = kind.elementType if isinstance(kind, ArrayType) else kind
    return isinstance(inner, ArrayType | MapType | StructType)


def _is_text(table: OpenTable) -> bool:
    """Act: whether an id of a table isn't a whole number."""
    stored = table.raw.schema[table.id].dataType
    return not table.raw.where(is_lossy(table.value, stored)).isEmpty()


def _count_unusable(table: OpenTable, kind: str, *, max_bad_share: float) -> int:
    """Act: how many rows of a table have no id of a type; UserError if the table is empty, or they are too many."""
    path, key = table.source.table.place, table.source.table.key
    wrong = _typed(table, kind).isNull()
    example = F.min(F.when(wrong, F.coalesce(io.column(table.id).cast("string"), F.lit("null"))))
    with reading(table.source.table):
        rows, count, such = table.raw.agg(F.count(F.lit(1)), F.count_if(wrong), example).collect()[0]
    if not rows:
        raise UserError(f"{path} has no rows: give a table of items as {key}.path")
    message = f"{path}: {count:,} of {rows:,} values of {table.id} are no {kind} ids, such as {such!r}"
    if count > max_bad_share * rows:
        raise UserError(f"{message}, max_bad_share is {max_bad_share:g}: check {key}.id, or set id_type=string")
    if count:
        log.warning("%s: they are left out", message)
    return int(count)


def _typed(table: OpenTable, kind: str) -> Column:
    """The ids of a table by their type, null where there is none."""
    return typed_id(F.when(table.value.cast("string") != "", table.value), table.raw.schema[table.id].dataType, kind)


def _values(table: OpenTable, template: Template, kind: str, place: int) -> DataFrame:
    """item_id, the values of the template's columns as text, named by the table's place, and the number of rows."""
    columns = [column for column in template.columns if column in table.raw.columns]
    values = [_as_text(table, column).alias(_named(column, place)) for column in columns]
    rows = table.raw.select(_typed(table, kind).alias("item_id"), *values).where(F.col("item_id").isNotNull())
    joined = (
        F.nullif(F.array_join(F.sort_array(F.collect_set(io.column(name))), BETWEEN), F.lit("")).alias(name)
        for name in (_named(column, place) for column in columns)
    )
    return rows.groupBy("item_id").agg(F.count(F.lit(1)).alias(f"rows_{place}"), *joined)


def _as_text(table: OpenTable, column: str) -> Column:
    """A value as text without surplus blanks, null where there is none; of a list, its values with commas between them."""
    kind, nulls = table.raw.schema[column].dataType, table.source.table.null_values
    if isinstance(kind, ArrayType):
        parts = F.transform(io.column(column), lambda value: clean_cell(value.cast("string"), TEXT, nulls))
    elif separator := table.source.separators.get(column):
        cell = F.split(io.column(column).cast("string"), rf"\Q{separator}\E")
        parts = F.transform(cell, lambda value: clean_cell(value, TEXT, nulls))
    else:
        return _one_line(id_column(io.column(column), kind, nulls).cast("string"))
    return _one_line(F.array_join(parts, BETWEEN))


def _one_line(text: Column) -> Column:
    """A text with single blanks between its words, null where it is empty."""
    return F.nullif(F.trim(F.regexp_replace(text, r"\s+", " ")), F.lit(""))


def _named(column: str, place: int) -> str:
    """The name of a template's column in a join of tables."""
    return f"{place} {column}"


def _candidates(opened: Sequence[OpenTable], column: str) -> list[Column]:
    """The values of a column in the tables that have it, by priority."""
    return [io.column(_named(column, place)) for place, table in enumerate(opened) if column in table.raw.columns]
