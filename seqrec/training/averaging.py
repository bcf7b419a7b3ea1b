"""A moving average of the weights, which generalises better than the weights of the last step alone.

After step n, average = d · average + (1 - d) · weights with d = min(decay, (1 + n) / (10 + n)), so that early steps are forgotten
soon (Polyak and Juditsky 1992; the bound on d is that of TensorFlow's ExponentialMovingAverage).
"""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


class WeightAverage(Generic[M]):
    """A model with the average of another one's weights."""

    def __init__(self, model: M, *, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._source = model
        self.decay = decay

    @torch.no_grad()
    def update(self, *, number: int) -> None:
        """Take in the weights after a step, counted from 0."""
        decay = min(self.decay, (2 + number) / (11 + number))
        torch._foreach_lerp_(list(self.model.parameters()), list(self._source.parameters()), 1 - decay)
