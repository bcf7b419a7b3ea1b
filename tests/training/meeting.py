"""Two processes that meet, of which the second fails, is killed or hangs: `python -m tests.training.meeting KIND`."""

import os
import signal
import sys
import time
from datetime import timedelta

import torch

from seqrec.command.entry import command_line
from seqrec.errors import UserError
from seqrec.training.processes import Process, join_processes


def meet(kind: str, process: Process) -> None:
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
        time.sleep(15)
        os._exit(0)
    process.sum(torch.ones(1))


if __name__ == "__main__":
    with command_line(), join_processes(timeout=timedelta(seconds=5)) as process:
        meet(sys.argv[1], process)
