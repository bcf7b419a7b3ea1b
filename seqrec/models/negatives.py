"""Negative items, drawn on the device with torch's own generator."""

import torch
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM


class Uniform(nn.Module):
    """Every item of the vocabulary with the same probability."""

    def __init__(self, *, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size

    def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """Item indices (2 to V+1) of the shape, drawn with replacement."""
        return torch.randint(FIRST_ITEM, FIRST_ITEM + self.vocab_size, shape, device=device)

    def log_q(self, _: Tensor) -> Tensor | None:
        """No correction: it would shift all scores alike."""
        return None


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

    def log_q(self, items: Tensor) -> Tensor | None:
        """The log of each item's probability."""
        return self.log_probabilities[items - FIRST_ITEM]
