"""Rows of a table as MongoDB documents, straight from Arrow.

A column becomes a list of Python values at once, which is faster than going through rows. Nested columns are taken apart to
their plain ones, and those are put together again as lists and dicts.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegralType,
    MapType,
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

MOST_DIGITS = 34  # of a BSON decimal
PLAIN = (
    StringType | BooleanType | IntegralType | FloatType | DoubleType | BinaryType | DateType | TimestampType | TimestampNTZType
)


class BsonTypes(NamedTuple):
    """How BSON's own types are made: its int64, its date (from milliseconds since 1970, UTC), its decimal."""

    integer: Callable[[int], Any]
    date: Callable[[int], Any]
    decimal: Callable[[Decimal], Any]


def to_documents(batch: pa.RecordBatch, *, publish_id: str, types: BsonTypes) -> list[dict[str, Any]]:
    """One document a row: all its columns, and publish_id.

    Arrays are lists, structs and maps are documents, dates are midnights in UTC, timestamps are cut to milliseconds, and nulls
    stay nulls.

    >>> items = pa.array([[{"item_id": 7, "score": 0.5}], None])
    >>> when = pa.array([1000, None], pa.timestamp("ms", tz="UTC"))
    >>> batch = pa.RecordBatch.from_arrays([pa.array(["$where", ""]), items, when], ["_id", "items", "at"])
    >>> for document in to_documents(batch, publish_id="p", types=BsonTypes(integer=int, date=int, decimal=str)):
    ...     print(document)
    {'_id': '$where', 'items': [{'item_id': 7, 'score': 0.5}], 'at': 1000, 'publish_id': 'p'}
    {'_id': '', 'items': None, 'at': None, 'publish_id': 'p'}
    """
    columns = [_values(column, types) for column in batch.columns]
    return _named((*batch.schema.names, "publish_id"), [*columns, [publish_id] * batch.num_rows])


def extend_batches(batches: Iterable[pa.RecordBatch], *, table: pa.Table) -> Iterator[pa.RecordBatch]:
    """Batches with the fields of a table in each element of their lists, items and next_items, see `extend_lists`."""
    for batch in batches:
        arrays = [
            extend_lists(column, table) if name in ("items", "next_items") else column
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, batch.schema.names)


def extend_lists(lists: pa.ListArray, table: pa.Table) -> pa.ListArray:
    """Lists with the fields of a table (item_id, …) in each element, and in those of its own list `because`.

    They are null where the table lacks the item.

    >>> lists = pa.array([[{"item_id": 7}], [{"item_id": 8}, {"item_id": 7}], []])
    >>> extend_lists(lists, pa.table({"item_id": [7], "title": ["Heat"]})).to_pylist()
    [[{'item_id': 7, 'title': 'Heat'}], [{'item_id': 8, 'title': None}, {'item_id': 7, 'title': 'Heat'}], []]
    """
    entries = lists.flatten()
    rows = pc.index_in(entries.field("item_id"), value_set=table["item_id"])
    fields = {field.name: entries.field(field.name) for field in entries.type}
    if "because" in fields:
        fields["because"] = extend_lists(fields["because"], table)
    fields |= {name: _taken(table[name], rows) for name in table.column_names[1:]}
    longer = pa.StructArray.from_arrays([*fields.values()], [*fields])
    return pa.ListArray.from_arrays(pc.subtract(lists.offsets, lists.offsets[0]), longer)


def columns_not_for_bson(schema: StructType) -> list[str]:
    """The columns that BSON can't hold, with their types.

    These are decimals of more than 34 digits, maps with other keys than strings and integers, intervals and the like.
    """
    return [f"{field.name} ({field.dataType.simpleString()})" for field in schema if not _fits(field.dataType)]


def cut_batches(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches in pieces of at most `rows` rows: only so many are held as Python objects at a time."""
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _fits(kind: DataType) -> bool:
    """Whether BSON can hold values of a type."""
    if isinstance(kind, ArrayType):
        return _fits(kind.elementType)
    if isinstance(kind, StructType):
        return all(_fits(field.dataType) for field in kind)
    if isinstance(kind, MapType):
        return isinstance(kind.keyType, StringType | IntegralType) and _fits(kind.valueType)
    if isinstance(kind, DecimalType):
        return kind.precision <= MOST_DIGITS
    return isinstance(kind, PLAIN)


def _values(column: pa.Array, types: BsonTypes) -> list[Any]:
    """The column's elements as Python values; None where one is null."""
    kind = column.type
    if not len(column):
        return []
    if pa.types.is_map(kind):
        return _maps(column, types)
    if pa.types.is_list(kind):
        return _lists(column, types)
    if pa.types.is_struct(kind):
        fields = [_values(field, types) for field in column.flatten()]
        return _with_nulls(column, _named(tuple(field.name for field in kind), fields))
    if pa.types.is_int64(kind):
        return _converted(column, types.integer)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        milliseconds = column.cast(pa.timestamp("ms", tz=getattr(kind, "tz", None)), safe=False)
        return _converted(milliseconds.cast(pa.int64()), types.date)
    if pa.types.is_decimal(kind):
        return [None if value is None else types.decimal(value) for value in column.to_pylist()]
    if pa.types.is_floating(kind) and not column.null_count:
        return list(column.to_numpy().tolist())
    return list(column.to_pylist())


def _lists(column: pa.ListArray, types: BsonTypes) -> list[Any]:
    """Arrays as lists: all their elements at once, then cut where each array ends."""
    first, size, ends = _extent(column)
    values = _values(column.values.slice(first, size), types)
    return _with_nulls(column, [values[start:end] for start, end in ends])


def _maps(column: pa.MapArray, types: BsonTypes) -> list[Any]:
    """Maps as dicts, their keys as strings."""
    first, size, ends = _extent(column)
    keys = column.keys.slice(first, size).cast(pa.string()).to_pylist()
    values = _values(column.items.slice(first, size), types)
    return _with_nulls(column, [dict(zip(keys[start:end], values[start:end], strict=True)) for start, end in ends])


def _extent(column: pa.ListArray) -> tuple[int, int, list[tuple[int, int]]]:
    """Where the elements of all lists begin, how many there are, and where each list begins and ends among them."""
    offsets = column.offsets.to_pylist()
    first = offsets[0]
    return first, offsets[-1] - first, [(start - first, end - first) for start, end in pairwise(offsets)]


def _converted(column: pa.Array, make: Callable[[int], Any]) -> list[Any]:
    """A column of integers as values of a BSON type; equal integers share one value."""
    encoded = column.dictionary_encode()
    values = [make(value) for value in encoded.dictionary.to_pylist()]
    return [None if index is None else values[index] for index in encoded.indices.to_pylist()]


def _named(names: tuple[str, ...], columns: list[list[Any]]) -> list[dict[str, Any]]:
    """A dict a row, from the columns and their names."""
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _with_nulls(column: pa.Array, values: list[Any]) -> list[Any]:
    """The column's values, with None for those that are null in the column."""
    if not column.null_count:
        return values
    return [None if null else value for value, null in zip(values, column.is_null().to_pylist(), strict=True)]


def _taken(column: pa.ChunkedArray, rows: pa.Array) -> pa.Array:
    """A column's values at some rows; null where the row is."""
    values = column.combine_chunks()
    return (values.chunk(0) if isinstance(values, pa.ChunkedArray) else values).take(rows)
