"""The processes of a training: one, those of torchrun, or those of Spark's TorchDistributor (which sets the same variables)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


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
        if self.world == 1:
            return values.double().cpu()
        moved = values.to(self.device, torch.float64)
        dist.all_reduce(moved, operation)
        return moved.cpu()

    def barrier(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()


def leads() -> bool:
    """Whether this is the only process, or torchrun's first one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def join() -> Iterator[Process]:
    """This process, joined to the others that RANK and WORLD_SIZE name; nccl on GPUs, else gloo."""
    world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if world == 1:
        yield Process(rank=0, world=1, device=device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Process(rank=rank, world=world, device=device)
    finally:
        dist.destroy_process_group()
