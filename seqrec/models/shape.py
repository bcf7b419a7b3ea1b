"""The shape of a transformer: the names of its parts, and their sizes."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The arguments of a Transformer, besides those that a dataset gives. They stand in every checkpoint.

    A checkpoint that lacks one was trained with the default.
    """

    dim: int  # D
    blocks: int
    heads: int
    ffn: int  # width of the feed-forward part, as a multiple of dim
    dropout: float  # wherever no other rate is given
    attention: str = "causal"  # of MASKS
    position: str = "learned"  # of POSITIONS
    norm: str = "layer"  # of NORMS
    norm_place: str = "pre"  # of PLACES
    mlp: str = "plain"  # of MLPS
    activation: str = "gelu"  # of ACTIVATIONS
    experts: int | None = None  # E, of mlp=moe
    experts_active: int | None = None  # K, that compute a position
    attention_output: bool = True  # whether a linear layer mixes the heads
    attention_conv: int = 1  # width of the convolution over queries, keys and values; 1: there is none
    output_layer: bool = False  # a linear layer, the activation and a norm before the output
    output: str = "tied"  # tied: queries are multiplied with the embeddings of items; separate: with a matrix of their own
    output_bias: bool = False  # whether items have a bias
    head: str = "dot"  # or cosine
    embedding_scale: str = "sqrt"  # sqrt: embeddings are multiplied with √D; none: they are not
    embedding_norm: bool = False  # a norm after embeddings and positions are added, before the first block
    init_range: float = 0.02  # standard deviation of embeddings and positions at the start
    dropout_embedding: float | None = None  # of the embeddings; None: dropout, as in the next two
    dropout_attention: float | None = None  # of what an attention adds
    dropout_mlp: float | None = None  # within a feed-forward part, and of what it adds
    dropout_weights: float = 0.0  # of the attention weights
    rows: Mapping[str, int] | None = None  # how vectors of items enter the matrix, see `item_rows.build_rows`; None: no vectors

    def rate(self, own: float | None) -> float:
        """A rate of its own, or else that of all."""
        return self.dropout if own is None else own
