"""SimpleX: two towers and a cosine between them (Mao et al. 2021, arXiv:2109.12613)."""

import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.dropout import Dropout
from seqrec.models.encoder import Encoder
from seqrec.user_hashes import UNKNOWN


class SimpleX(Encoder):
    """A tower of histories and one of items; a score is the cosine of a query and an item's row, both of length 1.

    query = L2(g · e_u + (1 - g) · W · mean of the embeddings of the newest max_len items), item = L2(embedding): section 3.2 with
    an average of the history. With g = 0 there are no embeddings of users, and a new user is scored like any other. Otherwise a
    user who wasn't trained on has index 0, whose embedding is zeros, and is scored by the history alone.

    Items are int64 (B, L), left-padded with 0, users int64 (B,).
    """

    def __init__(
        self, *, vocab_size: int, max_len: int, dim: int, dropout: float, users: int = 0, user_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.max_len = max_len
        self.user_weight = user_weight
        self.inputs = ("items", "user_idx") if user_weight else ("items",)
        if user_weight:
            self.embedded_users = users + 1
            self.users = nn.Embedding(users + 1, dim, padding_idx=UNKNOWN)
            nn.init.normal_(self.users.weight, std=0.02)
            nn.init.zeros_(self.users.weight[UNKNOWN].detach())
        self.items = nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
        self.project = nn.Linear(dim, dim, bias=False)
        self.dropout = Dropout(dropout)
        nn.init.normal_(self.items.weight, std=0.02)
        nn.init.zeros_(self.items.weight[PADDING].detach())
        nn.init.eye_(self.project.weight)

    def forward(self, items: Tensor, users: Tensor | None = None) -> Tensor:
        """items (B, L) of any length -> queries (B, L, D): at each position from the newest max_len items up to it."""
        totals = self.items(items).cumsum(1)  # (B, L, D)
        counts = (items != PADDING).cumsum(1)[..., None]  # (B, L, 1)
        return self._tower(_newest(totals, self.max_len), _newest(counts, self.max_len), users)

    def query(self, items: Tensor, users: Tensor | None = None) -> Tensor:
        """items (B, L), L at most max_len -> query (B, D); zeros for an empty history of a user who wasn't trained on."""
        return self._tower(self.items(items).sum(1), (items != PADDING).sum(1, keepdim=True), users)

    def item_matrix(self) -> Tensor:
        """(V+2, D): row i is what a query is multiplied with for item_idx i, of length 1; that of the padding is zeros."""
        return F.normalize(self.items.weight, dim=-1)

    def _tower(self, totals: Tensor, counts: Tensor, users: Tensor | None) -> Tensor:
        """Sums of embeddings (…, D) and how many were summed (…, 1) -> queries (…, D), of length 1."""
        mean = totals / counts.clamp(min=1)
        mixed = self.project(self.dropout(mean))  # (B, D) or (B, L, D)
        if users is not None and self.user_weight:
            embedded = self.users(users).view(-1, *[1] * (mixed.dim() - 2), mixed.shape[-1])  # (B, D) or (B, 1, D)
            mixed = self.user_weight * embedded + (1 - self.user_weight) * mixed
        return F.normalize(mixed.float(), dim=-1)


def _newest(running: Tensor, count: int) -> Tensor:
    """Running totals (B, L, …) as totals of the newest `count` positions.

    >>> import torch
    >>> _newest(torch.tensor([[1, 3, 6, 10]]), 2).tolist()
    [[1, 3, 5, 7]]
    """
    if running.shape[1] <= count:
        return running
    return running - F.pad(running[:, :-count].movedim(1, -1), (count, 0)).movedim(-1, 1)
