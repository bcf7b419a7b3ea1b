"""A model and its loss as one module, because DDP sums the gradients of one module's forward pass."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqrec.indices import PADDING
from seqrec.models.encoders import Encoder
from seqrec.models.losses import Sampler
from seqrec.models.negatives import Draw, OutsideWindows


class Loss(NamedTuple):
    """An objective's result for a batch: the sum that is minimised, and sums by name that are reported beside it.

    Extras are detached scalars, over the same targets as the sum, of the same names in every step.
    """

    sum: Tensor
    extras: dict[str, Tensor]


class Objective(nn.Module):
    """From a batch to its loss, summed over its targets.

    The loss is a function of models.losses, with its keywords bound. A loss with negatives gets the sampler: of the whole
    vocabulary or, where `outside_windows` is set, of the items that aren't in the target's window.
    """

    def __init__(
        self, model: Encoder, *, loss: Callable[..., Tensor], sampler: Sampler | None, outside_windows: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.sampler = sampler
        self.outside_windows = outside_windows

    def forward(self, inputs: Tensor, targets: Tensor, users: Tensor) -> Loss:
        """inputs (B, L), targets (B, L) with PADDING where nothing is predicted, users (B,): see tasks.Batch."""
        predicted = targets != PADDING
        hidden = self.model(*(inputs, users)[: len(self.model.inputs)])[predicted].float()  # (B, L, D) -> (N, D)
        matrix, positives = self.model.item_matrix(), targets[predicted]
        if self.sampler is None:
            return Loss(self.loss(hidden, matrix, positives), {})
        sampler: Draw = self.sampler
        if self.outside_windows:
            windows = torch.cat([inputs, targets], dim=1)  # (B, 2L), each item of a window once or twice
            sampler = OutsideWindows(sampler, windows, predicted.nonzero()[:, 0])
        return Loss(self.loss(hidden, matrix, positives, sampler=sampler), {})
