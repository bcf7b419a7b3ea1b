"""Tasks: what is predicted from a window. A task makes the trainer's batch from the loader's windows.

    windows        next_item: inputs     targets
    0 0 5 6 7                 0 0 5 6    0 0 6 7      0: nothing is predicted there
    2 3 4 5 6                 2 3 4 5    3 4 5 6

A task may draw from torch's generator, which is seeded by step and process before each call. A batch has one loss for each of its
targets, so a new task changes neither the trainer nor the losses.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seqrec.indices import PADDING
from seqrec.training.loader import Windows


class Batch(NamedTuple):
    """What a step learns from: int64 tensors on the CPU."""

    inputs: Tensor  # (B, L), items that the model sees, left-padded
    targets: Tensor  # (B, L), items to predict at these positions; PADDING where nothing is predicted
    users: Tensor  # (B,), the rows of the users among those with embeddings; 0 for all others

    @property
    def losses(self) -> int:
        """How many targets the batch has: its loss is a sum of as many terms."""
        return int(torch.count_nonzero(self.targets))

    def parts(self, number: int) -> "list[Batch]":
        """The windows in at most `number` parts of near-equal size, in order, without the columns that only pad.

        >>> [part.inputs.tolist() for part in Batch(*torch.tensor([[[0, 5], [3, 4]], [[0, 6], [4, 5]]]), torch.zeros(2)).parts(2)]
        [[[5]], [[3, 4]]]
        """
        if number == 1:
            return [self]
        cuts = zip(*(part.tensor_split(min(number, len(part))) for part in self), strict=True)
        return [Batch(*cut)._without_padding() for cut in cuts]

    def _without_padding(self) -> "Batch":
        """The batch from the first column on in which a window has an item."""
        first = int(((self.inputs != PADDING) | (self.targets != PADDING)).any(0).int().argmax())
        return Batch(self.inputs[:, first:], self.targets[:, first:], self.users)


Task = Callable[[Windows], Batch]


def next_item(windows: Windows) -> Batch:
    """Each item is predicted from those before it; the first item of a window has none before it.

    >>> batch = next_item(Windows(torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]]), torch.tensor([0, 0])))
    >>> batch.inputs.tolist(), batch.targets.tolist(), batch.losses
    ([[0, 0, 5], [2, 3, 4]], [[0, 0, 6], [3, 4, 5]], 4)
    """
    inputs, following = windows.items[:, :-1], windows.items[:, 1:]
    return Batch(inputs, following.masked_fill(inputs == PADDING, PADDING), windows.users)
