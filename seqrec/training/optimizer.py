"""Optimisers and learning-rate schedules."""

import math

import torch
from torch import nn


def build_optimizer(
    model: nn.Module,
    *,
    name: str,
    lr: float,
    weight_decay: float,
    beta1: float,
    beta2: float,
    momentum: float,
    nesterov: bool,
) -> torch.optim.Optimizer:
    """adamw, adam or sgd; weight decay is for matrices alone, not for biases and norms."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.dim() > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)
    fused = torch.cuda.is_available()
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    optimizer: torch.optim.Optimizer = kinds[name](groups, lr=lr, betas=(beta1, beta2), fused=fused or None)
    return optimizer


def learning_rate(step: int, *, lr: float, warmup_steps: int, schedule: str, total_steps: int) -> float:
    """The rate of a step, counted from 0: a linear warm-up, then constant, cosine to 0 at total_steps, or 1/sqrt(step).

    >>> rates = [learning_rate(s, lr=1.0, warmup_steps=2, schedule="cosine", total_steps=6) for s in (0, 1, 4, 6)]
    >>> [round(rate, 9) for rate in rates]
    [0.5, 1.0, 0.5, 0.0]
    >>> round(learning_rate(400, lr=1.0, warmup_steps=100, schedule="inverse_sqrt", total_steps=1000), 9)
    0.5
    """
    if step < warmup_steps:
        return lr * (step + 1) / warmup_steps
    if schedule == "cosine":
        done = (step - warmup_steps) / max(1, total_steps - warmup_steps)
        return lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if schedule == "inverse_sqrt":
        return lr * math.sqrt(max(1, warmup_steps) / max(1, step))
    return lr
