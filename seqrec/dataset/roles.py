"""Which column of a table of ratings is the user, the item, the rating, the time: by name, or by position and values."""

import re
from collections.abc import Sequence
from datetime import datetime

from seqrec.errors import UserError

ITEMS = (
    "item",
    "movie",
    "product",
    "track",
    "song",
    "artist",
    "book",
    "article",
    "asin",
    "isbn",
    "business",
    "video",
    "game",
    "anime",
)
ALIASES = {
    "user_id": ("userid", "user", "uid", "customerid", "customer", "reviewerid", "visitorid", "memberid", "sessionid", "session"),
    "items": ("items", "itemids", "history", "sequence", "itemsequence"),
    "item_id": (*(f"{name}id" for name in ITEMS), *ITEMS, "iid", "parentasin"),
    "rating": ("rating", "ratings", "score", "stars", "overall", "bookrating", "weight"),
    "timestamp": (
        *("timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "unixtime", "eventtime", "createdat"),
        *("ratedat", "utc", "position", "pos"),
    ),
}
ENOUGH = 20  # rows from which an id is expected to come back
EARLIEST = 1e8  # epoch seconds of 1973: smaller numbers are ids or ratings


def by_name(names: Sequence[str], *, lists: Sequence[str] = ()) -> dict[str, str | None]:
    """The column of each role that a name tells, None for the others; lists are the columns that hold lists.

    >>> by_name(["userId", "movieId", "rating", "timestamp"])["item_id"]
    'movieId'
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    found: dict[str, str | None] = {}
    for role, aliases in ALIASES.items():
        known = [plain[alias] for alias in aliases if alias in plain and (role == "items") == (plain[alias] in lists)]
        found[role] = known[0] if known else None
    return found


def by_value(rows: Sequence[Sequence[str]]) -> list[str]:
    """A name for each column of a table without header: its role, or column_N.

    A column of epochs or dates is the time; the first two others are user and item, as everywhere; of what is left numbers up to
    100 are the rating. Raises UserError if two columns could be the time or the rating, or there are no two for the ids.
    """
    columns = [[cell for cell in column if cell != ""] for column in zip(*rows, strict=True)]
    times = [place for place, cells in enumerate(columns) if is_time(cells)]
    others = [place for place in range(len(columns)) if place not in times]
    ratings = [place for place in others[2:] if columns[place] and all(is_number(cell, most=100) for cell in columns[place])]
    if len(times) > 1 or len(ratings) > 1 or len(others) < 2:
        raise UserError(
            f"columns {_counted(times)} look like times, {_counted(ratings)} like ratings, {_counted(others[:2])} like ids"
        )
    if len(rows) >= ENOUGH and all(len(set(columns[place])) == len(columns[place]) for place in others[:2]):
        raise UserError(f"neither column {others[0] + 1} nor {others[1] + 1} has a value twice, as ids of users and items would")
    roles = {others[0]: "user_id", others[1]: "item_id"} | dict.fromkeys(ratings, "rating") | dict.fromkeys(times, "timestamp")
    return [roles.get(place, f"column_{place + 1}") for place in range(len(columns))]


def is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names the columns: no cell is a number or a date, and a name is known or a column below has them.

    >>> is_header(["user", "film"], [["1", "2"]]), is_header(["u1", "i7"], [["u2", "i7"]]), is_header(["1", "2"], [["3", "4"]])
    (True, False, False)
    """
    if any(is_number(cell) or is_time([cell]) for cell in first):
        return False
    known = by_name(first)
    typed = any(column and all(is_number(cell) for cell in column) for column in zip(*rest, strict=True))
    return typed or (known["user_id"] is not None and known["item_id"] is not None)


def is_number(text: str, *, most: float = float("inf")) -> bool:
    """Whether a text is a finite number, of at most that size."""
    try:
        return abs(float(text)) <= most and abs(float(text)) != float("inf")
    except ValueError:
        return False


def is_time(cells: Sequence[str]) -> bool:
    """Whether all are epochs, or all dates of ISO 8601."""
    if cells and all(is_number(cell) for cell in cells):
        return all(float(cell) >= EARLIEST for cell in cells)
    try:
        return bool(cells) and all("-" in cell and datetime.fromisoformat(cell) is not None for cell in cells)
    except ValueError:
        return False


def _counted(places: Sequence[int]) -> str:
    return ", ".join(str(place + 1) for place in places) or "none"
