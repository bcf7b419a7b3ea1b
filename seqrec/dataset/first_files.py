"""The files that a path means: itself, those of a folder, or those that match a pattern; as Spark takes them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from seqrec.errors import FileError, UserError
from seqrec.storage import files

MARKS = "*?[{"  # of a pattern
HIDDEN = (".", "_")  # names with such a beginning are left out by Spark, but for folders such as _day=1


class InputFile(NamedTuple):
    """A file of an input, its bytes, and the columns that the names of its folders hold, as in day=1/part.csv."""

    path: str
    size: int
    partitions: dict[str, str]


def input_files(path: str) -> list[InputFile]:
    """The files of an input, sorted by their paths. Raises UserError for a path that isn't there, and one without any file."""
    try:
        places = [path] if files.exists(path) else _matches(path)
        found = [file for place in places for file in _of_place(place, {})]
    except FileError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}") from None
    if not places:
        none = "no file or folder matches it" if any(mark in path for mark in MARKS) else "no such file or folder"
        raise UserError(f"{path}: {none}")
    if not found:
        raise UserError(f"{path} {_say_empty(places[0])}")
    return sorted(found)


def first_file(path: str) -> InputFile:
    """The first file of an input that has content, or the first at all where none has."""
    found = input_files(path)
    return next((file for file in found if file.size), found[0])


def _of_place(place: str, partitions: dict[str, str]) -> Iterator[InputFile]:
    """A file itself; of a folder its files and those of its folders that are named NAME=VALUE."""
    size = files.size_of(place)
    if size is not None:
        yield InputFile(place, size, partitions)
        return
    for name, bytes_of_file in files.sizes(place).items():
        is_partition = bytes_of_file is None and "=" in name
        if is_partition:
            column, _, value = name.partition("=")
            yield from _of_place(files.join(place, name), {**partitions, column: value})
        elif bytes_of_file is not None and not name.startswith(HIDDEN):
            yield InputFile(files.join(place, name), bytes_of_file, partitions)


def _say_empty(folder: str) -> str:
    """What to say of a folder without files."""
    folders = [name for name, size in files.sizes(folder).items() if size is None]
    if "_temporary" in folders:
        return "is still being written (_temporary is there): wait until it is whole, or remove what a killed writer has left"
    inside = [name for name in folders if not name.startswith(HIDDEN)]
    remedy = f", and Spark doesn't look into folders in it, such as {inside[0]}: give {files.join(folder, '*')}" if inside else ""
    return f"is an empty folder{remedy}"


def _matches(pattern: str) -> list[str]:
    """The files and folders that match a pattern of Hadoop's."""
    if not any(mark in pattern for mark in MARKS):
        return []
    scheme, slashes, rest = pattern.partition("://")
    if files.is_local(pattern):
        scheme, slashes, rest = "", "", str(files.local_path(pattern))
    begin, *segments = rest.split("/") if slashes or rest.startswith("/") else (".", *rest.split("/"))
    places = [f"{scheme}{slashes}{begin}"]
    for segment in segments:
        places = [match for place in places for match in _in_folder(place or "/", segment)]
    return places


def _in_folder(folder: str, segment: str) -> list[str]:
    """What is in a folder under a name that matches a part of a pattern."""
    if not segment or not any(mark in segment for mark in f"{MARKS}\\"):
        place = files.join(folder, segment) if segment else folder
        return [place] if files.exists(place) else []
    try:
        wanted = re.compile(_expression(segment))
    except re.error as error:
        raise UserError(f"{segment!r} in the path is no pattern: {error}") from None
    return [files.join(folder, name) for name in files.names(folder) if wanted.fullmatch(name) and not name.startswith(HIDDEN)]


def _expression(segment: str) -> str:
    r"""A part of a pattern as a regular expression.

    >>> _expression("r-[^0]?.{csv,t*}"), _expression(r"a\*")
    ('r\\-[^0].\\.(?:csv|t.*)', 'a\\*')
    """
    words = {"*": ".*", "?": ".", "{": "(?:", "}": ")"}
    parts, braces, rest = [], 0, segment
    while rest:
        letter, rest = rest[0], rest[1:]
        if letter == "[" and "]" in rest[1:]:
            end = rest.index("]", 1)
            parts.append(f"[{rest[:end].replace('!', '^', 1) if rest[0] == '!' else rest[:end]}]")
            rest = rest[end + 1 :]
            continue
        if letter == "\\" and rest:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
            continue
        braces += {"{": 1, "}": -1}.get(letter, 0)
        parts.append("|" if letter == "," and braces > 0 else words.get(letter, re.escape(letter)))
    return "".join(parts)
