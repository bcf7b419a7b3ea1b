"""The segment of each user, such as a country, from a file of users."""

from dataclasses import dataclass

import pyarrow as pa

from seqrec.catalogue.item_columns import cell_values
from seqrec.catalogue.item_fields import ItemFields
from seqrec.catalogue.item_file import FileKind, ItemFile, read_item_file
from seqrec.catalogue.item_roles import named_column, plain_name
from seqrec.errors import UserError

USER_NAMES = ("userid", "user", "uid", "customerid", "id")
FILE, KEY, COLUMN = "user_table", "user_key=COLUMN", "popular_by"


@dataclass(frozen=True)
class UserSegments:
    """Users (U,), each once, their segments (U,), null for a user without one, and in words where they are from."""

    users: pa.Array
    names: pa.Array
    words: str


def read_user_segments(path: str, column: str, *, kind: pa.DataType, key: str | None = None) -> UserSegments:
    """The segments in a column of a file of users (CSV, JSON lines, Parquet) or build_features' folder, for ids of a type.

    `key` names the column of the ids; None: it is found by its name. The first row of a user stands. Raises UserError if the file
    can't be read, lacks a column, or has no segment.
    """
    named = [name for name in (column, key) if name and not name.isdecimal()]
    named += [name for name in USER_NAMES if name.endswith("id")]  # "user" may be a segment
    file = read_item_file(path, FileKind(rows="users", key=FILE, table="users", header=named))
    id_name = _id_name(file) if key is None else named_column(file, key, option=KEY)
    name = named_column(file, column, option=COLUMN)
    texts = [None if value is None else str(value).strip() for value in file.table[id_name].to_pylist()]
    segments = [", ".join(cell_values(cell, "\0")) or None for cell in file.table[name].to_pylist()]
    fields = ItemFields(pa.table({"item_id": pa.array(texts, pa.string()), "segment": pa.array(segments, pa.string())}), "")
    table = fields.typed(kind)
    found = len({segment for segment in segments if segment})
    if not found:
        raise UserError(f"{path}: column {name} has no value, so that {COLUMN}={column} makes no segment: take another column")
    without = table["segment"].null_count
    words = f"{found:,} segments by {name} of {path}, for {table.num_rows:,} users by {id_name}, {without:,} of them without one"
    told = "; ".join([words, *file.remarks, *fields.left_out(table)])
    return UserSegments(_plain(table["item_id"]), _plain(table["segment"]), told)


def _id_name(file: ItemFile) -> str:
    """The column of the users' ids, by its name; UserError if none or several are known."""
    plain = {name: plain_name(name) for name in file.names}
    for known in USER_NAMES:
        if len(names := [name for name, text in plain.items() if text == known]) == 1:
            return names[0]
    raise UserError(f"{file.path}: no column is known for the users' ids; it has {', '.join(file.names)}: set {KEY}")


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column in one piece."""
    pieces = column.combine_chunks()
    return pieces.chunk(0) if isinstance(pieces, pa.ChunkedArray) else pieces
