"""A model and its loss as one module, because DDP sums the gradients of one module's forward pass."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqrec.indices import PADDING
from seqrec.models.encoder import Encoder
from seqrec.models.losses import Predictions, Sampler
from seqrec.models.negatives import Draw, OutsideWindows
from seqrec.training.tasks import ItemBatch


class Loss(NamedTuple):
    """An objective's result for a batch: the sum that is minimised, and sums by name that are reported beside it.

    Extras are detached scalars, over the same targets as the sum, of the same names in every step.
    """

    sum: Tensor
    extras: dict[str, Tensor]


class ItemObjective(nn.Module):
    """From a batch of items to predict to its loss, summed over its targets by their weights.

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

    def forward(self, batch: ItemBatch) -> Loss:
        """The loss of a batch; see ItemBatch for the shapes."""
        inputs, targets, users, weights = batch
        predicted = targets != PADDING
        hidden = self.model(*(inputs, users)[: len(self.model.inputs)])[predicted].float()  # (B, L, D) -> (N, D)
        matrix = self.model.item_matrix()
        predictions = Predictions(hidden, targets[predicted], None if weights is None else weights[predicted])
        if self.sampler is None:
            return Loss(self.loss(predictions, matrix), {})
        sampler: Draw = self.sampler
        if self.outside_windows:
            windows = torch.cat([inputs, targets], dim=1)  # (B, 2L), each item of a window once or twice
            sampler = OutsideWindows(sampler, windows, predicted.nonzero()[:, 0])
        return Loss(self.loss(predictions, matrix, sampler=sampler), {})
