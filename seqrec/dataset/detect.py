"""Find the settings that read a file of ratings (input.*) by its first rows, without Spark.

python -m seqrec.dataset.detect FILE    # prints an override a line on stdout, and on stderr what the file is taken for and why
"""

import sys

from seqrec.command.entry import command_line
from seqrec.command.overrides import show_value
from seqrec.dataset.head import Head, read_head
from seqrec.dataset.roles import columns_by_name, names_by_value
from seqrec.errors import UserError
from seqrec.storage import files

DEFAULT = ["user_id", "item_id", "rating", "timestamp"]
REMEDY = (
    "say which column is which: input.columns.user_id, .item_id, .rating and .timestamp (null where there is none), "
    "input.names=[…] where a CSV has no header"
)


def detect(path: str) -> tuple[dict[str, str], list[str]]:
    """The input.* settings for a local file or folder, as overrides; and what the file is taken for, in words.

    Raises UserError for a file that isn't here or is empty, and for one whose columns can't be told apart; it says what to set.
    """
    if not files.is_local(path):
        raise UserError(f"{path} isn't on this machine: look into a copy of its first lines, or {REMEDY}")
    head = read_head(files.local_path(path))
    settings = {"input.path": path, **head.settings}
    words = [f"{path}: " + ", ".join(f"{name.removeprefix('input.')} {value!r}" for name, value in head.settings.items())]
    names = head.names
    if names is None:
        names = _name_columns(head, path)
        words.append(f"no header; by position and values the columns are {', '.join(names)}")
        if names != DEFAULT:
            settings["input.names"] = f"[{', '.join(names)}]"
    columns = columns_by_name(names, lists=head.lists)
    ids = ("user_id", "items") if columns["items"] else ("user_id", "item_id")
    missing = [role for role in ids if columns[role] is None]
    if missing:
        raise UserError(
            f"{path} has the columns {', '.join(names) or 'none'}, none of a name known for {' or '.join(missing)}: {REMEDY}"
        )
    roles = ids if columns["items"] else DEFAULT
    for role in roles:
        if columns[role] != role or role == "items":  # the default of items is none
            settings[f"input.columns.{role}"] = show_value(columns[role])
    words += [_say(role, columns[role]) for role in roles]
    return settings, words


def _name_columns(head: Head, path: str) -> list[str]:
    """Names for the columns of a file without header, by their values."""
    try:
        return names_by_value(head.rows)
    except UserError as error:
        raise UserError(f"{path} has no header, and {error}; its first line is {str(head.rows[0])[:100]}: {REMEDY}") from None


def _say(role: str, column: str | None) -> str:
    """Which column has a role, in words."""
    if column is not None:
        return f"{role} is the column {column}"
    return {"rating": "no rating: every event counts", "timestamp": "no time: the order of the lines counts"}[role]


def main(argv: list[str] | None = None) -> None:
    """Print the settings that read the file."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1:
        sys.exit("usage: python -m seqrec.dataset.detect FILE")
    with command_line():
        settings, words = detect(arguments[0])
    sys.stderr.write("\n".join(words) + "\n")
    sys.stdout.write("\n".join(f"{key}={value}" for key, value in settings.items()) + "\n")


if __name__ == "__main__":
    main()
