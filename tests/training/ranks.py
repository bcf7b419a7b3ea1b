"""Two processes that meet over gloo, as those of torchrun do, forked from one that has imported torch and the trainers already.

What torchrun itself adds is an interpreter for each process and one of its own: each imports torch for seconds.
"""

import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

FORKS = multiprocessing.get_context("forkserver")
# torch.optim imports torch._dynamo at the first step, for seconds.
FORKS.set_forkserver_preload(["jobs.train", "jobs.train_ranker", "tests.training.meeting", "torch._dynamo"])


class Ended(NamedTuple):
    """The statuses of both processes, as the shell counts them but negative for signals, and what each wrote to stderr."""

    statuses: list[int | None]
    said: list[str]


def run_ranks(
    work: Callable[..., object], *arguments: object, folder: Path, limit_s: float = 240.0, grace_s: float = 60.0
) -> Ended:
    """Call `work` in both processes; their stderr goes through files in the folder.

    If rank 1 is still there `grace_s` seconds after the end of rank 0, it is killed. AssertionError if rank 0 takes longer than
    `limit_s`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    logs = [folder / f"rank{rank}.stderr" for rank in (0, 1)]
    started = []
    for rank, log in enumerate(logs):
        place = {**os.environ, **address, "LOCAL_WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = FORKS.Process(target=_be_rank, args=(place, log, work, arguments))
        process.start()
        started.append(process)
    try:
        started[0].join(limit_s)
        assert started[0].exitcode is not None, f"rank 0 still runs after {limit_s} s: {[log.read_text() for log in logs]}"
        started[1].join(grace_s)
    finally:
        for process in started:
            process.kill()
            process.join()
    return Ended([process.exitcode for process in started], [log.read_text() for log in logs])


def _be_rank(place: Mapping[str, str], log: Path, work: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """In a process of its own: with this environment, stderr in the log, and one thread, as torchrun has it."""
    os.environ.clear()
    os.environ.update(place)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    torch.set_num_threads(1)
    work(*arguments)
