"""Titles of items, from any file that has an id and a title.

titles = read_titles("movies.csv")
titles.of(318)    # 'Shawshank Redemption, The (1994)'
titles.words      # '9,742 titles in movies.csv: column title, by movieId'
"""

import argparse
import csv
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from seqrec.catalogue.item_file import ItemFile, read_item_file
from seqrec.catalogue.item_roles import choose_columns
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

OPTION = "--title-columns ID,TITLE"
WHOLE = re.compile(r"[+-]?\d+(\.0+)?")
MOST_REPEATED = 0.5  # share of lines that may repeat an id: above it, the table is none of items

Id = int | str


@dataclass(frozen=True)
class Titles:
    """Titles by the id's text, in words where they are from, and the option that says which columns are meant."""

    texts: Mapping[str, str]
    words: str
    option: str = OPTION

    def of(self, item_id: Id) -> str | None:
        """The title of an item; None if it has none. An integer is found however it is written, such as 0318 or 318.0."""
        return self._numbers.get(item_id) if isinstance(item_id, int) else self.texts.get(item_id)

    def shown(self, item_id: Id) -> str:
        """The title, or the id of an item that has none."""
        return self.of(item_id) or f"item {item_id}"

    def mismatch(self, item_ids: Iterable[Id]) -> str | None:
        """In words, that none of the items has a title, so that the column of ids must be another one; None if one has."""
        ids = list(item_ids)
        if not ids or not self.texts or any(self.of(item_id) is not None for item_id in ids):
            return None
        shown, there = (", ".join(map(repr, list(some)[:3])) for some in (ids, self.texts))
        strangers = f"but its ids ({there}, …) are none of the items' ({shown}, …)"
        return f"{self.words}; {strangers}: {self.option} says which columns are right"

    @cached_property
    def _numbers(self) -> dict[int, str]:
        """The titles whose ids are whole numbers, by number."""
        return {int(text.partition(".")[0]): title for text, title in self.texts.items() if WHOLE.fullmatch(text)}


NO_TITLES = Titles({}, "no titles")
FROM_CODE = "titles=read_titles(FILE, 'ID,TITLE')"  # what says, from code, which columns of a file of titles are meant

TitleSource = str | Mapping[int, str] | Mapping[str, str] | Titles | None  # a file of titles, or the titles themselves


def read_titles(path: str, columns: str | None = None, *, option: str = OPTION) -> Titles:
    """The titles in a file: CSV with or without header, JSON lines, Parquet, or the folder of build_features.

    `columns` names the columns of id and title, such as "asin,name", or counts them from 1; without it they are found. Where an
    id occurs again, its first title stands. Raises UserError if the file can't be read, or if columns can't be told apart.
    """
    file = read_item_file(path)
    chosen = two_columns(columns, option) if columns else []
    found = choose_columns(file, chosen, option=option)
    texts: dict[str, str] = {}
    repeated = untitled = 0
    for item_id, title in zip(_column(file, found.id), _column(file, found.title), strict=True):
        if not item_id or not title:
            untitled += 1
        elif item_id in texts:
            repeated += 1
        else:
            texts[item_id] = title
    if repeated > MOST_REPEATED * len(file.table):
        raise UserError(
            f"{path}: {repeated:,} of {len(file.table):,} lines repeat an id of the column {found.id}: a table of titles has "
            f"a line an item; give that, or say which columns are right by {option}"
        )
    counts = {"without id or title": untitled, "repeat an id": repeated}
    remarks = [*file.remarks, *(f"{count:,} {what}" for what, count in counts.items() if count)]
    left = "".join(f"; {remark}" for remark in remarks)
    return Titles(texts, f"{len(texts):,} titles in {path}: {_said('column', file, found.title)}, by {found.id}{left}", option)


def add_title_options(parser: argparse.ArgumentParser) -> None:
    """Add --titles and --title-columns to a command line; `titles_of` reads what they name."""
    parser.add_argument("--titles", metavar="FILE", help="titles of the items: CSV, JSON lines or Parquet with an id and a title")
    parser.add_argument(
        "--title-columns", metavar="ID,TITLE", help="the file's columns, by name or number; without it they are found"
    )


def titles_of(options: argparse.Namespace, *, option: str = OPTION) -> Titles:
    """The titles that a command line names; none if it names no file."""
    if not options.titles:
        if options.title_columns:
            raise UserError(f"{option} says how a file of titles is read: give that file too")
        return NO_TITLES
    titles = read_titles(options.titles, options.title_columns, option=option)
    log.info("%s", titles.words)
    return titles


def _column(file: ItemFile, name: str) -> list[str]:
    """A column's values as trimmed text; an empty one for null."""
    return [str(value).strip() if value is not None else "" for value in file.table[name].to_pylist()]


def _said(word: str, file: ItemFile, name: str) -> str:
    """A column in words; without header it has a number."""
    return f"{word} {name}" if file.header else f"without header, {word} {name}"


def two_columns(columns: str, option: str = OPTION) -> list[str]:
    """The two names in a text such as `asin,"name, long"`; UserError if there aren't two."""
    names = [name.strip() for name in next(csv.reader([columns], skipinitialspace=True), [])]
    if len(names) != 2 or not all(names):
        raise UserError(f"{columns!r} names {len(names)} columns: {option} takes two, such as movieId,title or 1,2")
    return names


def titles_from_code(given: TitleSource) -> Titles:
    """The titles that code gives: {id: title}, a file of them, or titles that were read."""
    if isinstance(given, Mapping):
        return Titles({str(item_id): title for item_id, title in given.items()}, f"{len(given):,} titles", FROM_CODE)
    if isinstance(given, str):
        return read_titles(given, option=FROM_CODE)
    return given or NO_TITLES
