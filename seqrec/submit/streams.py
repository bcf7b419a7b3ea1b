"""Pipes past the JVM: Spark starts the job's Python with both of its streams joined into the JVM's stdout.

They keep results and story apart, and tell the job which of them a terminal shows; `command.screen.connect_streams` takes them.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAMES = {"stdout": 1, "stderr": 2}


@contextmanager
def open_streams(folder: Path) -> Iterator[dict[str, str]]:
    """In the `with` block, what is written to the pipes goes to this process's streams; yields the variables that name them.

    Each pipe has a reader of its own, a `cat` that no signal to the job reaches, and is held open until the block ends: all that
    was written comes through, even if this process is killed. Where no pipe can be made, the job writes through the JVM.
    """
    try:
        folder.mkdir()
        for name in NAMES:
            os.mkfifo(folder / name)
    except OSError:
        yield {}
        return
    variables = {"SEQREC_STREAMS": str(folder)}
    held = [os.open(folder / name, os.O_RDWR) for name in NAMES]
    readers = [_reader(folder / name, number) for name, number in NAMES.items()]
    for name, number in NAMES.items():
        if os.isatty(number):
            (folder / f"{name}.terminal").touch()
    if os.isatty(2):
        with suppress(OSError):
            variables["COLUMNS"] = str(os.get_terminal_size(2).columns)
    try:
        yield variables
    finally:
        for descriptor in held:
            os.close(descriptor)
        for reader in readers:
            reader.wait()


def _reader(pipe: Path, number: int) -> subprocess.Popen[bytes]:
    """A process that copies a pipe to a stream of this process."""
    with pipe.open("rb", buffering=0) as source:
        return subprocess.Popen(["cat"], stdin=source, stdout=number, process_group=0)
