"""Small files on any file system: local paths, file://, hdfs:// and s3a://.

Spark reads and writes the tables; this module is for what lies beside them (CURRENT, meta.json, checkpoints). A remote path
goes through Hadoop's file system where a Spark context runs in this process, else through pyarrow's. A reader sees the old
content of a file or the new one, never a part, even if the writer is killed; when pyarrow replaces a file on HDFS, there is none
for a moment. A failed operation raises a FileError, which names the path and the reason; a missing file, FileNotFoundError.
"""

import logging
import posixpath
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from seqrec.errors import FileError
from seqrec.storage import hadoop, paths
from seqrec.storage.arrow import ArrowFiles
from seqrec.storage.hadoop import HadoopFiles
from seqrec.storage.local import LocalFiles, is_temporary
from seqrec.storage.paths import is_local, join, local_path

__all__ = ["is_local", "join", "local_path"]

log = logging.getLogger("seqrec")

PATIENCE_S = 5.0  # after so long without an answer, the log names the remote path


class FileSystem(Protocol):
    """The operations of the three file systems. Errors are OSErrors; a missing file is a FileNotFoundError."""

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""

    def read(self, path: str) -> bytes:
        """A whole file."""

    def read_end(self, path: str, size: int) -> bytes:
        """The last `size` bytes of a file."""

    def read_part(self, path: str, start: int, size: int) -> bytes:
        """At most `size` bytes of a file, from the byte `start` on."""

    def size(self, path: str) -> int | None:
        """The bytes of a file; None for a folder."""

    def write(self, path: str, content: bytes) -> None:
        """Create or replace a file, whole or not at all."""

    def put(self, source: Path, path: str) -> None:
        """Create or replace a file with the content of a local one, whole or not at all."""

    def fetch(self, path: str, target: Path) -> None:
        """Copy a file to a local path."""

    def names(self, folder: str) -> list[str]:
        """Names in a folder; none if there is no such folder."""

    def sizes(self, folder: str) -> dict[str, int | None]:
        """The size in bytes of each file in a folder, by name; None for a subfolder; {} if there is no such folder."""

    def newest_change(self, folder: str) -> float:
        """When a file, or anything in a folder, was last written, in seconds since 1970; 0 if nothing is there."""

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all it holds; nothing happens if it isn't there."""

    def try_to_write(self, folder: str) -> None:
        """Create and remove a test file in a folder, which need not exist yet."""


LOCAL, HADOOP, ARROW = LocalFiles(), HadoopFiles(), ArrowFiles()


def absolute(path: str) -> str:
    """The path with its scheme, as Spark and Hadoop want it: not URL-quoted, and s3:// as s3a:// (see `hadoop.spelled`)."""
    whole = paths.absolute(path)
    return hadoop.spelled(whole) if hadoop.runs() else whole


def uri(path: str) -> str:
    """The path as `absolute` gives it, with its special characters quoted, for functions that parse URLs."""
    return paths.uri(absolute(path))


def exists(path: str) -> bool:
    """Whether a file or folder is there."""
    with _operation(path, "looked at") as system:
        return system.exists(path)


def read_bytes(path: str) -> bytes:
    """A whole file; FileNotFoundError if there is none."""
    with _operation(path, "read", missing=True) as system:
        return system.read(path)


def read_text(path: str) -> str:
    """A whole UTF-8 file; FileNotFoundError if there is none."""
    return read_bytes(path).decode()


def write_bytes(path: str, content: bytes) -> None:
    """Create or replace a file."""
    with _operation(path, "written") as system:
        system.write(path, content)


def write_text(path: str, content: str) -> None:
    """Create or replace a UTF-8 file."""
    write_bytes(path, content.encode())


def names(folder: str) -> list[str]:
    """Names in a folder, sorted, without files that are still being written; none if there is no such folder."""
    with _operation(folder, "listed") as system:
        return sorted(name for name in system.names(folder) if not is_temporary(name))


