"""The items that are looked up, and their titles, from any file of items."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from seqrec.catalogue.item_file import FileKind, read_item_file
from seqrec.catalogue.item_roles import choose_id, choose_title, named_column
from seqrec.enrichment.facts import one_line
from seqrec.errors import UserError
from seqrec.storage.metadata import IdType

MOST_REPEATED = 0.5  # share of rows that may repeat an id: above it, the table is none of items
LEAST, MOST = -(2**63), 2**63 - 1


class Item(NamedTuple):
    """An item: its id, an int or a text by the type of all ids, and its title if it has one."""

    id: int | str
    title: str | None

    @property
    def text_id(self) -> str:
        """The id as text."""
        return str(self.id)


@dataclass(frozen=True, kw_only=True)
class CatalogueItems:
    """Items, each once, in the order of the file; the type of their ids; and how many rows had no id, or repeated one.

    `words` say where they are from.
    """

    items: Sequence[Item]
    id_type: IdType
    counts: dict[str, int]
    words: str


def read_catalogue_items(path: str, *, id_column: str | None, title_column: str | None, id_type: str) -> CatalogueItems:
    """The items of a file (CSV with or without header, JSON lines, Parquet, a versioned folder); columns are found unless named.

    Raises UserError if the file can't be read, its columns can't be told apart, it has no item, or most rows repeat an id.
    """
    file = read_item_file(path, FileKind(key="items.path"))
    id_name = choose_id(file, id_column, option="items.id=COLUMN")
    option = "items.title=COLUMN"
    title_name = named_column(file, title_column, option=option) if title_column else choose_title(file, id_name, option=option)
    ids, titles = _texts(file.table[id_name]), [one_line(text) for text in _texts(file.table[title_name])]
    found = typed_items(zip(ids, titles, strict=True), id_type=id_type, where=f"{path}: column {id_name}")
    repeated = found.counts["repeated"]
    if repeated > MOST_REPEATED * len(ids):
        raise UserError(
            f"{path}: {repeated:,} of {len(ids):,} rows repeat an id of the column {id_name}: a table of items has a row an "
            "item; give that, or set items.id=COLUMN"
        )
    words = "; ".join([f"{path}: ids in {id_name}, titles in {title_name}", *file.remarks])
    return CatalogueItems(items=found.items, id_type=found.id_type, counts=found.counts, words=words)


def typed_items(rows: Iterable[tuple[str, str | None]], *, id_type: str, where: str) -> CatalogueItems:
    """Items of ids as text and titles; id_type auto is bigint where all ids are whole numbers that lose nothing.

    Raises UserError if no row has an id, or where bigint is wanted and an id is no such number.
    """
    present, without = [], 0
    for text, title in rows:
        if text:
            present.append((text, title or None))
        else:
            without += 1
    if not present:
        raise UserError(f"{where} has no id in any row: give a table of items as items.path, or set items.id=COLUMN")
    odd = next((text for text, _ in present if whole_number(text) is None), None)
    if id_type == "bigint" and odd is not None:
        raise UserError(f"{where} has {odd!r}, which is no bigint: check items.id, or set id_type=string")
    kind: IdType = "bigint" if odd is None and id_type != "string" else "string"
    items: dict[int | str, str | None] = {}
    for text, title in present:
        number = whole_number(text)
        items.setdefault(number if kind == "bigint" and number is not None else text, title)
    untitled = sum(title is None for title in items.values())
    counts = {"items": len(items), "untitled": untitled, "without_id": without, "repeated": len(present) - len(items)}
    return CatalogueItems(items=[Item(*item) for item in items.items()], id_type=kind, counts=counts, words=where)


def whole_number(text: str) -> int | None:
    """The number of 64 bits that a text is, also one written as 318.0; None where a number would lose something, as of 007.

    >>> whole_number("318"), whole_number("318.0"), whole_number("007"), whole_number("-1"), whole_number("B00")
    (318, 318, None, -1, None)
    """
    plain = text.removesuffix(".0")
    if not plain.removeprefix("-").isdecimal() or not plain.isascii():
        return None
    number = int(plain) if len(plain) < 21 else MOST + 1
    return number if str(number) == plain and LEAST <= number <= MOST else None


def _texts(column: pa.ChunkedArray) -> list[str]:
    """A column's values as trimmed text, an empty one for null and NaN."""
    return ["" if value is None or value != value else str(value).strip() for value in column.to_pylist()]
