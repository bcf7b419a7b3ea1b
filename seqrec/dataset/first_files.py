"""The files of an input, and the first that tells of its content; what is wrong with a path that has none, or hides some."""

import re
from collections.abc import Sequence

from seqrec.errors import FileError, UserError
from seqrec.storage import files
from seqrec.storage.path_files import InputFile, files_of, is_hidden, is_pattern, places

NO_DATA = re.compile(  # names of files that tell of others
    r"(?i)^(readme|licen[cs]e|notice|changelog)\b|\.(md|rst|html?|pdf|png|jpe?g|svg|py|ipynb|sh|ya?ml|log|crc|md5|sha\d+)$"
)


def input_files(path: str) -> list[InputFile]:
    """The files of an input, sorted by their paths.

    Raises UserError for a path that isn't there, for one without any file, and for one with files that Spark would leave out.
    """
    try:
        matches = places(path)
        below = [file for place in matches for file in files_of(place)]
    except FileError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}") from None
    if not matches:
        none = "no file or folder matches it" if is_pattern(path) else "no such file or folder"
        raise UserError(f"{path}: {none}")
    found = sorted(file for file in below if file.is_listed)
    if not found:
        raise UserError(f"{path} {_say_empty(matches[0])}")
    _guard_left_out(path, found, below)
    return found


def first_file(path: str) -> InputFile:
    """The first file of an input that has content, or the first at all where none has."""
    found = input_files(path)
    return next((file for file in found if file.size), found[0])


def _say_empty(folder: str) -> str:
    """What to say of a folder without files."""
    folders = [name for name, size in files.sizes(folder).items() if size is None]
    if "_temporary" in folders:
        return "is still being written (_temporary is there): wait until it is whole, or remove what a killed writer has left"
    inside = [name for name in folders if not is_hidden(name)]
    remedy = f", and Spark doesn't look into folders in it, such as {inside[0]}: give {files.join(folder, '*')}" if inside else ""
    return f"is an empty folder{remedy}"


def _guard_left_out(path: str, found: Sequence[InputFile], below: Sequence[InputFile]) -> None:
    """Raise UserError if Spark would read only a part of the data.

    It leaves out what lies in folders beside files, and files beside folders such as day=1, whose names are a column. `below`
    are all files that aren't hidden. Empty files are no data, and neither are those that tell of others, such as README.md.
    """
    in_columns = any(file.partitions for file in found)
    read = {file.path for file in found if _is_data(file) and (file.partitions or not in_columns)}
    left_out = [file.path for file in below if _is_data(file) and file.path not in read]
    if read and left_out:
        why = "the folders' names are a column" if in_columns else "Spark doesn't look into folders beside files"
        raise UserError(
            f"{path}: {_count(sorted(read), path)} would be read, and {_count(sorted(left_out), path)} left out, since {why}: "
            f"{_remedies(path, sorted([*read, *left_out]), in_columns=in_columns)}"
        )


def _is_data(file: InputFile) -> bool:
    """Whether a file has content, and a name that may be that of data."""
    return bool(file.size) and not NO_DATA.search(file.path.rsplit("/", 1)[-1])


def _count(paths: Sequence[str], path: str) -> str:
    """How many files, and the first of them by its path below a folder."""
    more = ", …" if len(paths) > 1 else ""
    return f"{len(paths)} file{'s' if more else ''} ({_inside(paths[0], path)}{more})"


def _inside(file: str, folder: str) -> str:
    """The path of a file below a folder; its whole path if it isn't there, as with a pattern.

    >>> _inside("/data/old/a.csv", "/data/"), _inside("/data/old/a.csv", "/data/*")
    ('old/a.csv', '/data/old/a.csv')
    """
    return file.removeprefix(folder.rstrip("/") + "/")


def _remedies(folder: str, data: Sequence[str], *, in_columns: bool) -> str:
    """How to read all of the data in a folder, and how to read the files beside its folders alone."""
    inside = [_inside(path, folder) for path in data]
    if any(name.startswith(folder) for name in inside) or not files.exists(folder):
        return "give a pattern that matches the wanted files themselves, or move the others away"
    every = "[!._]*" if any(is_hidden(name) for name in files.names(folder)) else "*"  # Spark's * matches what is hidden, too
    remedies = [f"{files.join(folder, every)} reads all{', without this column' if in_columns else ''}"]
    if any(name.count("/") > 1 for name in inside):
        remedies = ["to read all, move them into one folder"]
    top = [name for name in inside if "/" not in name]
    endings = {name[name.rindex(".") :] if "." in name else "" for name in top}
    if len(top) == 1:
        remedies.append(f"{files.join(folder, top[0])} reads that file alone")
    elif top:
        pattern = f"*{endings.pop()}" if len(endings) == 1 else "*.ENDING"
        remedies.append(f"{files.join(folder, pattern)} reads the files of that ending beside the folders alone")
    return "; ".join(remedies) + ("; to read the folders alone, move the other files away" if in_columns else "")
