"""What is shown of an input before it is used: how it is written, why each column was chosen, and three rows as they are read."""

from datetime import UTC, datetime

from seqrec.command.screen import aligned, counted, listed
from seqrec.dataset.build_sequences import Ratings
from seqrec.dataset.detect import DetectedInput
from seqrec.dataset.parse import parse_ratings
from seqrec.tables.input_table import InputTable, RatingColumns

SHOWN = 3  # rows
NO_COLUMN = "(none)"


def describe_input(detected: DetectedInput) -> str:
    """The columns by their roles, why, and the keys that change them, as lines."""
    table = detected.table
    rows = [["", "column", "why", "to change it"]]
    for choice in detected.choices:
        null = " or null" if choice.role in ("rating", "timestamp") else ""
        column = NO_COLUMN if choice.column is None else choice.column
        rows.append([f"  {choice.role}", column, choice.why, f"{table.key}.columns.{choice.role}=COLUMN{null}"])
    lines = [f"{table.path}: {_written(table)}", aligned(rows, left=4)]
    lines += [f"  {table.key}.{key}: {reason}" for key, reason in detected.reasons.items()]
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
    return f"{aligned(rows, left=4)}\n  {counted(facts.rows, 'row')}{f', of which are left out: {dropped}' if dropped else ''}"


def _written(table: InputTable) -> str:
    """How a file is written, in words."""
    if table.format == "parquet":
        return "Parquet"
    if table.format == "json":
        return f"JSON lines in {table.encoding}"
    header = "a header" if table.header else "no header"
    return f"CSV in {table.encoding}, with {header}, delimiter {table.delimiter!r}"


def _moment(milliseconds: int) -> str:
    """A time as a date."""
    try:
        return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
