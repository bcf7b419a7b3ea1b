"""What is wrong in a configuration, on one line."""

import difflib
from typing import Any

from pydantic import ValidationError

LONGEST_VALUE = 200


def explain_settings(error: ValidationError, keys: list[str], places: dict[str, dict[str, Any]]) -> str:
    """One line on what is wrong in a configuration: first the file, then what was set over it, by what `places` calls the two.

    `keys` are those that there are, dotted.
    """
    problems: dict[str, list[str]] = {place: [] for place in places}
    path, above = places
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        messages = problems[above if _holds(places[above], problem["loc"]) else path]
        if problem["type"] == "extra_forbidden":
            leaves = {name.rsplit(".", 1)[-1]: name for name in keys}
            close = difflib.get_close_matches(key, keys, n=1)
            close = close or [leaves[leaf] for leaf in difflib.get_close_matches(key.rsplit(".", 1)[-1], leaves, n=1)]
            hint = f"; did you mean {close[0]}?" if close else "; --help lists the keys"
            messages.append(f"unknown key {key}{hint}")
        elif problem["type"] == "missing":
            messages.append(f"key {key} is missing: set it in the file or pass {key}=…")
        else:
            shown = "" if isinstance(problem["input"], dict) else f"{key}={_short(problem['input'])}: "
            messages.append(f"{shown}{problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(f"{place}: {'; '.join(dict.fromkeys(messages))}" for place, messages in problems.items() if messages)


def _short(value: Any) -> str:
    """A value's text, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _holds(nested: Any, location: tuple[int | str, ...]) -> bool:
    """Whether a nested dict has the key at a location; for a location inside a list, whether it has the list."""
    for part in location:
        if not isinstance(nested, dict):
            return True
        if part not in nested:
            return False
        nested = nested[part]
    return bool(location)
