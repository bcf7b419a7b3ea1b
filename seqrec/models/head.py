"""From what a transformer computes to a query, and the matrix of items that queries are multiplied with."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.blocks import NORMS
from seqrec.models.feed_forward import ACTIVATIONS
from seqrec.models.shape import Shape

FIRST_TEMPERATURE = 0.05  # of a cosine head; it is learned from there on


class Head(nn.Module):
    """A score is the product of a query and an item's row, whatever the head is.

        dot       query = h                     row = e_i
        cosine    query = h / (|h| · τ)         row = e_i / |e_i|     τ is learned, by its log (Radford et al. 2021, section 2.3)
        bias      query = […, 1]                row = […, b_i]        one more dimension

    h is (…, D). An output layer puts norm(f(h·W + b)) in its place (Sun et al. 2019, arXiv:1904.06690, eq. 7, and its code). The
    rows e_i are those of the embedding of items (a tied output), or of a matrix of their own (a separate one).
    """

    def __init__(self, shape: Shape, *, vocab_size: int) -> None:
        super().__init__()
        rows = vocab_size + FIRST_ITEM
        self.layer = nn.Linear(shape.dim, shape.dim) if shape.output_layer else None
        self.activate = ACTIVATIONS[shape.activation]
        self.norm = NORMS[shape.norm](shape.dim) if shape.output_layer else nn.Identity()
        self.items = nn.Embedding(rows, shape.dim, padding_idx=PADDING) if shape.output == "separate" else None
        self.bias = nn.Parameter(torch.zeros(rows)) if shape.output_bias else None
        self.log_scale = nn.Parameter(torch.tensor(-math.log(FIRST_TEMPERATURE))) if shape.head == "cosine" else None

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden (…, D) -> query (…, D), or (…, D+1) with a bias."""
        if self.layer is not None:
            hidden = self.norm(self.activate(self.layer(hidden)))
        query = hidden if self.log_scale is None else F.normalize(hidden.float(), dim=-1) * self.log_scale.exp()
        return query if self.bias is None else F.pad(query, (0, 1), value=1.0)

    def matrix(self, embedding: Tensor) -> Tensor:
        """The rows of all items (V+2, D), or (V+2, D+1) with a bias; `embedding` is that of the model's inputs."""
        rows = embedding if self.items is None else self.items.weight
        rows = rows if self.log_scale is None else F.normalize(rows, dim=-1)
        return rows if self.bias is None else torch.cat([rows, self.bias[:, None]], dim=1)
