"""Two processes that meet, of which the second fails, is killed, hangs or is early; `tests/training/ranks.py` runs them."""

import os
import signal
import time
from datetime import timedelta

import torch

from seqrec.command.entry import command_line
from seqrec.errors import UserError
from seqrec.training.processes import Process, join_processes


def meet(kind: str) -> None:
    """As a job's main: errors become one line."""
    with command_line(), join_processes(timeout=timedelta(seconds=5)) as process:
        _step(kind, process)


def meet_again() -> None:
    """Both join twice, as for the stages of a training; the second is at the next joining before the first leaves the last."""
    for _ in range(2):
        with command_line(), join_processes(timeout=timedelta(seconds=20)) as process:
            assert process.sum(torch.ones(1)).item() == 2
            time.sleep(2.0 * (process.rank == 0))


def _step(kind: str, process: Process) -> None:
    """What each does; the second doesn't come to the last sum."""
    assert process.share(f"the dataset of rank {process.rank}") == "the dataset of rank 0"
    with process.together():
        if kind == "fails before" and process.rank == 1:
            raise UserError("rank 1 has no disk")
    assert process.sum(torch.ones(1)).item() == 2
    if process.rank == 1:
        if kind == "fails in a step":
            raise UserError("rank 1 has no disk")
        if kind == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
    process.sum(torch.ones(1))
