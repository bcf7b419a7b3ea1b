"""The folder of a job's temporary files, Spark's too, which goes with the job.

It is locked while a process of the job lives, so that the next job knows which folders were left by jobs that were killed. A file
system without locks, as Lustre may be, is taken all the same: what a killed job leaves there stays until somebody removes it.
"""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from seqrec.errors import UserError

PREFIX = "seqrec."


class WorkFolder(NamedTuple):
    """The folder, and the file descriptor of its lock, which the job's processes inherit; None where there are no locks."""

    path: Path
    lock: int | None

    @property
    def temporary(self) -> Path:
        """TMPDIR of the job."""
        return self.path / "tmp"


@contextmanager
def work_folder() -> Iterator[WorkFolder]:
    """A new folder below TMPDIR for the `with` block; first, those of killed jobs are removed, and named on stderr."""
    parent = Path(os.environ.get("TMPDIR") or "/tmp")
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise UserError(f"TMPDIR={parent} is no folder that can be written: make it, or unset TMPDIR")
    if any(sign in str(parent) for sign in ",#"):
        raise UserError(f"TMPDIR={parent}: Spark's lists can't hold a comma or a # in a name; choose another folder")
    parent = parent.absolute()
    path: Path | None = None
    try:
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            (path / "tmp").mkdir()
            lock = _lock(path)
        except OSError:
            raise UserError(f"no folder can be made in {parent}: free space there, or set TMPDIR to another folder") from None
        _remove_left(parent)
        yield WorkFolder(path, lock)
    finally:
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)


def _lock(folder: Path) -> int | None:
    """Lock the folder; its lock is there under that name only when it is held. None where the file system has no locks."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    (folder / ".lock").rename(folder / "lock")
    return descriptor


def _remove_left(parent: Path) -> None:
    """Remove this user's folders whose lock nobody holds."""
    for lock in parent.glob(f"{PREFIX}*/lock"):
        with suppress(OSError):
            if lock.stat().st_uid != os.getuid():
                continue
            with lock.open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
                sys.stderr.write(f"removed {lock.parent}, which a killed job left\n")
