"""Steps of a chain as processes: their headings, their environment, and signals that reach them."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from seqrec.command.installation import run_command
from seqrec.command.screen import heading
from seqrec.command.story import STEP

log = logging.getLogger("seqrec")


@contextmanager
def step(number: int, total: int, name: str) -> Iterator[None]:
    """In the `with` block, a job of a chain runs, below its heading: the job doesn't say itself what it is and what is next."""
    log.info("%s", f"\n{heading(f'{number} of {total}  {name}')}")
    os.environ[STEP] = str(number)
    try:
        yield
    finally:
        del os.environ[STEP]


def submit(job: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
    """Run a job as a user does, with variables beside this process's.

    If it fails, it has said why, and this process ends with its status.
    """
    call([*run_command(), job, *arguments], environment=environment)


def call(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end, and pass signals on to it; unless its status is 0, this process ends with the same status."""
    with subprocess.Popen(command, env={**os.environ, **(environment or {})}) as process:
        try:
            status = process.wait()
        except (KeyboardInterrupt, SystemExit) as ended:
            process.send_signal(signal.SIGINT if isinstance(ended, KeyboardInterrupt) else signal.SIGTERM)
            process.wait()
            raise
    if status:
        sys.exit(status if status > 0 else 128 - status)
