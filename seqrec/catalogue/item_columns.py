"""Columns of a file of items as values by item: a genre, several of them, a number.

    columns = read_item_columns("movies.csv", ["genres", "year"])
    columns.typed(pa.int64()).values["genres"]    # [['Comedy', 'Drama'], ['War'], …], a list an item

A cell of text holds several values between delimiters, or is a JSON list; Parquet and JSON lines may hold lists. Numbers are
written as text, booleans as true and false; null and NaN are no values.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from seqrec.catalogue.item_fields import FieldOptions, ItemFields, read_item_fields


@dataclass(frozen=True)
class ItemColumns:
    """Items, each once, their values in some columns, distinct in each, and in words where they are from."""

    ids: pa.Array
    values: dict[str, list[list[str]]]
    words: str


def read_item_columns(
    path: str, names: Sequence[str], *, kind: pa.DataType, key: str | None = None, delimiter: str = "|", options: FieldOptions
) -> ItemColumns:
    """The columns of a file of items or of build_features' folder, for ids of a type, int64 or string.

    `key` names the column of the ids; None: it is found. `options` say the file, the key and the columns, for messages. The first
    row of an id stands. Raises UserError if the file can't be read, or lacks a column.
    """
    fields: ItemFields = read_item_fields(path, list(names), key=key, options=options, lists=names)
    table = fields.typed(kind)
    values = {name: [cell_values(cell, delimiter) for cell in table[name].to_pylist()] for name in names}
    words = "; ".join([fields.words, *fields.left_out(table)])
    ids = table["item_id"].combine_chunks()
    return ItemColumns(ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids, values, words)


def cell_values(cell: Any, delimiter: str) -> list[str]:
    """The distinct values in a cell, in their order.

    >>> cell_values("Drama| War|Drama", "|"), cell_values('["War"]', "|"), cell_values(1995.0, "|"), cell_values(None, "|")
    (['Drama', 'War'], ['War'], ['1995'], [])
    >>> cell_values(float("nan"), "|"), cell_values([True, False], "|")
    ([], ['true', 'false'])
    """
    if cell is None:
        return []
    if isinstance(cell, str):
        cell = _listed(cell) if cell.lstrip().startswith("[") else cell
        parts = cell.split(delimiter) if isinstance(cell, str) else cell
    else:
        parts = cell if isinstance(cell, list) else [cell]
    texts = (_text(part) for part in parts if part is not None)
    return list(dict.fromkeys(text for text in texts if text and text != "None"))


def holds_vectors(kind: pa.DataType) -> bool:
    """Whether a column of this type has lists of numbers, whether Arrow says their length or not.

    >>> [holds_vectors(pa.list_(item, *size)) for item, size in ((pa.float64(), ()), (pa.float32(), (8,)), (pa.string(), ()))]
    [True, True, False]
    """
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(listed and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)))


def _text(value: Any) -> str:
    """A value as trimmed text, an empty one for NaN."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() else str(value)
    return str(value).strip()


def _listed(text: str) -> list[Any] | str:
    """The list that a text is in JSON; the text itself if it is none."""
    try:
        listed = json.loads(text)
    except ValueError:
        return text
    return listed if isinstance(listed, list) else text
