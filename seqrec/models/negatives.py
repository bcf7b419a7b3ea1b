"""Negative items, drawn on the device with torch's own generator."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM

Draw = Callable[[tuple[int, ...], torch.device], Tensor]  # item indices (2 to V+1) of a shape, on a device

ROUNDS = 20  # of redrawing negatives that are in the window


class Uniform(nn.Module):
    """Every item of the vocabulary with the same probability."""

    def __init__(self, *, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Item indices (2 to V+1) of the shape, drawn with replacement."""
        return torch.randint(FIRST_ITEM, FIRST_ITEM + self.vocab_size, shape, device=device)

    def log_q(self, items: Tensor) -> Tensor:
        """The log of each item's probability."""
        return torch.full(items.shape, -math.log(self.vocab_size), device=items.device)


class Popularity(nn.Module):
    """Items in proportion to count^power; an item without training events counts as one event."""

    def __init__(self, *, counts: Tensor, power: float) -> None:
        super().__init__()
        weights = counts.double().clamp(min=1) ** power
        probabilities = weights / weights.sum()
        self.register_buffer("log_probabilities", probabilities.log().float(), persistent=False)  # (V,)
        self.register_buffer("cumulative", probabilities.cumsum(0), persistent=False)  # (V,)
        self.log_probabilities: Tensor
        self.cumulative: Tensor

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Item indices (2 to V+1) of the shape, drawn with replacement."""
        drawn = torch.searchsorted(self.cumulative, torch.rand(shape, device=device, dtype=torch.float64))
        return drawn.clamp(max=len(self.cumulative) - 1) + FIRST_ITEM

    def log_q(self, items: Tensor) -> Tensor:
        """The log of each item's probability."""
        return self.log_probabilities[items - FIRST_ITEM]


class OutsideWindows:
    """Negatives outside of the target's window, as SASRec's authors draw them (Kang and McAuley 2018).

    Windows are (B, L); owners (N,) has the row of each target's window. A negative that is in the window is redrawn, up to 20
    times: if a window holds nearly the whole vocabulary, some such negatives stay.
    """

    def __init__(self, draw: Draw, windows: Tensor, owners: Tensor) -> None:
        self.draw = draw
        self.base = owners << 32  # (N,): above any item index
        rows = torch.arange(len(windows), device=windows.device)
        self.held = ((rows << 32)[:, None] + windows).flatten().sort().values  # (B * L,)

    def __call__(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Item indices of the shape (N, k)."""
        drawn = self.draw(shape, device)
        keys = drawn + self.base[:, None]
        wrong = self._held(keys).nonzero(as_tuple=True)
        for _ in range(ROUNDS):
            if not len(wrong[0]):
                break
            again = self.draw((len(wrong[0]),), device)
            drawn[wrong] = again
            still = self._held(again + self.base[wrong[0]])
            wrong = (wrong[0][still], wrong[1][still])
        return drawn

    def _held(self, keys: Tensor) -> Tensor:
        """Whether the window of each key holds its item."""
        places = torch.searchsorted(self.held, keys).clamp(max=len(self.held) - 1)
        return self.held[places] == keys
