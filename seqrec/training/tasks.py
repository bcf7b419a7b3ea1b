"""Tasks: what is predicted from a window. A task makes the trainer's batch from the loader's windows.

    windows        next_item: inputs     targets
    0 0 5 6 7                 0 0 5 6    0 0 6 7      0: nothing is predicted there
    2 3 4 5 6                 2 3 4 5    3 4 5 6

A task may draw from torch's generator, which is seeded by step and process before each call. Another task than the prediction of
items has a batch of its own, and an objective that takes it; the trainer knows no more of both than the protocol Batch says.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from seqrec.indices import PADDING
from seqrec.training.loader import Windows


class Batch(Protocol):
    """What a step learns from."""

    @property
    def losses(self) -> float:
        """The sum of the weights of the batch's predictions; the gradient is of the loss divided by it, over all processes."""

    @property
    def tokens(self) -> int:
        """How many events, or rows of features, the model reads."""

    def parts(self, number: int) -> "Sequence[Batch]":
        """The batch in at most `number` parts of near-equal size, in order."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""


class ItemBatch(NamedTuple):
    """Items to predict at positions of windows: int64 tensors."""

    inputs: Tensor  # (B, L), items that the model sees, left-padded
    targets: Tensor  # (B, L), items to predict at these positions; PADDING where nothing is predicted
    users: Tensor  # (B,), the rows of the users among those with embeddings; 0 for all others
    weights: Tensor | None = None  # (B, L) float32, how much each prediction counts; None: each counts 1
    older: Tensor | None = None  # (B, O), items that the user had before these, left-padded; None: none are known

    @property
    def losses(self) -> float:
        """The sum of the weights of the targets; without weights, how many there are."""
        predicted = self.targets != PADDING
        return float(torch.count_nonzero(predicted) if self.weights is None else self.weights[predicted].sum(dtype=torch.float64))

    @property
    def tokens(self) -> int:
        """How many events the model reads, without padding."""
        return int(torch.count_nonzero(self.inputs != PADDING))

    def parts(self, number: int) -> "list[ItemBatch]":
        """The windows in at most `number` parts of near-equal size, in order, without the columns that only pad.

        >>> batch = ItemBatch(*torch.tensor([[[0, 5], [3, 4]], [[0, 6], [4, 5]]]), torch.zeros(2))
        >>> [part.inputs.tolist() for part in batch.parts(2)]
        [[[5]], [[3, 4]]]
        """
        if number == 1:
            return [self]
        windows = torch.arange(len(self.inputs)).tensor_split(min(number, len(self.inputs)))
        return [self._each(partial(torch.index_select, dim=0, index=rows))._without_padding() for rows in windows]

    def to(self, device: torch.device) -> "ItemBatch":
        """The batch on a device; the copy doesn't wait."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "ItemBatch":
        """The batch with each of its tensors changed."""
        weights, older = (None if tensor is None else change(tensor) for tensor in (self.weights, self.older))
        return ItemBatch(change(self.inputs), change(self.targets), change(self.users), weights, older)

    def _without_padding(self) -> "ItemBatch":
        """The batch from the first column on in which a window has an item."""
        first = int(((self.inputs != PADDING) | (self.targets != PADDING)).any(0).int().argmax())
        weights = None if self.weights is None else self.weights[:, first:]
        return self._replace(inputs=self.inputs[:, first:], targets=self.targets[:, first:], weights=weights)


Task = Callable[[Windows], Batch]


def next_item(windows: Windows) -> ItemBatch:
    """Each item is predicted from those before it; the first of a window has none before it, others are another window's.

    >>> batch = next_item(Windows(torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]]), torch.tensor([0, 0]), torch.tensor([0, 1])))
    >>> batch.inputs.tolist(), batch.targets.tolist(), batch.losses, batch.tokens
    ([[0, 0, 5], [2, 3, 4]], [[0, 0, 6], [0, 4, 5]], 3.0, 4)
    """
    inputs, following = windows.items[:, :-1], windows.items[:, 1:]
    ages = (inputs != PADDING).cumsum(1)  # (B, L): 1 at a window's first item, 0 at pads
    targets = following.masked_fill(ages <= windows.others[:, None], PADDING)
    return ItemBatch(inputs, targets, windows.users, older=windows.older)
