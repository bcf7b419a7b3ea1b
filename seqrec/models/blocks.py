"""The parts of a transformer block, and the block that is composed of them.

    x ──┬── norm ── attention ── dropout ──(+)──┬── norm ── feed-forward ── dropout ──(+)──
        └───────────────────────────────────────┘ └─────────────────────────────────────────┘

Each kind of part has a dict of classes by name. All classes of a dict are built with the same arguments and called alike, so a
new part is one more class and one more entry.

    NORMS       (dim)                               x (B, L, D) -> (B, L, D)
    MASKS       (real (B, L))                       what each position may see (B, 1, L, L)
    MLPS        (dim, width, activation, dropout)   x (B, L, D) -> (B, L, D), each position by itself
    POSITIONS   (max_len, dim)                      `add` to the embeddings (B, L, D), `turn` queries and keys (B, H, L, D/H)
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Turn = Callable[[Tensor], Tensor]  # queries or keys (B, H, L, D/H), the newest position last, turned by their positions


class Dropout(nn.Module):
    """Dropout whose rate is rounded to 1/256: on the CPU a random byte an element is 8 times cheaper than bernoulli.

    A rate between 0 and 1 is never rounded to 0 or 1.

    >>> [Dropout(rate).threshold for rate in (0.0, 0.001, 0.25, 0.999)]
    [0, 1, 64, 255]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = min(255, max(1, round(rate * 256))) if rate else 0

    def forward(self, x: Tensor) -> Tensor:
        """x with a random share of its values set to 0, and the others enlarged so that the mean stays."""
        if not self.training or self.threshold == 0:
            return x
        if x.device.type == "cuda":
            return F.dropout(x, self.threshold / 256)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * keep.to(x.dtype).mul_(256 / (256 - self.threshold))


class Attention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2)."""

    def __init__(self, *, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        """x (B, L, D), mask (B, 1, Q, L) -> (B, Q, D): the last Q positions, each from all that the mask lets it see."""
        query = turn(self._split(self.query(x[:, -mask.shape[2] :])))  # (B, H, Q, D/H)
        key, value = (self._split(part) for part in self.key_value(x).chunk(2, dim=-1))  # (B, H, L, D/H)
        attended = F.scaled_dot_product_attention(query, turn(key), value, attn_mask=mask)
        mixed: Tensor = self.output(attended.transpose(1, 2).flatten(2))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, H, L, D/H)"""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class PlainMLP(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, *, dim: int, width: int, activation: str, dropout: float) -> None:
        super().__init__()
        self.activate = ACTIVATIONS[activation]
        self.expand = nn.Linear(dim, width)
        self.contract = nn.Linear(width, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        contracted: Tensor = self.contract(self.dropout(self.activate(self.expand(x))))
        return contracted


class LearnedPositions(nn.Module):
    """A learned row for each distance from the newest position, added to the embeddings; queries and keys are not turned."""

    def __init__(self, *, max_len: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, dim))

    def initialise(self) -> None:
        """Draw the weights; the encoder calls it after all other weights are drawn."""
        nn.init.normal_(self.weight, std=0.02)

    def add(self, x: Tensor) -> Tensor:
        """Embeddings (B, L, D) with their positions, which count from the end."""
        return x + self.weight[: x.shape[1]].flip(0)  # (B, L, D) + (L, D)

    def turn(self, heads: Tensor) -> Tensor:
        """Queries or keys (B, H, L, D/H), as they are."""
        return heads


class MLP(Protocol):
    """How a feed-forward part is built."""

    def __call__(self, *, dim: int, width: int, activation: str, dropout: float) -> nn.Module:
        """See MLPS."""


def causal(real: Tensor) -> Tensor:
    """real (B, L) -> mask (B, 1, L, L): a position sees itself and the items before it; a pad sees itself alone."""
    order = torch.arange(real.shape[1], device=real.device)
    return (order[:, None] >= order) & (real[:, None, None, :] | (order[:, None] == order))


def bidirectional(real: Tensor) -> Tensor:
    """real (B, L) -> mask (B, 1, L, L): a position sees itself and all items of the history."""
    order = torch.arange(real.shape[1], device=real.device)
    return real[:, None, None, :] | (order[:, None] == order)


NORMS: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm}
MASKS: dict[str, Callable[[Tensor], Tensor]] = {"causal": causal, "bidirectional": bidirectional}
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu}
MLPS: dict[str, MLP] = {"plain": PlainMLP}
POSITIONS: dict[str, type[LearnedPositions]] = {"learned": LearnedPositions}


class Block(nn.Module):
    """Attention and feed-forward, each with a norm before it and a residual path around it."""

    def __init__(
        self, *, norms: tuple[nn.Module, nn.Module], attention: nn.Module, feed_forward: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norms[0], attention
        self.ffn_norm, self.feed_forward = norms[1], feed_forward
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        """x (B, L, D), mask (B, 1, Q, L) -> (B, Q, D): the last Q positions."""
        x = x[:, -mask.shape[2] :] + self.dropout(self.attention(self.attention_norm(x), mask, turn))
        out: Tensor = x + self.dropout(self.feed_forward(self.ffn_norm(x)))
        return out
