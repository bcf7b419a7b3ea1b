"""Fields of items, such as their titles, that documents carry in their lists: read from a file of items.

    fields = read_item_fields("movies.csv", ["title"])
    fields.typed(pa.int64())    # item_id, title: a row an item

A field is a column of its name or, written FIELD=COLUMN, another one. The field `title` is the file's title where no column has
that name. Text stays text, and Parquet keeps its types.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from seqrec.catalogue.item_file import FileKind, ItemFile, read_item_file
from seqrec.catalogue.item_roles import choose_id, choose_title, named_column
from seqrec.catalogue.titles import WHOLE


class FieldOptions(NamedTuple):
    """What says, in a configuration, the file of items, its column of the ids, and the fields."""

    file: str
    key: str
    fields: str


OPTIONS = FieldOptions("mongo.item_table", "mongo.item_key=COLUMN", "mongo.item_columns")


@dataclass(frozen=True)
class ItemFields:
    """A table of the ids as text, in the column item_id, and of the fields; and in words where they are from."""

    table: pa.Table
    words: str

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return list(self.table.column_names[1:])

    def typed(self, kind: pa.DataType) -> pa.Table:
        """The table with ids of a type, int64 or string, each once: the first row of an id stands, and others are left out.

        Ids that are no integers of 64 bits are left out where the type is int64.
        """
        texts = self.table["item_id"].to_pylist()
        rows: dict[int | str, int] = {}
        for row, text in enumerate(texts):
            if text and not pa.types.is_int64(kind):
                rows.setdefault(text, row)
            elif text and WHOLE.fullmatch(text) and abs(number := int(text.partition(".")[0])) < 2**63:
                rows.setdefault(number, row)
        chosen = self.table.take(pa.array(rows.values(), pa.int64()))
        return chosen.set_column(0, "item_id", pa.array(rows, kind)).combine_chunks()

    def left_out(self, typed: pa.Table) -> list[str]:
        """In words, how many rows aren't in the table `typed`; nothing if all are."""
        left = self.table.num_rows - typed.num_rows
        return [f"{left:,} rows repeat an id, or have none of the type of the ids, and are left out"] if left else []

    @property
    def longest(self) -> int:
        """The most bytes that the fields of an item take as text, with room for their names and types."""
        sizes = [pc.max(pc.binary_length(self.table[name].cast(pa.string()))).as_py() or 0 for name in self._plain]
        return sum(sizes) + sum(len(name.encode()) + 16 for name in self.names)

    @property
    def _plain(self) -> list[str]:
        """The fields that are no lists or structs."""
        return [name for name in self.names if not pa.types.is_nested(self.table.schema.field(name).type)]


def read_item_fields(
    path: str, fields: Sequence[str], *, key: str | None = None, options: FieldOptions = OPTIONS, lists: Collection[str] = ()
) -> ItemFields:
    """The fields, each a column's name or FIELD=COLUMN, of a file of items or of build_features' folder.

    `key` names the column of the ids; None: it is found. `lists` are those of `read_item_file`. Raises UserError, which names the
    `options`, if the file can't be read, or lacks a column.
    """
    file = read_item_file(path, FileKind(key=options.file), lists=lists)
    id_name = choose_id(file, key, option=options.key)
    columns = {"item_id": [_text(value) for value in file.table[id_name].to_pylist()]}
    for field in fields:
        name, _, other = field.partition("=")
        column = file.table[_column(file, name, other, item_id=id_name, option=options.fields)]
        columns[name] = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    names = ", ".join(name for name in columns if name != "item_id")
    return ItemFields(pa.table(columns), "; ".join([f"{names} of {path}, by {id_name}", *file.remarks]))


def _text(value: object) -> str | None:
    """An id as trimmed text."""
    return None if value is None else str(value).strip()


def _column(file: ItemFile, field: str, other: str, *, item_id: str, option: str) -> str:
    """The column of a field: the one that it names, the one of its own name or, for `title`, the one that is found."""
    if other or field in file.names or field != "title":
        return named_column(file, other or field, option=option)
    return choose_title(file, item_id, option=f"{option}=[title=COLUMN]")