def sizes(folder: str) -> dict[str, int | None]:
    """The size in bytes of each file in a folder, by name, sorted; None for a subfolder; {} if there is no such folder.

    It costs one listing, not a request for each file.
    """
    with _operation(folder, "listed") as system:
        sizes_by_name = system.sizes(folder)
    return {name: size for name, size in sorted(sizes_by_name.items()) if not is_temporary(name)}


def newest_change(folder: str) -> float:
    """When a file, or anything in a folder, was last written, in seconds since 1970; 0 if nothing is there."""
    with _operation(folder, "listed") as system:
        return system.newest_change(folder)


def read_end(path: str, size: int) -> bytes:
    """The last `size` bytes of a file, or the whole of a shorter one; FileNotFoundError if there is none."""
    with _operation(path, "read", missing=True) as system:
        return system.read_end(path, size)


def read_part(path: str, start: int, size: int) -> bytes:
    """At most `size` bytes of a file, from the byte `start` on; FileNotFoundError if there is none."""
    with _operation(path, "read", missing=True) as system:
        return system.read_part(path, start, size)


def size_of(path: str) -> int | None:
    """The bytes of a file; None for a folder; FileNotFoundError if there is neither."""
    with _operation(path, "looked at", missing=True) as system:
        return system.size(path)


def remove(path: str) -> None:
    """Remove a file, or a folder with all it holds; nothing happens if it isn't there."""
    with _operation(path, "removed", missing=True) as system:
        system.remove(path)


def fetch(path: str, folder: Path) -> Path:
    """The local path of a file: its own if it is local, else that of a copy in `folder`; FileNotFoundError if there is none."""
    if is_local(path):
        return local_path(path)
    target = folder / posixpath.basename(path)
    with _operation(path, "copied here", missing=True) as system:
        target.parent.mkdir(parents=True, exist_ok=True)
        system.fetch(path, target)
    return target


def put(source: Path, path: str) -> None:
    """Copy a local file of any size to a path, replacing what was there."""
    with _operation(path, "written") as system:
        system.put(source, path)


def require_writable(folder: str, *, key: str) -> None:
    """Raise FileError, with the configuration's `key` of the folder, unless files can be created in it.

    It writes and removes a test file, so call it before the work. The folder need not exist, and isn't created. It waits at most
    about 15 seconds for a server.
    """
    try:
        with _operation(folder, "written") as system:
            system.try_to_write(folder)
    except FileError as error:
        message = f"{key}: {error}; nothing was done: choose another place, or mend this one"
        raise FileError(message, str(error.strerror)) from error.__cause__


def _system(path: str) -> FileSystem:
    """The file system of a path. If a Spark context runs here, remote paths use its Hadoop, with its settings and keys."""
    if is_local(path):
        return LOCAL
    return HADOOP if hadoop.runs() else ARROW


@contextmanager
def _operation(path: str, what: str, *, missing: bool = False) -> Iterator[FileSystem]:
    """In the `with` block, errors name the path and a long wait is logged; with `missing`, FileNotFoundError is passed on."""
    system = _system(path)
    warning = threading.Timer(PATIENCE_S, log.warning, ("waiting for %s to be %s", path, what))
    warning.daemon = True
    if system is not LOCAL:
        warning.start()
    try:
        yield system
    except FileNotFoundError as error:
        if missing:
            raise FileNotFoundError(path) from error
        raise _file_error(path, what, error) from error
    except (OSError, ValueError) as error:
        raise _file_error(path, what, error) from error
    finally:
        warning.cancel()


def _file_error(path: str, what: str, error: OSError | ValueError) -> FileError:
    """The FileError for a system's error; it names a second path too, if the system's error does."""
    reason = str(getattr(error, "strerror", None) or error or type(error).__name__)
    other_path = getattr(error, "filename", None)
    if other_path and str(other_path) != path:
        reason = f"{reason}: {other_path}"
    return FileError(f"{path} can't be {what}: {reason}", reason)
