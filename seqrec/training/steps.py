"""One step of a training: windows in, weights a little better. loop.py has the picture."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seqrec.training.averaging import WeightAverage
from seqrec.training.objective import Loss
from seqrec.training.processes import Process
from seqrec.training.tasks import Batch


class Stop(NamedTuple):
    """Whether to stop after a step: because the time is up, or because a signal asks for it."""

    late: bool
    signalled: bool


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The sums of this process's batch, and whether any process has to stop."""

    loss_sum: float
    losses: float  # the sum of the predictions' weights
    tokens: int  # events, or rows, that the model read
    extras: dict[str, float]
    stop: Stop


@dataclass(frozen=True, kw_only=True)
class Stepper:
    """Makes the steps of a training. All processes step together, each over its own windows."""

    process: Process
    task: Callable[[Any], Batch]  # what the loader gives -> what is learnt from it
    objective: nn.Module  # a batch of the task -> Loss; in DDP if there are several processes
    optimizer: torch.optim.Optimizer
    schedule: Callable[[int], float]  # the learning rate of a step, counted from 0
    clip_norm: float | None  # largest norm of all gradients together
    parts: int  # that a step's windows go through the model in, one after another: memory for one, the gradient of all
    bf16: bool
    seed: int
    average: WeightAverage[Any] | None = None  # of the weights, which takes them in after each step

    def step(self, loaded: Any, *, number: int, stop: Stop) -> StepResult:
        """One step of all processes, counted from 0; gradients are of the mean over the losses of all of them, of all parts."""
        self._seed(number)
        batch = self.task(loaded)
        losses = batch.losses
        total, late, signalled = self.process.sum(torch.tensor([losses, *stop], dtype=torch.float64)).tolist()
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule(number)
        self.optimizer.zero_grad(set_to_none=True)
        summed: list[Loss] = []  # read after the step, so that a GPU isn't waited for before
        parts = batch.parts(self.parts)
        for place, part in enumerate(parts, start=1):
            with self._exchanging(place == len(parts)):
                loss = self._loss(part)
                (loss.sum * (self.process.world / total)).backward()  # DDP averages over processes: world makes it their sum
            summed.append(Loss(loss.sum.detach(), loss.extras))
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.objective.parameters(), self.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(number=number)
        loss_sum = sum(float(loss.sum) for loss in summed)
        extras = {name: sum(float(loss.extras[name]) for loss in summed) for name in summed[0].extras}
        stops = Stop(late=late > 0, signalled=signalled > 0)
        return StepResult(loss_sum=loss_sum, losses=losses, tokens=batch.tokens, extras=extras, stop=stops)

    def _loss(self, part: Batch) -> Loss:
        """The loss of a part, on the training's device."""
        device = self.process.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            loss: Loss = self.objective(part.to(device))
        return loss

    def _exchanging(self, last: bool) -> AbstractContextManager[None]:
        """In the `with` block of the last part, DDP sums the gradients of all processes; before that, each adds up its own."""
        if last or not isinstance(self.objective, DistributedDataParallel):
            return nullcontext()
        silent: AbstractContextManager[None] = self.objective.no_sync()
        return silent

    def _seed(self, number: int) -> None:
        """Seed torch by seed, step and rank, so that a resumed training draws the same numbers as one that never stopped."""
        seeds = np.random.SeedSequence((self.seed, number, self.process.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(seeds[0] >> np.uint64(1)))
