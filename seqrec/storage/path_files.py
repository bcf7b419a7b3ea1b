"""The files that a path means: itself, those of a folder, or those that match a pattern; as Spark takes them."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from seqrec.errors import UserError
from seqrec.storage import files

MARKS = re.compile(r"[*?\[{]")  # of a pattern
HIDDEN = (".", "_")  # names with such a beginning are left out by Spark, but for those such as _day=1


class InputFile(NamedTuple):
    """A file of an input, its bytes, and the columns that the names of its folders hold, as in day=1/part.csv.

    is_listed   whether Spark lists it where it reads the place: it doesn't look into folders, but for those named NAME=VALUE and
                all that is in them
    """

    path: str
    size: int
    partitions: dict[str, str]
    is_listed: bool


def places(path: str) -> list[str]:
    """The path itself, if something is there; else the files and folders that match it as a pattern; none if nothing does."""
    return [path] if files.exists(path) else _matches(path)


def is_pattern(path: str) -> bool:
    """Whether a path has a mark of a pattern.

    >>> is_pattern("/data/r-*.csv"), is_pattern("/data/r.csv")
    (True, False)
    """
    return MARKS.search(path) is not None


def is_hidden(name: str) -> bool:
    """Whether Spark leaves out a file or folder of this name, and all that is in the folder.

    >>> is_hidden("_SUCCESS"), is_hidden(".day=1"), is_hidden("_day=1"), is_hidden("r.csv")
    (True, True, False, False)
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def folder_above(pattern: str) -> str:
    """The folder above a pattern's first mark.

    >>> folder_above("s3a://b/root/day=*/r-?.csv"), folder_above("*.csv"), folder_above("/*.csv")
    ('s3a://b/root', '.', '/')
    """
    mark = MARKS.search(pattern)
    folder, slash, _ = pattern[: mark.start()].rpartition("/") if mark else (pattern, "", "")
    return folder or slash or "."


def files_of(place: str) -> Iterator[InputFile]:
    """A file itself; of a folder all files in it and below that aren't hidden.

    What vanishes meanwhile, and what is neither a file nor a folder, such as a broken link, is left out.
    """
    yield from _files_of(place, {}, is_listed=True)


def _files_of(place: str, partitions: dict[str, str], *, is_listed: bool) -> Iterator[InputFile]:
    """The files of a place in folders that hold the columns `partitions`."""
    try:
        size = files.size_of(place)
    except FileNotFoundError:
        return
    if size is not None:
        yield InputFile(place, size, partitions, is_listed)
        return
    for name, bytes_of_file in files.sizes(place).items():
        column, equals, value = name.partition("=")
        inner = files.join(place, name)
        if is_hidden(name):
            continue
        if bytes_of_file is not None:
            yield InputFile(inner, bytes_of_file, partitions, is_listed)
        elif equals:
            yield from _files_of(inner, {**partitions, column: value}, is_listed=is_listed)
        else:
            yield from _files_of(inner, partitions, is_listed=is_listed and bool(partitions))


def _matches(pattern: str) -> list[str]:
    """The files and folders that match a pattern of Hadoop's."""
    if not is_pattern(pattern):
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
    if not segment or not (is_pattern(segment) or "\\" in segment):
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
