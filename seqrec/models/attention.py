"""Attention, and the masks that say what each position may see."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.models.dropout import Dropout
from seqrec.models.positions import Turn


class Attention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2).

    `mixes`: a linear layer mixes what the heads return, as there; SASRec's authors have none. `dropout` is the share of attention
    weights that is dropped in training. `conv` is the width of a convolution over queries, keys and values; 1: there is none.
    """

    def __init__(self, *, dim: int, heads: int, mixes: bool = True, dropout: float = 0.0, conv: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim) if mixes else nn.Identity()
        self.dropout = Dropout(dropout)
        self.conv = DepthwiseConvolution(channels=3 * dim, width=conv) if conv > 1 else None

    def forward(self, asking: Tensor, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        """asking (B, Q, D), the last Q positions, each of all of x (B, L, D) that mask (B, 1, Q, L) lets it see -> (B, Q, D)."""
        query, key, value = map(self._split, self._project(asking, x, mask))  # (B, H, Q, D/H) and (B, H, L, D/H)
        attended = self._attend(turn(query), turn(key), value, mask)  # (B, H, Q, D/H)
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return mixed

    def _project(self, asking: Tensor, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, Q, D), keys and values (B, L, D); a convolution needs queries of all of x, whose end is `asking`."""
        if self.conv is None:
            key, value = self.key_value(x).chunk(2, dim=-1)
            return self.query(asking), key, value
        real = mask[:, 0, -1, :, None]  # (B, L, 1): the newest position sees all items
        projected = torch.cat([self.query(x), self.key_value(x)], dim=-1)
        query, key, value = self.conv(projected.masked_fill(~real, 0.0)).chunk(3, dim=-1)
        return query[:, -asking.shape[1] :], key, value

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """torch's own attention; where weights are dropped, one written out, as torch's is slower then on the CPU."""
        if not (self.training and self.dropout.threshold):
            return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])  # (B, H, Q, L)
        attended: Tensor = self.dropout(scores.masked_fill(~mask, float("-inf")).softmax(-1)) @ value
        return attended

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, H, L, D/H)"""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class DepthwiseConvolution(nn.Module):
    """y_t = Σ w_i x_{t-i} over the newest `width` positions, a weight for each of them and each channel.

    It starts as the identity. After the projections it lets a head compare short sequences of items (So et al. 2021,
    arXiv:2109.08668, section 4.2).
    """

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width, channels))
        nn.init.ones_(self.weight.detach()[0])

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, C) -> (B, L, C)"""
        width, length = len(self.weight), x.shape[1]
        padded = F.pad(x, (0, 0, width - 1, 0))  # (B, width - 1 + L, C)
        shifted = [self.weight[i] * padded[:, width - 1 - i : width - 1 - i + length] for i in range(width)]
        return torch.stack(shifted).sum(0)


def causal(real: Tensor) -> Tensor:
    """real (B, L) -> mask (B, 1, L, L): a position sees itself and the items before it; a pad sees itself alone."""
    order = torch.arange(real.shape[1], device=real.device)
    return (order[:, None] >= order) & (real[:, None, None, :] | (order[:, None] == order))


def bidirectional(real: Tensor) -> Tensor:
    """real (B, L) -> mask (B, 1, L, L): a position sees itself and all items of the history."""
    order = torch.arange(real.shape[1], device=real.device)
    return real[:, None, None, :] | (order[:, None] == order)


MASKS: dict[str, Callable[[Tensor], Tensor]] = {"causal": causal, "bidirectional": bidirectional}
