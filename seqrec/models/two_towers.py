"""Two towers over encoded features: users and items into vectors of one space, whose cosine says how well they go together.

    users (N, Fu)    embeddings of codes, the mean of those of a list, numbers as places among quantiles → ReLU layers → length 1
    items (C, Fi)    the same, with weights of their own
    score            the dot product of a user's and an item's vector

Learned by a softmax over the items of a batch whose bias of sampling is taken out (Yi et al. 2019, Sampling-bias-corrected neural
modeling for large corpus item recommendations). A user or an item that wasn't there in training has the code 0, whose embedding
is zeros, and so the vector that its other features give. `unknown_share` teaches the towers to go by these too: of this share of
a batch's rows, the own id counts as unknown (as in DropoutNet, Volkovs et al. 2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.models.dropout import Dropout
from seqrec.models.wide_deep import QuantileRanks


@dataclass(frozen=True, kw_only=True)
class TowerColumn:
    """A column of encoded features: how many codes it has (0: it holds numbers), how many features, whether it is the own id."""

    codes: int
    width: int = 1
    own_id: bool = False


@dataclass(frozen=True, kw_only=True)
class TowerSizes:
    """The sizes and rates that both towers have.

    dim             of the vectors
    embedding_size  numbers of a code's embedding
    hidden_units    widths of the ReLU layers
    dropout         share of each layer's values that are dropped in training
    unknown_share   share of the rows of a batch whose own id counts as unknown
    """

    dim: int
    embedding_size: int
    hidden_units: Sequence[int]
    dropout: float
    unknown_share: float


class Tower(nn.Module):
    """Features (N, F), in the order of the columns, into vectors (N, D) of length 1."""

    def __init__(self, columns: Sequence[TowerColumn], sizes: TowerSizes) -> None:
        super().__init__()
        starts = [0, *accumulate(column.width for column in columns)]
        spans = list(zip(columns, pairwise(starts), strict=True))
        self.coded = [span for column, span in spans if column.codes]
        self.numbers = [place for column, span in spans if not column.codes for place in range(*span)]
        self.own_id = next((first for column, (first, _) in spans if column.own_id), None)
        self.unknown_share = sizes.unknown_share
        self.embeddings = nn.ModuleList(_embedding(column.codes, sizes.embedding_size) for column in columns if column.codes)
        self.quantiles = QuantileRanks(len(self.numbers)) if self.numbers else None
        widths = [len(self.coded) * sizes.embedding_size + 2 * len(self.numbers), *sizes.hidden_units]
        layers = [
            layer for wide, narrow in pairwise(widths) for layer in (nn.Linear(wide, narrow), nn.ReLU(), Dropout(sizes.dropout))
        ]
        self.deep = nn.Sequential(*layers, nn.Linear(widths[-1], sizes.dim))

    def forward(self, features: Tensor) -> Tensor:
        """features (N, F) -> vectors (N, D)"""
        features = self._with_unknown(features)
        parts = [
            _mean(table, features[:, first:end].to(torch.int64))
            for table, (first, end) in zip(self.embeddings, self.coded, strict=True)
        ]
        if self.quantiles is not None:
            parts.append(self.quantiles(features[:, self.numbers]))
        return F.normalize(self.deep(torch.cat(parts, dim=1)).float(), dim=-1)

    def _with_unknown(self, features: Tensor) -> Tensor:
        """In training, the features with the own id of a drawn share of the rows unknown."""
        if not self.training or self.own_id is None or not self.unknown_share:
            return features
        drawn = torch.rand(len(features), device=features.device) < self.unknown_share
        features = features.clone()
        features[:, self.own_id] = features[:, self.own_id].masked_fill(drawn, 0)
        return features


class TwoTowers(nn.Module):
    """The towers of users and of items; columns and sizes as plain values, as a checkpoint holds them."""

    def __init__(
        self,
        *,
        user_columns: Sequence[dict[str, Any]],
        item_columns: Sequence[dict[str, Any]],
        sizes: dict[str, Any],
    ) -> None:
        super().__init__()
        both = TowerSizes(**sizes)
        self.users = Tower([TowerColumn(**column) for column in user_columns], both)
        self.items = Tower([TowerColumn(**column) for column in item_columns], both)


class TowerVectors(nn.Module):
    """What a tower's graph computes, as a module's forward."""

    def __init__(self, tower: Tower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *inputs: Tensor) -> Tensor:
        """features (N, F) -> vector (N, D)"""
        vectors: Tensor = self.tower(*inputs)
        return vectors


def in_batch_softmax(users: Tensor, items: Tensor, numbers: Tensor, log_q: Tensor, *, temperature: float) -> Tensor:
    """The sum of the cross-entropies of B users (B, D) over the items (C, D) of a batch, of which the first B are the users' own.

    A logit is s / temperature - log q, where q, of log_q (C,), is the chance of an item to be in a batch's place (Yi et al. 2019,
    equation 5). `numbers` (C,) say which item each is: the user's own item, met again elsewhere in the batch, is no negative.

    >>> vectors, same = torch.eye(2), torch.zeros(2)
    >>> round(float(in_batch_softmax(vectors, vectors, torch.tensor([4, 5]), same, temperature=1.0)), 4)
    0.6265
    """
    logits = users @ items.T / temperature - log_q  # (B, D) @ (D, C) -> (B, C)
    own = torch.arange(len(users), device=users.device)
    again = numbers[: len(users), None] == numbers
    again[own, own] = False
    return F.cross_entropy(logits.masked_fill(again, torch.finfo(logits.dtype).min), own, reduction="sum")


def _embedding(codes: int, size: int) -> nn.Embedding:
    """Embeddings of codes, drawn; that of the code 0 is zeros, and stays so."""
    table = nn.Embedding(codes, size, padding_idx=0)
    nn.init.normal_(table.weight, std=0.05)
    nn.init.zeros_(table.weight[0].detach())
    return table


def _mean(table: nn.Module, codes: Tensor) -> Tensor:
    """codes (N, W) -> the mean (N, E) of the embeddings of those that are known; zeros where there is none"""
    summed: Tensor = table(codes).sum(1)
    return summed / (codes != 0).sum(1, keepdim=True).clamp(min=1)
