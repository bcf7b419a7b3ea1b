"""What is shown of an input before it is used: how it is written, why each column was chosen, and three rows as they are read."""

import logging
from datetime import UTC, datetime

from seqrec.command.screen import aligned, counted, listed
from seqrec.dataset.build_sequences import Ratings
from seqrec.dataset.detect import DetectedInput
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.roles import NO_TIME
from seqrec.tables.input_table import InputTable, RatingColumns

log = logging.getLogger("seqrec")
SHOWN = 3  # rows
NO_COLUMN = "(none)"
ALWAYS = ("delimiter", "header")  # shown though they are as usual
UNITS = {
    "s": "epoch seconds",
    "ms": "epoch milliseconds",
    "us": "epoch microseconds",
    "ns": "epoch nanoseconds",
    "native": "the times that the column holds",
    "iso": "dates of ISO 8601",
}


def describe_input(detected: DetectedInput) -> str:
    """The columns by their roles, why, and the keys that change them, as lines."""
    table = detected.table
    rows = [["", "found", "why", "to change it"]]
    for choice in detected.choices:
        null = " or null" if choice.role in ("rating", "timestamp") else ""
        column = NO_COLUMN if choice.column is None else choice.column
        rows.append([f"  {choice.role}", column, choice.why, f"{table.key}.columns.{choice.role}=COLUMN{null}"])
    for key, reason in detected.reasons.items():
        if getattr(table, key) != getattr(InputTable, key, None) or key in ALWAYS:
            rows.append([f"  {key}", _say_value(getattr(table, key)), reason, f"{table.key}.{key}=…"])
    lines = [f"{table.path}: {_written(table)}", aligned(rows, left=4)]
    if detected.unused:
        lines.append("  unused: " + ", ".join(name or "(no name)" for name in detected.unused))
    return "\n".join(lines)


def describe_rows(ratings: Ratings, columns: RatingColumns) -> str:
    """Act: the first rows of the input as they are read, and how many rows there are, as lines."""
    facts = ratings.profile
    typed = parse_ratings(ratings.interactions, types=facts.types).limit(SHOWN)
    ordinal = "" if columns.timestamp is not None else "place" if columns.items is not None else "line"
    rows = [["  user", "item", "rating", ordinal or "time"]]
    for row in typed.select("user_id", "item_id", "rating", "timestamp").collect():
        rating = "" if row["rating"] is None else f"{row['rating']:g}"
        time = str(row["timestamp"]) if ordinal else _moment(row["timestamp"])
        rows.append([f"  {row['user_id']}", str(row["item_id"]), rating, time])
    dropped = listed({reason: count for reason, count in facts.dropped.items() if count})
    counts = f"  {counted(facts.rows, 'row')}{f', of which are left out: {dropped}' if dropped else ''}"
    times = (
        []
        if ordinal
        else [
            f"  times are read as {UNITS.get(facts.types.time.text, facts.types.time.text)} (input.time_unit, input.time_format)"
        ]
    )
    return "\n".join([aligned(rows, left=4), *times, counts])


def _say_value(value: str | bool | None) -> str:
    """A value as an override has it; a text in quotes."""
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else repr(value)


def _written(table: InputTable) -> str:
    """How a file is written, in words."""
    between = f"in {table.encoding}, delimiter {table.delimiter!r}"
    texts = {
        "json": f"JSON {'array' if table.multiline else 'lines'} in {table.encoding}",
        "csv": f"CSV {between}, {'a header' if table.header else 'no header'}",
        "lists": f"lines of a user and its items {between}",
        "blocks": f"lines of ratings below the line of their item {between}",
        "table": "a table that Spark knows by name",
    }
    return texts.get(table.format, table.format.capitalize())


def warn_of_order(detected: DetectedInput) -> None:
    """Warn where the order of the lines is taken for the time, and nobody said so."""
    if any(choice.role == "timestamp" and choice.why == NO_TIME for choice in detected.choices):
        key = f"{detected.table.key}.columns.timestamp"
        log.warning(
            "%s has no column that looks like a time, so a user's events are in the order of the lines: set %s to the column, or "
            "to null if that order is right",
            *(detected.table.path, key),
        )


def _moment(milliseconds: int) -> str:
    """A time as a date."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
