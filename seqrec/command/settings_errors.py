"""What is wrong in a configuration, on one line."""

import difflib
import re
from collections.abc import Collection
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

LONGEST_VALUE = 200


def explain_settings(error: ValidationError, keys: list[str], *, path: str, said_by: str, above: Collection[str]) -> str:
    """One line on what is wrong in a configuration: in the file at `path`, and in what was set over it, which `said_by` names.

    `keys` are those that there are, and `above` those that were set over the file's, dotted.
    """
    problems: dict[str, list[str]] = {path: [], said_by: []}
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        messages = problems[said_by if _is_above(above, problem["loc"], problem["msg"]) else path]
        if problem["type"] == "extra_forbidden":
            leaves = {name.rsplit(".", 1)[-1]: name for name in keys}
            close = difflib.get_close_matches(key, keys, n=1)
            close = close or [leaves[leaf] for leaf in difflib.get_close_matches(key.rsplit(".", 1)[-1], leaves, n=1)]
            hint = f"; did you mean {close[0]}?" if close else "; --help lists the keys"
            messages.append(f"unknown key {key}{hint}")
        elif problem["type"] == "missing":
            messages.append(f"key {key} is missing: set it in the file or pass {key}=…")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            inside = f"{key}: " if key and f"{key}." not in message else ""
            shown = inside if isinstance(problem["input"], dict) else f"{key}={_short(problem['input'])}: "
            messages.append(f"{shown}{message}")
    return "; ".join(f"{place}: {'; '.join(dict.fromkeys(messages))}" for place, messages in problems.items() if messages)


def _short(value: Any) -> str:
    """A value's text, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _is_above(above: Collection[str], location: tuple[int | str, ...], message: str) -> bool:
    """Whether a problem is of keys that were set over the file's: of one at its location, or one that its message names."""
    place = ".".join(str(part) for part in takewhile(lambda part: isinstance(part, str), location))
    if place:
        return any(f"{key}.".startswith(f"{place}.") or f"{place}.".startswith(f"{key}.") for key in above)
    return any(re.search(rf"(?<![\w.]){re.escape(key)}(?=[=.])", message) for key in above)
