"""Which column of a table of ratings is the user, the item, the rating or the time: by name, or by position and values."""

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
ENOUGH = 20  # rows: in so many an id is expected to repeat
EARLIEST = 1e8  # epoch seconds of 1973: smaller numbers are ids or ratings


def columns_by_name(names: Sequence[str], *, lists: Sequence[str] = ()) -> dict[str, str | None]:
    """The column of each role by the columns' names, None for a role that no name tells; lists are the columns that hold lists.

    >>> columns_by_name(["userId", "movieId", "rating", "timestamp"])["item_id"]
    'movieId'
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    columns: dict[str, str | None] = {}
    for role, aliases in ALIASES.items():
        matches = [plain[alias] for alias in aliases if alias in plain and (role == "items") == (plain[alias] in lists)]
        columns[role] = matches[0] if matches else None
    return columns


def names_by_value(rows: Sequence[Sequence[str]]) -> list[str]:
    """A name for each column of a table without header: its role, or column_N.

    A column of epochs or dates is the time. The first two others are user and item, as in all files that we know. Of the rest,
    a column of numbers up to 100 is the rating. Raises UserError if two columns could be the time or the rating, or if there are
    no two for the ids.
    """
    columns = [[cell for cell in column if cell != ""] for column in zip(*rows, strict=True)]
    times = [index for index, cells in enumerate(columns) if is_time(cells)]
    others = [index for index in range(len(columns)) if index not in times]
    ratings = [index for index in others[2:] if columns[index] and all(is_number(cell, most=100) for cell in columns[index])]
    if len(times) > 1 or len(ratings) > 1 or len(others) < 2:
        raise UserError(
            f"columns {_counted(times)} look like times, {_counted(ratings)} like ratings, {_counted(others[:2])} like ids"
        )
    if len(rows) >= ENOUGH and all(len(set(columns[index])) == len(columns[index]) for index in others[:2]):
        raise UserError(f"neither column {others[0] + 1} nor {others[1] + 1} has a value twice, as ids of users and items would")
    roles = {others[0]: "user_id", others[1]: "item_id"} | dict.fromkeys(ratings, "rating") | dict.fromkeys(times, "timestamp")
    return [roles.get(index, f"column_{index + 1}") for index in range(len(columns))]


def is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether a first row names the columns: no cell is a number or a date, and it names user and item, or numbers follow.

    >>> is_header(["user", "film"], [["1", "2"]]), is_header(["u1", "i7"], [["u2", "i7"]]), is_header(["1", "2"], [["3", "4"]])
    (True, False, False)
    """
    if any(is_number(cell) or is_time([cell]) for cell in first):
        return False
    columns = columns_by_name(first)
    numbers_follow = any(column and all(is_number(cell) for cell in column) for column in zip(*rest, strict=True))
    return numbers_follow or (columns["user_id"] is not None and columns["item_id"] is not None)


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


def _counted(indices: Sequence[int]) -> str:
    """Indices of columns for messages, counted from 1."""
    return ", ".join(str(index + 1) for index in indices) or "none"
