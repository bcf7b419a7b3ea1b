"""SASRec: a causal transformer over a user's items (Kang and McAuley 2018, arXiv:1808.09781)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING


class Dropout(nn.Module):
    """Dropout whose rate is rounded to 1/256: on the CPU a random byte an element is 8 times cheaper than bernoulli.

    A rate above 0 and below 1 is never rounded to either.

    >>> [Dropout(rate).threshold for rate in (0.0, 0.001, 0.25, 0.999)]
    [0, 1, 64, 255]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = min(255, max(1, round(rate * 256))) if rate else 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.threshold == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.threshold / 256)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * keep.to(x.dtype).mul_(256 / (256 - self.threshold))


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual path."""

    def __init__(self, *, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.output = nn.Linear(dim, dim)
        self.ffn_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, ffn * dim)
        self.contract = nn.Linear(ffn * dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, L, D), mask (B, 1, Q, L) -> (B, Q, D): the last Q positions, each from all that the mask lets it see."""
        rows = mask.shape[2]
        normed = self.attention_norm(x)
        query = self._split(self.query(normed[:, -rows:]))  # (B, H, Q, D/H)
        key, value = (self._split(part) for part in self.key_value(normed).chunk(2, dim=-1))  # (B, H, L, D/H)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        x = x[:, -rows:] + self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        out: Tensor = x + self.dropout(self.contract(self.dropout(F.gelu(self.expand(self.ffn_norm(x))))))
        return out

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)


class SASRec(nn.Module):
    """An encoder and an item matrix; a score is the dot product of a query and an item's row.

    Items are int64 (B, L), left-padded with 0, any L up to max_len. Positions count from the end, pads are masked as keys and
    attend only to themselves, so more padding never changes a query. Input and output embeddings are one matrix.
    """

    def __init__(self, *, vocab_size: int, max_len: int, dim: int, blocks: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.inputs = ("items",)
        self.items = nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
        self.positions = nn.Parameter(torch.empty(max_len, dim))
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim=dim, heads=heads, ffn=ffn, dropout=dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.scale = math.sqrt(dim)
        self.apply(_initialise)
        nn.init.normal_(self.positions, std=0.02)

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> hidden (B, L, D): what each position knows of the item that follows."""
        x, mask = self._embed(items)
        for block in self.blocks:
            x = block(x, mask)
        hidden: Tensor = self.norm(x)
        return hidden

    def query(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, D); the last block computes the last position only."""
        x, mask = self._embed(items)
        for block in self.blocks[:-1]:
            x = block(x, mask)
        query: Tensor = self.norm(self.blocks[-1](x, mask[:, :, -1:]))[:, 0]
        return query

    def item_matrix(self) -> Tensor:
        """(V+2, D): row i is what a query is multiplied with for item_idx i."""
        return self.items.weight

    def _embed(self, items: Tensor) -> tuple[Tensor, Tensor]:
        length = items.shape[1]
        real = items != PADDING
        x = self.items(items) * self.scale + self.positions[:length].flip(0)  # (B, L, D) + (L, D)
        order = torch.arange(length, device=items.device)
        causal = order[:, None] >= order  # (L, L): a query's row sees keys up to itself
        itself = order[:, None] == order
        mask = causal & (real[:, None, None, :] | itself)  # (B, 1, L, L)
        return self.dropout(x), mask


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        with torch.no_grad():
            module.weight[PADDING].zero_()
