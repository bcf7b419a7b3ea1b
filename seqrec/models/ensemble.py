"""Several transformers as one model, whose score is the mean of theirs: as one dot product, and one matrix of items."""

from typing import Any

import torch
from torch import Tensor, nn

from seqrec.models.encoder import Encoder
from seqrec.models.transformer import Transformer


class Ensemble(Encoder):
    """M transformers of one shape and of weights of their own (Lakshminarayanan et al. 2017, arXiv:1612.01474).

    A query has their queries (D each) side by side, divided by M; an item's row has their rows side by side, as they are. So the
    product of both is the mean of their scores.
    """

    def __init__(self, *, members: int, **arguments: Any) -> None:
        """The arguments are those of each Transformer."""
        super().__init__()
        self.members = nn.ModuleList(Transformer(**arguments) for _ in range(members))
        self.looks_back = self.parts()[0].looks_back

    def parts(self) -> list[Encoder]:
        """The transformers."""
        return list(self.members)  # type: ignore[arg-type]

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> queries (B, L, M·D)"""
        return self._beside([part(items) for part in self.parts()])

    def query(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, M·D)"""
        return self._beside([part.query(items) for part in self.parts()])

    def query_before(self, items: Tensor) -> Tensor:
        """items (B, L) -> query (B, M·D) for the item before the first"""
        return self._beside([part.query_before(items) for part in self.parts()])

    def settle(self) -> None:
        """Each transformer settles."""
        for part in self.parts():
            part.settle()

    def item_matrix(self) -> Tensor:
        """(V+2, M·D): the rows of an item in all matrices, side by side."""
        return torch.cat([part.item_matrix() for part in self.parts()], dim=-1)

    def _beside(self, queries: list[Tensor]) -> Tensor:
        """The queries of the transformers (…, D) side by side, divided by their number."""
        return torch.cat(queries, dim=-1) / len(queries)
