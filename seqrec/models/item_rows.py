"""Rows of items of which vectors are known, such as those of their texts: an item that nobody had has a row too.

    projected    row = free part + projection of the item's vector; items without a training event have no free part
    completed    rows begin at the vectors and are free; that of an item without a training event is the mean of the rows of the
                 trained items whose vectors are nearest to its own

Both stand in for an nn.Embedding: called with items they give their rows, and `weight` is the whole matrix.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING


class ProjectedRows(nn.Module):
    """Free part (V+2, D), and a projection without bias of the vectors (V+2, E), which are part of the weights, but not learned.

    As in a hybrid of a free and a content part (Agarwal and Chen 2009, Regression-based latent factor models, section 2), what
    the vectors explain is learned once for all items.
    """

    def __init__(self, *, vocab_size: int, dim: int, width: int) -> None:
        super().__init__()
        self.free = nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
        self.projection = nn.Parameter(torch.zeros(width, dim))
        self.vectors: Tensor
        self.trained: Tensor
        self.register_buffer("vectors", torch.zeros(vocab_size + FIRST_ITEM, width))
        self.register_buffer("trained", torch.ones(vocab_size + FIRST_ITEM, 1))  # 0 for items without a training event

    @property
    def weight(self) -> Tensor:
        """(V+2, D)"""
        rows: Tensor = self.free.weight * self.trained + self.vectors @ self.projection  # (V+2, E) @ (E, D)
        return rows

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> rows (B, L, D)"""
        free: Tensor = self.free(items) * F.embedding(items, self.trained)
        return free + F.embedding(items, self.vectors) @ self.projection


class CompletedRows(nn.Module):
    """Free rows (V+2, D); out of training, those of C items are weighted means of the rows of K trained items each."""

    def __init__(self, *, vocab_size: int, dim: int, cold: int, nearest: int) -> None:
        super().__init__()
        self.free = nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
        self.cold: Tensor
        self.nearest: Tensor
        self.shares: Tensor
        self.register_buffer("cold", torch.zeros(cold, dtype=torch.int64))
        self.register_buffer("nearest", torch.zeros(cold, nearest, dtype=torch.int64))
        self.register_buffer("shares", torch.zeros(cold, nearest))

    @property
    def weight(self) -> Tensor:
        """(V+2, D)"""
        rows = self.free.weight
        if self.training or not len(self.cold):
            return rows
        means = (rows[self.nearest] * self.shares[..., None]).sum(1)  # (C, K, D) -> (C, D)
        return rows.index_copy(0, self.cold, means)

    def forward(self, items: Tensor) -> Tensor:
        """items (B, L) -> rows (B, L, D)"""
        return F.embedding(items, self.weight, padding_idx=PADDING)


ItemRows = nn.Embedding | ProjectedRows | CompletedRows


def build_rows(rows: Mapping[str, int] | None, *, vocab_size: int, dim: int) -> ItemRows:
    """The rows that a model's arguments describe: `width` of vectors, or `cold` and `nearest`, or None for free ones."""
    if rows is None:
        return nn.Embedding(vocab_size + FIRST_ITEM, dim, padding_idx=PADDING)
    if "width" in rows:
        return ProjectedRows(vocab_size=vocab_size, dim=dim, width=rows["width"])
    return CompletedRows(vocab_size=vocab_size, dim=dim, cold=rows["cold"], nearest=rows["nearest"])


def plain_rows(rows: nn.Module) -> nn.Embedding:
    """The rows as an nn.Embedding, as they are out of training: what an export holds."""
    if isinstance(rows, nn.Embedding):
        return rows
    assert isinstance(rows, ProjectedRows | CompletedRows)
    matrix = rows.eval().weight.detach()
    plain = nn.Embedding(len(matrix), matrix.shape[1], padding_idx=PADDING)
    with torch.no_grad():
        plain.weight.copy_(matrix)
    return plain


def set_rows(rows: nn.Module, matrix: Tensor) -> None:
    """Make the rows, as they are out of training, those of a matrix (V+2, D).

    Of projected rows, the projection becomes what explains the trained items' rows best (least squares), and the free parts the
    rest; so the row of an item without a free part is what its vector says of it.
    """
    assert isinstance(rows, ItemRows)
    free = rows if isinstance(rows, nn.Embedding) else rows.free
    matrix = matrix.cpu().double()
    with torch.no_grad():
        if isinstance(rows, ProjectedRows):
            vectors = rows.vectors.cpu().double()
            fitted = (rows.trained[:, 0].cpu() > 0) & vectors.any(dim=1)
            projection = torch.linalg.lstsq(vectors[fitted], matrix[fitted], driver="gelsd").solution  # (E, D)
            rows.projection.copy_(projection)
            matrix = matrix - vectors @ projection
        free.weight.copy_(matrix)
