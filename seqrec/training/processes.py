"""The processes of a training: one, those of torchrun, or those of Spark's TorchDistributor (which sets the same variables).

They step together, so an error that ends one of them ends them all, soon and with its message. Work that each process does alone
is done within `together`, at whose end they exchange their errors. An error while they communicate is written to the store of
their process group, where the others read it. No process waits longer than TIMEOUT.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import TypeVar

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from seqrec.errors import UserError

TIMEOUT = timedelta(minutes=15)  # more than copying a shard or writing a checkpoint takes
FAILURE = "seqrec/failure"  # the store's key for the message of the process that failed first
LOST = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "Timed out")

T = TypeVar("T")

_joinings = count()  # of this process; all processes of a training join as often


@dataclass(frozen=True, kw_only=True)
class Process:
    """This process among `world`; rank 0 writes checkpoints and reports."""

    rank: int
    world: int
    device: torch.device

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in float64 on the CPU."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def max(self, values: torch.Tensor) -> torch.Tensor:
        """The largest over all processes, elementwise, in float64 on the CPU."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: torch.Tensor, operation: dist.ReduceOp.RedOpType) -> torch.Tensor:
        """Combine the values of all processes, in float64 on the CPU."""
        if self.world == 1:
            return values.double().cpu()
        moved = values.to(self.device, torch.float64)
        dist.all_reduce(moved, operation)
        return moved.cpu()

    def share(self, value: T) -> T:
        """Rank 0's value, in all processes."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A part in which the processes don't communicate: all wait for its end, and if it fails in one, it fails in all.

        The process that failed raises its error, the others a UserError with the same message.
        """
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        messages = self._gather(None if error is None else self.describe(error))
        if error is not None:
            raise error
        for message in filter(None, messages):
            raise UserError(message)

    def _gather(self, message: str | None) -> list[str | None]:
        """The messages of all processes, by rank."""
        messages: list[str | None] = [None] * self.world
        if self.world > 1:
            dist.all_gather_object(messages, message)
        return messages

    def describe(self, error: Exception) -> str:
        """One line for the other processes."""
        if isinstance(error, UserError):
            return str(error)
        return f"process {self.rank} of {self.world} ended with {type(error).__name__}: {_first_line(error)}"


def leads() -> bool:
    """Whether this is the only process, or torchrun's first one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def join_processes(*, timeout: timedelta = TIMEOUT) -> Iterator[Process]:
    """This process, joined to the others that RANK and WORLD_SIZE name: over gloo, tensors on GPUs over nccl.

    Raises UserError, in all of them, if one ends or doesn't answer within the timeout, or if a machine has fewer GPUs than
    processes.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    cuda, local_rank = torch.cuda.is_available(), int(os.environ.get("LOCAL_RANK", "0"))
    process = Process(rank=rank, world=world, device=torch.device("cuda", local_rank) if cuda else torch.device("cpu"))
    if world > 1:
        backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
        dist.init_process_group(backend, store=_own_store(timeout), rank=rank, world_size=world, timeout=timeout)
    try:
        with process.together():
            if cuda:
                _take_gpu(process.device)
        with _failure_shared(process):
            yield process
    finally:
        if world > 1:
            dist.destroy_process_group()


def _own_store(timeout: timedelta) -> PrefixStore:
    """The processes' common store, with keys of this joining alone: a second one would meet the addresses of the first."""
    return PrefixStore(f"joined {next(_joinings)}", _common_store(timeout))


@cache
def _common_store(timeout: timedelta) -> Store:
    """The store of the variables of torchrun, opened once in a process: without an agent of torchrun's, rank 0 serves it.

    Were it opened for each joining, a process that comes to the next one early would find the server of the last, which ends.
    """
    store: Store = next(rendezvous("env://", timeout=timeout))[0]
    return store


def _take_gpu(device: torch.device) -> None:
    """Make the device this process's GPU; UserError if the machine has too few."""
    gpus, processes = torch.cuda.device_count(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    require_gpus(max(processes, (device.index or 0) + 1), gpus)
    torch.cuda.set_device(device)


def require_gpus(processes: int, gpus: int) -> None:
    """Raise UserError if processes of one machine would share a GPU.

    >>> require_gpus(2, 4)
    """
    if processes > gpus:
        raise UserError(
            f"{processes} processes on a machine with {gpus} GPUs: each needs one of its own; start at most {gpus}, or train on "
            f"the CPUs with CUDA_VISIBLE_DEVICES= in the environment"
        )


@contextmanager
def _failure_shared(process: Process) -> Iterator[None]:
    """Write the error that ends this process to the store: the others would only see that a connection was closed."""
    try:
        yield
    except Exception as error:
        if process.world == 1:
            raise
        if not _is_lost(error):
            _first_failure(process.describe(error))
            raise
        cause = _first_failure(
            f"process {process.rank} of {process.world} lost the others ({_plain(error)}): one of them was ended or hangs; "
            f"checkpoints stay, so the same command goes on from the last one"
        )
        raise UserError(cause) from error


def _is_lost(error: Exception) -> bool:
    """Whether an error says no more than that another process doesn't answer; gloo's are plain RuntimeErrors."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and any(word in str(error) for word in LOST))


def _plain(error: Exception) -> str:
    """What gloo says, without the line of its source and its advice."""
    return re.sub(r"^\[\S*\] ", "", _first_line(error)).partition(". ")[0]


def _first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [""])[0]


def _first_failure(message: str) -> str:
    """The message of the process that failed first; this one's, if no other has failed before it."""
    try:
        store = dist.distributed_c10d._get_default_store()
        first = store.compare_set(FAILURE, "", json.dumps({"message": message}))
        return str(json.loads(first)["message"])
    except (RuntimeError, ValueError):  # the store ended with the process that held it
        return message
