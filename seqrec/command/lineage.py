"""What a run of a job reads, by its settings, and what its version will say that it was made from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from seqrec.command.code_version import code_version
from seqrec.command.config import Strict, public
from seqrec.storage import files
from seqrec.storage.made_from import MadeFrom, state_of

TABLE = ".table"  # ends the key of a table that Spark knows by name
MAYBE = "?"  # ends the key of what may be absent


def paths_read(config: Strict) -> dict[str, str]:
    """The files and folders that a job reads, by their keys; those below a key's folder, such as MODEL/exports, as they are.

    Two of one key are told apart by the part below, as model and model/checkpoints/last.pt; what no key names has a name.

    A table that Spark knows by name is there by its name.
    """
    content = public(config)
    found: dict[str, str] = {}
    for pattern in config.reads():
        for key, path in matching(content, pattern):
            found[key if found.get(key, path) == path else pattern.removesuffix(MAYBE)] = path
    found |= config.reads_besides()
    return {key: path for key, path in found.items() if f"{key.removesuffix('.path')}{TABLE}" not in found.keys() - {key}}


def folder_written(config: Strict) -> str | None:
    """The folder that gets a job's version; None for a job without one."""
    pattern = config.writes()
    return None if pattern is None else next((path for _, path in matching(public(config), pattern)), None)


def made_from(config: Strict, *, job: str, script: Path) -> MadeFrom:
    """What a run of a job is made from, as its inputs are now. The script is the job's."""
    return MadeFrom(
        job=job,
        settings=settings_kept(config),
        inputs={key: None if key.endswith(TABLE) else state_of(path) for key, path in paths_read(config).items()},
        code=code_version(script),
    )


def settings_kept(config: BaseModel) -> dict[str, Any]:
    """A job's settings without its stores, which the environment alone sets."""
    return {key: value for key, value in public(config).items() if key != "stores"}


def matching(content: dict[str, Any], pattern: str) -> Iterator[tuple[str, str]]:
    """Keys and values of nested settings by a pattern of keys, of which `*` is any name; values that are no text are left out."""
    place, _, below = pattern.removesuffix(MAYBE).partition("/")
    for key, value in _values(content, place.split("."), ()):
        if isinstance(value, str) and value:
            yield ".".join(key), files.join(value, below) if below else value


def _values(content: Any, names: list[str], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Keys and values in nested settings below the keys `above`."""
    if not names:
        yield above, content
    elif isinstance(content, dict):
        for name in content if names[0] == "*" else [name for name in names[:1] if name in content]:
            yield from _values(content[name], names[1:], (*above, name))
