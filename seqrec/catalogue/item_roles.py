"""Which column of a table of items is the id, and which the title: by name, else by content.

    movieId,title,genres            the names say it
    1::Toy Story (1995)::Animation  without header: the one column of distinct codes, and the one of distinct texts

Where two columns are possible, nothing is guessed: the error names them, and the option that chooses.
"""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from seqrec.errors import UserError

if TYPE_CHECKING:  # it asks this module whether a first row names the columns
    from seqrec.catalogue.item_file import ItemFile

ITEM_WORDS = (
    *("item", "movie", "film", "product", "prod", "track", "song", "artist", "album", "book", "article", "news", "post"),
    *("business", "video", "game", "app", "anime", "recipe", "course", "place", "venue", "show", "content"),
)
ID_NAMES = (  # by rank: a column of an earlier rank is taken before those of later ones
    {"itemid", *(f"{item}id" for item in ITEM_WORDS)},
    {"asin", "parentasin", "isbn", "isbn13", "sku", "iid"},
    {"id"},
)
TITLE_NAMES = (
    {"title", "itemtitle", *(f"{item}title" for item in ITEM_WORDS)},
    {"name", "itemname", *(f"{item}name" for item in ITEM_WORDS)},
    {"originaltitle", "headline", "label", "description"},
)
DISTINCT = 0.8  # share of a title column's values that are distinct: genres, brands and years aren't
TEXT = 0.9  # share of a title column's values that hold a letter
LETTER, DATE = re.compile(r"[^\W\d_]"), re.compile(r"^\d{1,4}[-/.]\w{1,3}[-/.]\d{1,4}")


class IdAndTitle(NamedTuple):
    """The names of a table's columns of the id and of the title."""

    id: str
    title: str


def names_columns(first: Sequence[str], rest: Sequence[Sequence[str]], expected: Collection[str] = ()) -> bool:
    """Whether a first row names the columns: it has a known or an `expected` name, or numbers stand below what is none.

    >>> names_columns(["movieId", "title"], [["1", "Heat"]]), names_columns(["1", "Heat"], [["2", "Ran"]])
    (True, False)
    >>> names_columns(["user_id", "land"], [["u1", "FR"]]), names_columns(["user_id", "land"], [["u1", "FR"]], ["land"])
    (False, True)
    """
    if any(cell in expected or plain_name(cell) in names for cell in first for names in (expected, *ID_NAMES, *TITLE_NAMES)):
        return True
    columns = zip(first, zip(*rest, strict=True), strict=False)
    return any(not _is_number(name) and all(_is_number(cell) for cell in cells if cell) for name, cells in columns if any(cells))


def first_id_names(names: Sequence[str]) -> list[str]:
    """The names that are known as those of ids of items, of the first rank that any of them has.

    >>> first_id_names(["id", "movieId", "title"]), first_id_names(["title"])
    (['movieId'], [])
    """
    return _of_first_rank(names, ID_NAMES)


def choose_columns(file: "ItemFile", chosen: Sequence[str], *, option: str) -> IdAndTitle:
    """The columns of id and title: those that `chosen` names (or counts, from 1), else those that are found.

    Raises UserError, with the candidates and the `option` that chooses, if there is no such column, or more than one.
    """
    if chosen:
        return IdAndTitle(*(named_column(file, name, option=option) for name in chosen))
    item_id = choose_id(file, None, option=option)
    return IdAndTitle(item_id, choose_title(file, item_id, option=option))


def choose_id(file: "ItemFile", chosen: str | None, *, option: str) -> str:
    """The column of the id alone, as in `choose_columns`."""
    if chosen is not None:
        return named_column(file, chosen, option=option)
    titles = _by_name(file, TITLE_NAMES)
    ids = _by_name(file, ID_NAMES) or [name for name in file.names if name not in titles and _is_code(_texts(file, name))]
    return _only(file, ids, "ids", option=option)


def choose_title(file: "ItemFile", item_id: str, *, option: str) -> str:
    """The column of the title beside that of the id, as in `choose_columns`."""
    titles = _by_name(file, TITLE_NAMES) or [name for name in file.names if name != item_id and _is_title(_texts(file, name))]
    return _only(file, titles, "titles", option=option)


def named_column(file: "ItemFile", name: str, *, option: str) -> str:
    """A column by its name or, where no column has it, by its number; UserError if there is none."""
    if name in file.names:
        return name
    if name.isdecimal() and 1 <= int(name) <= len(file.names):
        return file.names[int(name) - 1]
    raise UserError(f"{file.path} has no column {name!r}, which {option} names; it has {', '.join(file.names)}")


def _only(file: "ItemFile", found: Sequence[str], role: str, *, option: str) -> str:
    """The one column that was found for a role; UserError for none or several."""
    if len(found) == 1:
        return found[0]
    shown = f"{', '.join(found)} could each be the column of {role}" if found else f"no column is known for {role}"
    raise UserError(f"{file.path}: {shown}; it has {_described(file)}: say which by {option}")


def _by_name(file: "ItemFile", ranks: Sequence[set[str]]) -> list[str]:
    """The columns of the first rank of names that any column has; none without a header."""
    return _of_first_rank(file.names, ranks) if file.header else []


def _of_first_rank(names: Sequence[str], ranks: Sequence[set[str]]) -> list[str]:
    """The names of the first rank that any name is of."""
    matching = ([name for name in names if plain_name(name) in rank] for rank in ranks)
    return next(filter(None, matching), [])


def plain_name(name: str) -> str:
    """A name's letters and digits, small; RecBole writes a type after a colon.

    >>> plain_name("movie_title:token_seq"), plain_name("movieId")
    ('movietitle', 'movieid')
    """
    return re.sub(r"[^a-z0-9]", "", name.partition(":")[0].lower())


def _texts(file: "ItemFile", name: str) -> list[str]:
    """A column's values as text, an empty one for null; none of a column that isn't plain."""
    column = file.table[name]
    return [] if pa.types.is_nested(column.type) else [value or "" for value in column.cast(pa.string()).to_pylist()]


def _is_code(cells: Sequence[str]) -> bool:
    """Whether all values are there, distinct, and without blanks; addresses of pages are no ids."""
    return bool(cells) and len(set(cells)) == len(cells) and all(cell and not re.search(r"\s|://", cell) for cell in cells)


def _is_title(cells: Sequence[str]) -> bool:
    """Whether the values are texts that hardly repeat, and neither addresses of pages nor dates."""
    full = [cell for cell in cells if cell]
    texts = [cell for cell in full if LETTER.search(cell) and "://" not in cell and not DATE.match(cell)]
    return bool(full) and len(texts) >= TEXT * len(full) and len(set(full)) >= DISTINCT * len(cells)


def _is_number(cell: str) -> bool:
    """Whether a cell is a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _described(file: "ItemFile") -> str:
    """The columns of a table, for a message; without header, by number and first value."""
    if file.header:
        return f"the columns {', '.join(file.names)}"
    first = [str(file.table[name][0].as_py())[:30] for name in file.names]
    return "no header, and begins with " + ", ".join(f"{name}: {value!r}" for name, value in zip(file.names, first, strict=True))
