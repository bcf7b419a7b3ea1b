"""Why a file is no checkpoint: why it can't be read, or what it lacks."""

from typing import Any


def cause_of(error: Exception) -> str:
    """An error's kind and the first line of what it says."""
    first = (str(error).strip().splitlines() or [""])[0]
    return ": ".join(filter(None, [type(error).__name__, first]))


def lacks_memory(error: Exception) -> bool:
    """Whether memory ran out; torch says so by a plain RuntimeError."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def absent_keys(content: Any, keys: tuple[str, ...]) -> list[str]:
    """The keys (dotted) that a checkpoint's content lacks."""
    absent = []
    for key in keys:
        inner = content
        for part in key.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        if inner is None:
            absent.append(key)
    return absent
