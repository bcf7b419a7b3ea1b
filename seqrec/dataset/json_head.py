"""The first rows of JSON: of JSON lines, or of an array of objects."""

import ast
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from seqrec.dataset.dialect import LEAST_SHARE, LINES, text_lines
from seqrec.errors import UserError


class JsonRows(NamedTuple):
    """The first objects; whether they are in an array; how many lines hold none."""

    rows: list[dict[str, Any]]
    array: bool
    broken: int

    @property
    def names(self) -> list[str]:
        """The keys, in the order of their appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def lists(self) -> list[str]:
        """The keys that hold lists."""
        return [name for name in self.names if any(isinstance(row.get(name), list) for row in self.rows)]

    @property
    def fields(self) -> dict[str, list[str]]:
        """Of each key that holds lists of objects, the keys of these."""
        inner: dict[str, list[str]] = {}
        for name in self.lists:
            elements = [element for row in self.rows if isinstance(row.get(name), list) for element in row[name][:LINES]]
            keys = list(dict.fromkeys(key for element in elements if isinstance(element, dict) for key in element))
            inner |= {name: keys} if keys else {}
        return inner

    @property
    def cells(self) -> list[list[str]]:
        """The values as text, null as nothing."""
        return [[text_of(row.get(name)) for name in self.names] for row in self.rows]


def json_rows(text: str, path: str, *, most: int = LINES) -> JsonRows:
    """The first objects of a text, of an array at most so many.

    Raises UserError if it isn't JSON in one of the two forms; a few broken lines may be.
    """
    if text.lstrip().startswith("["):
        return JsonRows(_array(text.strip(), path, most), True, 0)
    lines = text_lines(text)
    parsed = [parse_object(line) for line in lines]
    rows = [row for row in parsed if isinstance(row, dict)]
    if not isinstance(parsed[0] if parsed else None, dict) or len(rows) < LEAST_SHARE * len(lines):
        raise _no_lines(text, [line for line, row in zip(lines, parsed, strict=True) if not isinstance(row, dict)], path)
    return JsonRows(rows, False, len(lines) - len(rows))


def parse_object(line: str) -> Any:
    """What a line of JSON holds; None if it is none. Python's way to write it, with single quotes, is taken, as by Spark."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(line.strip()) if line.lstrip().startswith("{'") else None
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _array(text: str, path: str, most: int) -> list[dict[str, Any]]:
    """The first objects of an array, which may be cut at its end."""
    decoder, rows, place = json.JSONDecoder(), list[dict[str, Any]](), 1
    while len(rows) < most:
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        if place >= len(text) or text[place] == "]":
            break
        try:
            row, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            if rows:
                break
            raise UserError(f"{path} begins like a JSON array, but isn't JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{path} is a JSON array, but an element is no object: {str(row)[:80]!r}")
        rows.append(row)
    if not rows:
        raise UserError(f"{path} is a JSON array without any object")
    return rows


def _no_lines(text: str, broken: Sequence[str], path: str) -> UserError:
    """The error of a text that begins like JSON lines."""
    if (parse_object(text) is not None and len(text_lines(text)) > 1) or broken[:1] == text_lines(text)[:1]:
        return UserError(
            f"{path} begins like JSON, but a line isn't JSON, such as {broken[0][:80]!r}: give one object a line, as jq -c makes "
            "them, or an array of objects"
        )
    if parse_object(broken[0]) is not None:
        return UserError(f"{path} begins like JSON lines, but a line is no object: {broken[0][:80]!r}")
    return UserError(f"{path} begins like JSON lines, but a line isn't JSON: {broken[0][:80]!r}")


def text_of(value: Any) -> str:
    """A value as text; null is nothing."""
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
