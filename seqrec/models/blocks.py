"""The block that is composed of attention and a feed-forward part, and how its norms and residual paths lie.

    pre      x ──┬── norm ── layer ── dropout ──(+)──        post     x ──┬── layer ── dropout ──(+)── norm ──
                 └───────────────────────────────┘                        └───────────────────────┘

    query    x ── norm ──┬── layer ── dropout ──(+)──        the layer attends to x itself, not to its norm
                         └───────────────────────┘

Each kind of part has a dict by name. What is in a dict is built and called alike, so a new part is one more class or function
and one more entry.

    NORMS         here             built from a width      x (B, L, D) -> (B, L, D)
    PLACES        here                                     (x, rows, norm, layer): a layer with its norm and residual path
    MASKS         attention                                real (B, L) -> what each position may see (B, 1, L, L)
    MLPS          here             built from a shape      x (B, L, D) -> (B, L, D), each position by itself
    ACTIVATIONS   feed_forward                             x -> the same shape
    POSITIONS     positions        of max_len and shape    `add` to embeddings (B, L, D), `turn` queries and keys
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from seqrec.models.attention import Attention
from seqrec.models.dropout import Dropout
from seqrec.models.feed_forward import GatedMLP, PlainMLP
from seqrec.models.mixture import MixtureMLP
from seqrec.models.positions import Turn
from seqrec.models.shape import Shape

Norm = Callable[[Tensor], Tensor]
Layer = Callable[[Tensor, Tensor], Tensor]  # positions (B, Q, D) and what they may attend to (B, L, D) -> (B, Q, D)


def pre(x: Tensor, rows: slice, norm: Norm, layer: Layer) -> Tensor:
    """x + f(norm(x)) of those rows (Xiong et al. 2020, arXiv:2002.04745, figure 1b; Kang and McAuley 2018, section III.B)."""
    normed = norm(x)
    return x[:, rows] + layer(normed[:, rows], normed)


def post(x: Tensor, rows: slice, norm: Norm, layer: Layer) -> Tensor:
    """norm(x + f(x)) of those rows (Vaswani et al. 2017, section 3.1)."""
    return norm(x[:, rows] + layer(x[:, rows], x))


def query(x: Tensor, rows: slice, norm: Norm, layer: Layer) -> Tensor:
    """q + f(q, x) with q = norm(x) of those rows, as in the code of SASRec's and gSASRec's authors."""
    normed = norm(x[:, rows])
    return normed + layer(normed, x)


NORMS: dict[str, Callable[[int], nn.Module]] = {"layer": nn.LayerNorm, "rms": partial(nn.RMSNorm, eps=1e-6)}
PLACES: dict[str, Callable[[Tensor, slice, Norm, Layer], Tensor]] = {"pre": pre, "post": post, "query": query}

MLPS: dict[str, Callable[[Shape], nn.Module]] = {"plain": PlainMLP, "gated": GatedMLP, "moe": MixtureMLP}

ALL = slice(None)


class Block(nn.Module):
    """Attention and feed-forward, each with a norm and a residual path."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        dim = shape.dim
        self.place = PLACES[shape.norm_place]
        self.attention_norm = NORMS[shape.norm](dim)
        self.attention = Attention(
            dim=dim,
            heads=shape.heads,
            mixes=shape.attention_output,
            dropout=shape.dropout_weights,
            conv=shape.attention_conv,
        )
        self.ffn_norm = NORMS[shape.norm](dim)
        self.feed_forward = MLPS[shape.mlp](shape)
        self.attention_dropout = Dropout(shape.rate(shape.dropout_attention))
        self.ffn_dropout = Dropout(shape.rate(shape.dropout_mlp))

    def forward(self, x: Tensor, mask: Tensor, turn: Turn) -> Tensor:
        """x (B, L, D), mask (B, 1, Q, L) -> (B, Q, D): the last Q positions."""

        def attend(asking: Tensor, seen: Tensor) -> Tensor:
            dropped: Tensor = self.attention_dropout(self.attention(asking, seen, mask, turn))
            return dropped

        def feed(rows: Tensor, _: Tensor) -> Tensor:
            dropped: Tensor = self.ffn_dropout(self.feed_forward(rows))
            return dropped

        x = self.place(x, slice(-mask.shape[2], None), self.attention_norm, attend)
        return self.place(x, ALL, self.ffn_norm, feed)
