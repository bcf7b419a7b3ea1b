"""SASRec: a causal transformer over a user's items (Kang and McAuley 2018, arXiv:1808.09781).

Its blocks are composed of the parts of `models.blocks`, which its arguments name. A checkpoint that names no parts was trained
with the defaults.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.blocks import ATTENTIONS, FEED_FORWARDS, NORMS, POSITIONS, Block, Dropout

FORMER_NAMES = (  # names of weights in checkpoints from before blocks had parts, and their names now
    (re.compile(r"^positions$"), "positions.weight"),
    (re.compile(r"^(blocks\.\d+)\.(query|key_value|output)\."), r"\1.attention.\2."),
    (re.compile(r"^(blocks\.\d+)\.(expand|contract)\."), r"\1.feed_forward.\2."),
)


class SASRec(nn.Module):
    """An encoder of histories and an item matrix; a score is the dot product of a query and an item's row.

    Items are int64 (B, L), left-padded with 0, any L up to max_len. Positions count from the end, pads are masked as keys and
    attend only to themselves, so more padding never changes a query. Input and output embeddings are one matrix.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        max_len: int,
        dim: int,
        blocks: int,
        heads: int,
        ffn: int,
        dropout: float,
        norm: str = "layer",
        attention: str = "softmax",
        feed_forward: str = "gelu",
        positions: str = "learned",
    ) -> None:
        super().__init__()
        self.inputs = ("items",)
        self.positions = POSITIONS[positions](max_len=max_len, dim=dim)
        self.items = nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(
                norms=(NORMS[norm](dim), NORMS[norm](dim)),
                attention=ATTENTIONS[attention](dim=dim, heads=heads),
                feed_forward=FEED_FORWARDS[feed_forward](dim=dim, width=ffn * dim, dropout=dropout),
                dropout=dropout,
            )
            for _ in range(blocks)
        )
        self.norm = NORMS[norm](dim)
        self.scale = math.sqrt(dim)
        self.apply(_initialise)
        self.positions.initialise()

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> hidden (B, L, D): at each position the query for the item that follows."""
        x, mask = self._embed(items)
        for block in self.blocks:
            x = block(x, mask, self.positions.turn)
        hidden: Tensor = self.norm(x)
        return hidden

    def query(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, D); the last block computes the last position only."""
        x, mask = self._embed(items)
        for block in self.blocks[:-1]:
            x = block(x, mask, self.positions.turn)
        query: Tensor = self.norm(self.blocks[-1](x, mask[:, :, -1:], self.positions.turn))[:, 0]
        return query

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the weights as any module does; weights of older checkpoints are renamed first."""
        return super().load_state_dict({_name_now(name): weight for name, weight in state_dict.items()}, strict, assign)

    def item_matrix(self) -> Tensor:
        """(V+2, D): row i is what a query is multiplied with for item_idx i."""
        return self.items.weight

    def _embed(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """items (B, L) -> embeddings with positions (B, L, D), and the mask (B, 1, L, L): what each position may see."""
        real = items != PADDING
        x = self.positions.add(self.items(items) * self.scale)
        order = torch.arange(items.shape[1], device=items.device)
        causal = order[:, None] >= order  # (L, L): a query's row sees keys up to itself
        itself = order[:, None] == order
        mask = causal & (real[:, None, None, :] | itself)  # (B, 1, L, L)
        return self.dropout(x), mask


def _initialise(module: nn.Module) -> None:
    """Draw the weights of a linear layer or an embedding; the row of the padding is zeros."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
        with torch.no_grad():
            module.weight[PADDING].zero_()


def _name_now(name: str) -> str:
    """
    >>> _name_now("blocks.0.expand.bias"), _name_now("blocks.0.feed_forward.expand.bias")
    ('blocks.0.feed_forward.expand.bias', 'blocks.0.feed_forward.expand.bias')
    """
    for former, now in FORMER_NAMES:
        name = former.sub(now, name)
    return name
