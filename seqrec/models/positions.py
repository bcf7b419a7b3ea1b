"""How a model knows the order of items. All positions count from the newest one, so that more padding changes none of them.

POSITIONS has the kinds by name, each built from max_len and a shape: `initialise` draws its weights, `add` is called with the
embeddings, `turn` with the queries and the keys of each attention.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from seqrec.models.shape import Shape

Turn = Callable[[Tensor], Tensor]  # queries or keys (B, H, L, D/H), the newest position last, turned by their positions

BASE = 10_000.0  # the slowest pair of a head turns by about 1 / BASE a position


class LearnedPositions(nn.Module):
    """A learned row for each distance from the newest position, added to the embeddings; queries and keys are not turned."""

    def __init__(self, *, max_len: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, dim))

    def initialise(self, std: float) -> None:
        """Draw the weights; the encoder calls it after all other weights are drawn."""
        nn.init.normal_(self.weight, std=std)

    def add(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, D) with their positions, which count from the end."""
        return x + self.weight[: x.shape[1]].flip(0)  # (B, L, D) + (L, D)

    def turn(self, heads: Tensor) -> Tensor:
        """Queries or keys (B, H, L, D/H), as they are."""
        return heads


class RotaryPositions(nn.Module):
    """Queries and keys turned in the plane of each pair of numbers, by an angle in proportion to the distance from the newest.

    So a product of a query and a key depends on how far apart the two are (Su et al. 2021, arXiv:2104.09864, eq. 34). Pairs are
    number i and number i + D/2H of a head. There are no weights. The width of a head, D/H, is even.
    """

    def __init__(self, *, max_len: int, head_width: int) -> None:
        super().__init__()
        pairs = head_width // 2
        rates = BASE ** (-torch.arange(pairs) / pairs)  # (D/2H,), radians a position
        angles = -torch.arange(max_len)[:, None] * rates  # (max_len, D/2H)
        self.register_buffer("cosines", angles.cos(), persistent=False)
        self.register_buffer("sines", angles.sin(), persistent=False)
        self.cosines: Tensor
        self.sines: Tensor

    def initialise(self, std: float) -> None:
        """There is nothing to draw."""

    def add(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, D), as they are."""
        return x

    def turn(self, heads: Tensor) -> Tensor:
        """Queries or keys (B, H, L, D/H), each turned by its position."""
        length = heads.shape[2]
        cosines, sines = self.cosines[:length].flip(0), self.sines[:length].flip(0)  # (L, D/2H)
        first, second = heads.chunk(2, dim=-1)  # (B, H, L, D/2H)
        return torch.cat([first * cosines - second * sines, second * cosines + first * sines], dim=-1)


class NoPositions(nn.Module):
    """Nothing but the mask tells positions apart: a causal model still knows what it could see at each."""

    def initialise(self, std: float) -> None:
        """There is nothing to draw."""

    def add(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, D), as they are."""
        return x

    def turn(self, heads: Tensor) -> Tensor:
        """Queries or keys (B, H, L, D/H), as they are."""
        return heads


Positions = LearnedPositions | RotaryPositions | NoPositions

POSITIONS: dict[str, Callable[[int, Shape], Positions]] = {
    "learned": lambda max_len, shape: LearnedPositions(max_len=max_len, dim=shape.dim),
    "rope": lambda max_len, shape: RotaryPositions(max_len=max_len, head_width=shape.dim // shape.heads),
    "none": lambda _, __: NoPositions(),
}
