"""A lock that one process of a machine holds at a time, and that is released however the process ends."""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqrec.errors import UserError
from seqrec.storage import files


@contextmanager
def hold_in(folder: str, name: str, *, what: str, remedy: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of the file FOLDER/NAME (see `hold`) if the folder is local; on hdfs:// and s3a:// there is no lock."""
    if not files.is_local(folder):
        yield
        return
    with hold(files.local_path(folder) / name, what=what, remedy=remedy, wait_s=wait_s):
        yield


@contextmanager
def hold(file: Path, *, what: str, remedy: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the file's lock; UserError, which names the process that holds it, if it isn't free within wait_s seconds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        give_up = time.monotonic() + wait_s
        while not _taken(handle.fileno()):
            if time.monotonic() >= give_up:
                handle.seek(0)
                raise UserError(f"{what}: held by {handle.read().strip() or 'another process'}; {remedy}")
            time.sleep(0.05)
        handle.truncate(0)
        handle.write(f"process {os.getpid()} ({_command()})")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _taken(descriptor: int) -> bool:
    """Try to take the lock of an open file; whether this process now holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _command() -> str:
    """This process's command line without the values of key=value arguments, cut at 200 characters."""
    words = [Path(sys.argv[0]).name, *(word.partition("=")[0] if "=" in word else word for word in sys.argv[1:])]
    return " ".join(words)[:200]
