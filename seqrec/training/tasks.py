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


Task = Callable[[Windows], Batch]


def next_item(windows: Windows) -> Batch:
    """Each item is predicted from those before it; the first item of a window has none before it.

    >>> batch = next_item(Windows(torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]]), torch.tensor([0, 0])))
    >>> batch.inputs.tolist(), batch.targets.tolist(), batch.losses
    ([[0, 0, 5], [2, 3, 4]], [[0, 0, 6], [3, 4, 5]], 4)
    """
    inputs, following = windows.items[:, :-1], windows.items[:, 1:]
    return Batch(inputs, following.masked_fill(inputs == PADDING, PADDING), windows.users)
