"""What reads a file of ratings: the input.* settings, found by looking at its head.

python -m seqrec.dataset.detect FILE    # an override a line on stdout, what was found and why on stderr
"""

import sys

from seqrec.command.entry import command_line
from seqrec.command.overrides import show_value
from seqrec.dataset.head import Head, read_head
from seqrec.dataset.roles import by_name, by_value
from seqrec.errors import UserError
from seqrec.storage import files

DEFAULT = ["user_id", "item_id", "rating", "timestamp"]
REMEDY = (
    "say which column is which: input.columns.user_id, .item_id, .rating and .timestamp (null where there is none), "
    "input.names=[…] where a CSV has no header"
)


def detect(path: str) -> tuple[dict[str, str], list[str]]:
    """The input.* settings for a local file or folder, as overrides, and what was found, in words.

    Raises UserError for a file that isn't here or is empty, or whose columns can't be told apart, with the settings to pass.
    """
    if not files.is_local(path):
        raise UserError(f"{path} isn't on this machine: look into a copy of its first lines, or {REMEDY}")
    head = read_head(files.local_path(path))
    settings = {"input.path": path, **head.settings}
    said = [f"{path}: " + ", ".join(f"{name.removeprefix('input.')} {value!r}" for name, value in head.settings.items())]
    names = head.names
    if names is None:
        names = _name_columns(head, path)
        said.append(f"no header; by position and values the columns are {', '.join(names)}")
        if names != DEFAULT:
            settings["input.names"] = f"[{', '.join(names)}]"
    found = by_name(names, lists=head.lists)
    wanted = ("user_id", "items") if found["items"] else ("user_id", "item_id")
    missing = [role for role in wanted if found[role] is None]
    if missing:
        raise UserError(
            f"{path} has the columns {', '.join(names) or 'none'}, none of a name known for {' or '.join(missing)}: {REMEDY}"
        )
    roles = wanted if found["items"] else DEFAULT
    for role in roles:
        if found[role] != role or role == "items":  # whose default is none
            settings[f"input.columns.{role}"] = show_value(found[role])
    said += [_say(role, found[role]) for role in roles]
    return settings, said


def _name_columns(head: Head, path: str) -> list[str]:
    try:
        return by_value(head.rows)
    except UserError as error:
        raise UserError(f"{path} has no header, and {error}; its first line is {str(head.rows[0])[:100]}: {REMEDY}") from None


def _say(role: str, column: str | None) -> str:
    if column is not None:
        return f"{role} is the column {column}"
    return {"rating": "no rating: every event counts", "timestamp": "no time: the order of the lines counts"}[role]


def main(argv: list[str] | None = None) -> None:
    """Print the settings of the file that is given."""
    given = sys.argv[1:] if argv is None else argv
    if len(given) != 1:
        sys.exit("usage: python -m seqrec.dataset.detect FILE")
    with command_line():
        settings, said = detect(given[0])
    sys.stderr.write("\n".join(said) + "\n")
    sys.stdout.write("\n".join(f"{key}={value}" for key, value in settings.items()) + "\n")


if __name__ == "__main__":
    main()
