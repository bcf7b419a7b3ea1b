"""Games of Steam, from a file as others publish them, by app id or by title.

    steam_games.json.gz            lines of Python dicts: McAuley's Steam data set
    games.json                     one JSON object by app id, or an array, or JSON lines
    steam.csv, games.csv           a row a game, its lists in one cell, between ; or ,

A column is known by its names in these files. Lines that can't be read are counted, and too many are an error.
"""

import ast
import gzip
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from seqrec.catalogue.item_columns import cell_values
from seqrec.catalogue.item_file import FileKind, read_item_file
from seqrec.catalogue.item_roles import plain_name
from seqrec.enrichment.catalogue_items import CatalogueItems, Item, typed_items
from seqrec.enrichment.facts import Facts, distinct_texts, one_line, shortened
from seqrec.enrichment.title_forms import first_year, parse_title, title_words
from seqrec.errors import UserError
from seqrec.storage import files

NAMES = {  # of a column in the published files, without marks and in small letters; earlier ones are taken first
    "id": ("appid", "steamappid", "id", "productid"),
    "title": ("title", "appname", "name"),
    "summary": ("shortdescription", "aboutthegame", "description", "detaileddescription"),
    "genres": ("genres", "genre"),
    "year": ("releasedate", "released", "year"),
    "creators": ("developer", "developers", "publisher", "publishers"),
    "keywords": ("tags", "steamspytags", "specs", "categories"),
    "url": ("url",),
}
MARKUP = re.compile(r"<[^>]*>")


@dataclass(frozen=True, kw_only=True)
class Game:
    """A game of the file: its app id as text, and what the file says of it."""

    id: str
    facts: Facts


@dataclass(frozen=True, kw_only=True)
class SteamFile:
    """The games of a file by what items are found by: app ids or, by=title, the words of titles; `unread` rows are left out."""

    games: Mapping[str, Game]
    by: Literal["id", "title"]
    unread: int
    rows: int

    def more_counts(self) -> dict[str, int]:
        """The rows that are left out, by the name of the count."""
        return {"unread": self.unread}

    def look_up(self, item: Item, _: object = None) -> Facts | None:
        """What the file says of an item; None where it isn't in it."""
        keys = [item.text_id] if self.by == "id" else [_title_key(form) for form in parse_title(item.title or "").forms]
        return next((self.games[key].facts for key in keys if key in self.games), None)


def read_steam(path: str, *, by: Literal["id", "title"], summary_chars: int, max_bad_share: float) -> SteamFile:
    """The games of a file; UserError if it can't be read, has no app ids or titles, or more than max_bad_share of bad lines."""
    rows, unread = 0, 0
    games: dict[str, Game] = {}
    for row in _rows(path):
        rows += 1
        game = None if row is None else _game(row, summary_chars=summary_chars)
        if game is None or (by == "title" and game.facts.title is None):
            unread += 1
        else:
            games.setdefault(game.id if by == "id" else _title_key(str(game.facts.title)), game)
    if not games:
        what = "app ids (id, appid)" if by == "id" else "app ids and titles (title, app_name, name)"
        raise UserError(f"steam.path={path} has no game with {what}: give a file of Steam's games, as JSON, Python dicts or CSV")
    if unread > max_bad_share * rows:
        raise UserError(
            f"steam.path={path}: {unread:,} of {rows:,} rows can't be read, or have no app id, max_bad_share is "
            f"{max_bad_share:g}: copy the file again, or raise max_bad_share"
        )
    return SteamFile(games=games, by=by, unread=unread, rows=rows)


def games_as_items(steam: SteamFile, *, path: str, id_type: str) -> CatalogueItems:
    """The games of a file as the items that are looked up, in the file's order."""
    return typed_items(((game.id, game.facts.title) for game in steam.games.values()), id_type=id_type, where=path)


def _title_key(title: str) -> str:
    """A title by its words alone."""
    return " ".join(title_words(title))


