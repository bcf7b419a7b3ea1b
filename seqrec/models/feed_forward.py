"""Two feed-forward parts of a block, and the activations within them.

Both are built from a shape and take x (B, L, D) to (B, L, D), each position by itself.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.models.dropout import Dropout
from seqrec.models.shape import Shape

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu}


class PlainMLP(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.ffn * shape.dim
        self.activate = ACTIVATIONS[shape.activation]
        self.expand = nn.Linear(shape.dim, width)
        self.contract = nn.Linear(width, shape.dim)
        self.dropout = Dropout(shape.rate(shape.dropout_mlp))

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        contracted: Tensor = self.contract(self.dropout(self.activate(self.expand(x))))
        return contracted


class GatedMLP(nn.Module):
    """(f(x·W) * x·V)·U, with an activation f: half as many weights again as plain (Shazeer 2020, arXiv:2002.05202, eq. 6)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.ffn * shape.dim
        self.activate = ACTIVATIONS[shape.activation]
        self.expand = nn.Linear(shape.dim, 2 * width)
        self.contract = nn.Linear(width, shape.dim)
        self.dropout = Dropout(shape.rate(shape.dropout_mlp))

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        gate, value = self.expand(x).chunk(2, dim=-1)  # (B, L, width)
        contracted: Tensor = self.contract(self.dropout(self.activate(gate) * value))
        return contracted
