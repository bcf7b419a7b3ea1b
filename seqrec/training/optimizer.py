"""Optimisers, and schedules of the learning rate."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from seqrec.settings.training import Optimizer

LONGEST_WARMUP = 200  # steps, where their number is left to the training
ENDING = ("cosine", "linear")  # schedules that reach 0 at the end of the training
STATES = {"adamw": 2, "adam": 2, "sgd": 1}  # numbers that an optimiser keeps of each weight


def build_optimizer(model: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """adamw, adam or sgd; weight decay is for matrices alone, not for biases and norms."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.nesterov)
    fused = torch.cuda.is_available()
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    betas = (settings.beta1, settings.beta2)
    optimizer: torch.optim.Optimizer = kinds[settings.name](groups, lr=settings.lr, betas=betas, fused=fused or None)
    return optimizer


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate of each step: a linear warm-up, then constant, cosine or linear to 0 at total_steps, or 1/sqrt(step)."""

    shape: str
    lr: float
    warmup_steps: int
    total_steps: int

    @classmethod
    def of(cls, settings: Optimizer, *, total_steps: int) -> "Schedule":
        """The schedule of a training; a warm-up of unknown length is short where the training is.

        >>> Schedule.of(Optimizer(warmup_steps=None), total_steps=1000).warmup_steps
        50
        """
        warmup = min(LONGEST_WARMUP, total_steps // 20) if settings.warmup_steps is None else settings.warmup_steps
        return cls(shape=settings.schedule, lr=settings.lr, warmup_steps=warmup, total_steps=total_steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        >>> schedule = Schedule(shape="cosine", lr=1.0, warmup_steps=2, total_steps=6)
        >>> [round(schedule.rate(step), 9) for step in (0, 1, 4, 6)]
        [0.5, 1.0, 0.5, 0.0]
        >>> [Schedule(shape="linear", lr=1.0, warmup_steps=2, total_steps=6).rate(step) for step in (0, 2, 3, 6)]
        [0.5, 1.0, 0.75, 0.0]
        >>> round(Schedule(shape="inverse_sqrt", lr=1.0, warmup_steps=100, total_steps=1000).rate(400), 9)
        0.5
        """
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        done = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        if self.shape == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * done))
        if self.shape == "linear":
            return self.lr * (1 - done)
        if self.shape == "inverse_sqrt":
            return self.lr * math.sqrt(max(1, self.warmup_steps) / max(1, step))
        return self.lr
