"""The files of an input, and the first that tells of its content; what is wrong with a path that has none."""

from seqrec.errors import FileError, UserError
from seqrec.storage import files
from seqrec.storage.path_files import HIDDEN, InputFile, files_of, is_pattern, places


def input_files(path: str) -> list[InputFile]:
    """The files of an input, sorted by their paths. Raises UserError for a path that isn't there, and one without any file."""
    try:
        matches = places(path)
        found = [file for place in matches for file in files_of(place)]
    except FileError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}") from None
    if not matches:
        none = "no file or folder matches it" if is_pattern(path) else "no such file or folder"
        raise UserError(f"{path}: {none}")
    if not found:
        raise UserError(f"{path} {_say_empty(matches[0])}")
    return sorted(found)


def first_file(path: str) -> InputFile:
    """The first file of an input that has content, or the first at all where none has."""
    found = input_files(path)
    return next((file for file in found if file.size), found[0])


def _say_empty(folder: str) -> str:
    """What to say of a folder without files."""
    folders = [name for name, size in files.sizes(folder).items() if size is None]
    if "_temporary" in folders:
        return "is still being written (_temporary is there): wait until it is whole, or remove what a killed writer has left"
    inside = [name for name in folders if not name.startswith(HIDDEN)]
    remedy = f", and Spark doesn't look into folders in it, such as {inside[0]}: give {files.join(folder, '*')}" if inside else ""
    return f"is an empty folder{remedy}"
