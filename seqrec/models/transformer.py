"""A transformer over a user's items, whose parts are choices.

With causal attention it is SASRec (Kang and McAuley 2018, arXiv:1808.09781), with bidirectional attention BERT4Rec (Sun et al.
2019, arXiv:1904.06690). It is composed of parts, which its arguments name: the dicts of parts stand in `models.blocks`.
"""

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, MASK, PADDING
from seqrec.models.attention import MASKS
from seqrec.models.blocks import NORMS, Block
from seqrec.models.dropout import Dropout
from seqrec.models.encoder import Encoder
from seqrec.models.head import Head
from seqrec.models.item_rows import ItemRows, build_rows, plain_rows
from seqrec.models.positions import POSITIONS
from seqrec.models.shape import Shape

FORMER_WEIGHTS = (  # names of weights in checkpoints from before blocks had parts, and their names now
    (re.compile(r"^positions$"), "positions.weight"),
    (re.compile(r"^(blocks\.\d+)\.(query|key_value|output)\."), r"\1.attention.\2."),
    (re.compile(r"^(blocks\.\d+)\.(expand|contract)\."), r"\1.feed_forward.\2."),
)


class Transformer(Encoder):
    """Items are int64 (B, L), left-padded with 0, any L up to max_len, which counts the history alone.

    Positions count from the end, pads are masked as keys and attend only to themselves, so more padding never changes a query.
    Queries and the matrix's rows are D wide, one more where items have a bias. A causal model's query is that of the last item. A
    bidirectional one appends the mask to the history, and its query is that of the mask.
    """

    item_weights = ("head.items.weight", "head.bias")
    newest_first = ("positions.weight",)

    def __init__(self, *, vocab_size: int, max_len: int, **arguments: Any) -> None:
        """The arguments are the fields of Shape."""
        super().__init__()
        shape = Shape(**arguments)
        self.mask = MASKS[shape.attention]
        self.appends_mask = self.looks_back = shape.attention == "bidirectional"
        self.positions = POSITIONS[shape.position](max_len + self.appends_mask, shape)
        self.items: ItemRows = build_rows(shape.rows, vocab_size=vocab_size, dim=shape.dim)
        self.embedding_norm = NORMS[shape.norm](shape.dim) if shape.embedding_norm else nn.Identity()
        self.dropout = Dropout(shape.rate(shape.dropout_embedding))
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.blocks))
        self.norm = nn.Identity() if shape.norm_place == "post" else NORMS[shape.norm](shape.dim)
        self.head = Head(shape, vocab_size=vocab_size)
        self.scale = math.sqrt(shape.dim) if shape.embedding_scale == "sqrt" else 1.0
        self.apply(partial(_initialise, std=shape.init_range))
        self.positions.initialise(shape.init_range)

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> queries (B, L, D): a causal position's is for the item that follows, a mask's for its own."""
        x, mask = self._embed(items)
        for block in self.blocks:
            x = block(x, mask, self.positions.turn)
        queries: Tensor = self.head(self.norm(x))
        return queries

    def query(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, D); the last block computes the last position only."""
        x, mask = self._embed(F.pad(items, (0, 1), value=MASK) if self.appends_mask else items)
        for block in self.blocks[:-1]:
            x = block(x, mask, self.positions.turn)
        query: Tensor = self.head(self.norm(self.blocks[-1](x, mask[:, :, -1:], self.positions.turn))[:, 0])
        return query

    def query_before(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, D) for the item before the first: that of a mask in front of a history."""
        if not self.looks_back:
            return super().query_before(items)
        place = items.shape[1] - torch.count_nonzero(items, dim=1)[:, None]  # (B, 1): of the mask, among L + 1 positions
        order = torch.arange(items.shape[1] + 1, device=items.device)
        hidden: Tensor = self(F.pad(items, (1, 0), value=PADDING).masked_fill(order == place, MASK))  # (B, L+1, D)
        return hidden.gather(1, place[..., None].expand(-1, 1, hidden.shape[2]))[:, 0]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load the weights as any module does; weights of older checkpoints are renamed first."""
        return super().load_state_dict({_weight_now(name): weight for name, weight in state_dict.items()}, strict, assign)

    def begin_at(self, score: float) -> None:
        """Shift all scores of drawn weights by a number; the shape has an output bias, or a separate matrix after a layer norm.

        Without a bias, the norm's bias and all rows get parts along the vector of ones, which nothing normalised has a part of.
        """
        with torch.no_grad():
            if self.head.bias is not None:
                self.head.bias[FIRST_ITEM:] = score
                return
            assert self.head.items is not None
            assert isinstance(self.norm, nn.LayerNorm)
            part = math.sqrt(abs(score) / len(self.norm.bias))
            self.norm.bias.fill_(part)
            self.head.items.weight[FIRST_ITEM:] += math.copysign(part, score)

    def item_matrix(self) -> Tensor:
        """(V+2, D): row i is what a query is multiplied with for item_idx i."""
        return self.head.matrix(self.items.weight)

    def settle(self) -> None:
        """Keep the items' rows as they are out of training: rows that are computed become plain ones."""
        self.items = plain_rows(self.items)

    def _embed(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """items (B, L) -> embeddings with positions (B, L, D), and the mask (B, 1, L, L): what each position may see."""
        x = self.embedding_norm(self.positions.add(self.items(items) * self.scale))
        return self.dropout(x), self.mask(items != PADDING)


def _initialise(module: nn.Module, *, std: float) -> None:
    """Draw the weights of a linear layer or an embedding; the row of the padding is zeros."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=std)
        with torch.no_grad():
            module.weight[PADDING].zero_()


def _weight_now(name: str) -> str:
    """
    >>> _weight_now("blocks.0.expand.bias"), _weight_now("blocks.0.feed_forward.expand.bias")
    ('blocks.0.feed_forward.expand.bias', 'blocks.0.feed_forward.expand.bias')
    """
    for former, now in FORMER_WEIGHTS:
        name = former.sub(now, name)
    return name