def _game(row: Mapping[str, Any], *, summary_chars: int) -> Game | None:
    """A game of a row; None without an app id."""
    named = {plain_name(str(name)): value for name, value in row.items()}
    cells = {
        column: next((named[name] for name in names if named.get(name) not in (None, "", [], {})), None)
        for column, names in NAMES.items()
    }
    app_id = "" if cells["id"] is None else str(cells["id"]).strip().removesuffix(".0")
    if not app_id:
        return None
    summary = one_line(MARKUP.sub(" ", cells["summary"])) if isinstance(cells["summary"], str) else None
    facts = Facts(
        title=one_line(cells["title"]),
        summary=shortened(summary, most=summary_chars),
        genres=_listed(cells["genres"], commas=True),
        year=first_year(str(cells["year"] or "")),
        creators=_listed(cells["creators"], commas=False),
        keywords=_listed(cells["keywords"], commas=True),
        url=one_line(cells["url"]),
    )
    return Game(id=app_id, facts=facts)


def _listed(cell: Any, *, commas: bool) -> tuple[str, ...]:
    """The values of a cell: a list, an object's keys, or a text in which they stand between ; or, with `commas`, between commas.

    >>> _listed("Action;Indie", commas=True), _listed("Valve, Inc.", commas=False), _listed({"Indie": 22}, commas=True)
    (('Action', 'Indie'), ('Valve, Inc.',), ('Indie',))
    >>> _listed("['Action', 'RPG']", commas=True)
    ('Action', 'RPG')
    """
    if isinstance(cell, dict):
        return distinct_texts(list(cell))
    if not isinstance(cell, str):
        return distinct_texts(cell)
    literal = _literal(cell) if cell.lstrip().startswith("[") else None
    between = ";" if ";" in cell or not commas else ","
    return distinct_texts(literal if isinstance(literal, list) else cell_values(cell, between))


def _rows(path: str) -> Iterator[Mapping[str, Any] | None]:
    """The rows of a file as mappings, None for one that can't be read; UserError if the file can't."""
    with tempfile.TemporaryDirectory(prefix="seqrec-steam-") as folder:
        try:
            with _open_text(files.fetch(path, Path(folder))) as text:
                start = text.read(1 << 10).lstrip()[:1]
                text.seek(0)
                if start not in ("{", "["):
                    yield from read_item_file(path, FileKind(rows="games", key="steam.path")).table.to_pylist()
                elif start == "{" and _is_row(first := text.readline()):
                    yield from map(_row, _lines(first, text))
                else:
                    text.seek(0)
                    yield from _of_json(json.load(text))
        except FileNotFoundError:
            raise UserError(f"steam.path={path}: no such file; give one of Steam's games, as JSON, Python dicts or CSV") from None
        except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, ValueError) as error:
            raise UserError(f"steam.path={path} can't be read ({' '.join(str(error).split())[:160]}): copy it again") from None


def _open_text(path: Path) -> TextIO:
    """A file of text in UTF-8, packed by gzip or not."""
    with path.open("rb") as source:
        packed = source.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8-sig") if packed else path.open(encoding="utf-8-sig")


def _lines(first: str, rest: Iterable[str]) -> Iterator[str]:
    """The lines that aren't empty."""
    yield first
    yield from (line for line in rest if line.strip())


def _is_row(line: str) -> bool:
    """Whether a line is a whole game, so that the file has one a line."""
    row = _row(line)
    return row is not None and not all(isinstance(value, dict) for value in row.values())


def _row(line: str) -> Mapping[str, Any] | None:
    """A game in a line, in JSON or as Python prints a dict; None if it is neither."""
    row = _literal(line.strip())
    return row if isinstance(row, dict) else None


def _literal(text: str) -> Any:
    """The value of a text in JSON or in Python; None if it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _of_json(content: Any) -> Iterator[Mapping[str, Any] | None]:
    """The games of one JSON value: an array, or an object by app id."""
    if isinstance(content, dict):
        content = [{"appid": name, **value} if isinstance(value, dict) else None for name, value in content.items()]
    for row in content if isinstance(content, list) else []:
        yield row if isinstance(row, dict) else None
