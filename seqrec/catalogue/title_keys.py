"""The options of a command line that name a file of titles, as the keys of the jobs that take such a file."""

from collections.abc import Sequence
from typing import Any

from seqrec.catalogue.titles import two_columns
from seqrec.command.overrides import show_value


def carried_titles(options: Sequence[str]) -> list[str]:
    """The keys of batch_recommend by which documents carry titles; `options` are those of `add_title_options`, in pairs.

    >>> carried_titles(["--titles", "a.csv", "--title-columns", "code,name"])
    ['mongo.item_table=a.csv', 'mongo.item_columns=["title=name"]', 'mongo.item_key=code']
    """
    path, columns = _named(options)
    if path is None:
        return []
    keys: dict[str, Any] = {"item_table": path, "item_columns": ["title"]}
    if columns:
        keys |= {"item_columns": [f"title={columns[1]}"], "item_key": columns[0]}
    return [f"mongo.{key}={show_value(value)}" for key, value in keys.items()]


def shown_titles(options: Sequence[str]) -> list[str]:
    """The keys of report for the same options.

    >>> shown_titles(["--titles", "/a b.csv", "--title-columns", "code,name"]), shown_titles([])
    (['items.path=/a b.csv', 'items.id=code', 'items.title=name'], [])
    """
    path, columns = _named(options)
    named = zip(("path", "id", "title"), [path, *columns] if path else [], strict=False)
    return [f"items.{key}={show_value(value)}" for key, value in named]


def _named(options: Sequence[str]) -> tuple[str | None, list[str]]:
    """The file and its two columns, if they are named."""
    given = dict(zip(options[::2], options[1::2], strict=True))
    columns = given.get("--title-columns")
    return given.get("--titles"), two_columns(columns) if columns else []
