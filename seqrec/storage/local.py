"""Files on the file systems that this process mounts."""

import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from seqrec.storage.paths import local_path

TEMPORARY = (".seqrec.", ".tmp")  # prefix and suffix of the name of a file that is still being written
CHUNK = 8 << 20  # bytes
LEFT_BEHIND_S = 3600.0  # a temporary file that didn't change for so long was left by a killed process


class LocalFiles:
    """Files on the file systems that this process mounts; the methods are those of `files.FileSystem`."""

    def exists(self, path: str) -> bool:
        return local_path(path).exists()

    def read(self, path: str) -> bytes:
        return local_path(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        _replace(local_path(path), [content])

    def put(self, source: Path, path: str) -> None:
        _replace(local_path(path), chunks(source))

    def names(self, folder: str) -> list[str]:
        root = local_path(folder)
        return os.listdir(root) if root.is_dir() else []

    def sizes(self, folder: str) -> dict[str, int | None]:
        root = local_path(folder)
        if not root.is_dir():
            return {}
        found: dict[str, int | None] = {}
        with os.scandir(root) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process removed or renamed it since
                    found[entry.name] = entry.stat().st_size if entry.is_file() else None
        return found

    def newest_change(self, folder: str) -> float:
        root, newest = local_path(folder), 0.0
        for path in (root, *root.rglob("*")):
            with suppress(FileNotFoundError):  # another process removed or renamed it since
                newest = max(newest, path.lstat().st_mtime)
        return newest

    def read_end(self, path: str, size: int) -> bytes:
        with local_path(path).open("rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - size))
            return source.read()

    def read_part(self, path: str, start: int, size: int) -> bytes:
        with local_path(path).open("rb") as source:
            source.seek(start)
            return source.read(size)

    def size(self, path: str) -> int | None:
        """The bytes of a file; None for a folder; OSError for what is neither."""
        status = local_path(path).stat()
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            raise OSError("it is neither a file nor a folder")
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def remove(self, path: str) -> None:
        """Remove a file, a link, or a folder with all it holds; nothing happens if it isn't there."""
        target = local_path(path)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def fetch(self, path: str, target: Path) -> None:
        self.put(local_path(path), str(target))

    def try_to_write(self, folder: str) -> None:
        """Create and remove a test file in the folder or, if there is none, in its nearest ancestor; OSError if that fails."""
        root = local_path(folder).absolute()
        for ancestor in (root, *root.parents):
            try:
                ancestor.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not ancestor.is_dir():
                raise NotADirectoryError(f"{ancestor} is not a folder")
            try:
                with tempfile.NamedTemporaryFile(prefix=TEMPORARY[0], suffix=TEMPORARY[1], dir=ancestor):
                    return
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(ancestor)) from error


def temporary_name() -> str:
    """A new name for a file that is still being written."""
    return f"{TEMPORARY[0]}{secrets.token_hex(4)}{TEMPORARY[1]}"


def is_temporary(name: str) -> bool:
    """Whether a file, by its name, is still being written: readers leave it out."""
    return name.startswith(TEMPORARY[0]) and name.endswith(TEMPORARY[1])


def chunks(source: Path) -> Iterator[bytes]:
    """The content of a file, piece by piece; OSError if it ends before its size."""
    with source.open("rb", buffering=0) as stream:
        size, done = os.fstat(stream.fileno()).st_size, 0
        while chunk := stream.read(CHUNK):
            done += len(chunk)
            yield chunk
    if done != size:
        raise OSError(f"{source} changed while it was copied: it had {size} bytes, {done} were read")


def _replace(target: Path, content: Iterable[bytes]) -> None:
    """Write a temporary file beside the target, flush it to the disk, and rename it to the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(target.parent)
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY[0], suffix=TEMPORARY[1], dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as sink:
            sink.writelines(content)
            sink.flush()
            os.fsync(sink.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_left_behind(folder: Path) -> None:
    """Remove the temporary files of writes that were killed."""
    for name in filter(is_temporary, os.listdir(folder)):
        with suppress(FileNotFoundError):
            if time.time() - (folder / name).stat().st_mtime > LEFT_BEHIND_S:
                (folder / name).unlink()
