"""The settings of a sequence encoder: its sizes and its parts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import DropoutRate, Positive

# What dim=null and heads=null mean: the steps of few events are few, and wider encoders learn more in each (docs/training.md).
FEW_EVENTS, FEW_EVENTS_DIM, MANY_EVENTS_DIM, HEAD_DIM = 150_000, 256, 128, 32


class SequenceShape(Strict):
    """The shape of the sequence encoder, and its parts; also its arguments in every checkpoint."""

    dim: Positive | None = Field(
        64,
        description=f"width of items and queries; null: {FEW_EVENTS_DIM} for at most {FEW_EVENTS:,} events to learn from, else "
        f"{MANY_EVENTS_DIM}",
    )
    blocks: Positive = Field(2, description="transformer blocks")
    heads: Positive | None = Field(
        2, description=f"attention heads; dim is a multiple; null: one for each {HEAD_DIM} of dim, at least one"
    )
    ffn: Positive = Field(4, description="width of the feed-forward layer, as a multiple of dim")
    attention: Literal["causal", "bidirectional"] = Field(
        "causal", description="what a position sees: the items before it (next_item), or all of the window (masked_items)"
    )
    position: Literal["learned", "rope", "none"] = Field(
        "learned", description="learned (Kang and McAuley 2018), rope (rotary, Su et al. 2021) or none"
    )
    norm: Literal["layer", "rms"] = Field("layer", description="layer (Ba et al. 2016) or rms (Zhang and Sennrich 2019)")
    norm_place: Literal["pre", "post", "query"] = Field(
        "pre",
        description="pre (before each layer), post (after it and its residual path) or query (of queries and of the residual "
        "path, not of keys, as in the code of SASRec's authors)",
    )
    mlp: Literal["plain", "gated", "moe"] = Field(
        "plain", description="feed-forward layer: plain, gated (Shazeer 2020) or moe (a mixture of plain ones, Fedus et al. 2021)"
    )
    activation: Literal["gelu", "relu", "silu"] = Field("gelu", description="of the feed-forward layer: gelu, relu or silu")
    experts: Positive | None = Field(None, description="of mlp=moe: how many; their capacity is unlimited")
    experts_active: Positive | None = Field(None, description="of mlp=moe: how many compute a position, those of the top gates")
    attention_output: bool = Field(True, description="a linear layer mixes the heads' results; false as in SASRec's code")
    attention_conv: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="newest positions that a convolution mixes queries, keys and values over (So et al. 2021); 1: none"
    )
    output_layer: bool = Field(
        False, description="a linear layer, the activation and a norm before the output, as BERT4Rec has (Sun et al. 2019, eq. 7)"
    )
    output: Literal["tied", "separate"] = Field(
        "tied", description="what queries are multiplied with: tied (the items' embeddings) or separate (a matrix of its own)"
    )
    output_bias: bool = Field(
        False, description="a bias for each item: one more dimension of vectors and queries, which have a 1 there"
    )
    head: Literal["dot", "cosine"] = Field(
        "dot",
        description="dot, or cosine over a learned temperature (Radford et al. 2021): the query has the length 1 / temperature",
    )
    embedding_scale: Literal["sqrt", "none"] = Field("sqrt", description="sqrt: embeddings are multiplied with the root of dim")
    embedding_norm: bool = Field(False, description="a norm right after the embeddings, as BERT has (Devlin et al. 2019)")
    init_range: Annotated[float, Field(gt=0, le=10)] = Field(
        0.02, description="standard deviation of embeddings and positions at the start"
    )
    dropout: DropoutRate = Field(0.2, description="share of activations dropped in training, where no other key says it")
    dropout_embedding: DropoutRate | None = Field(None, description="of the embeddings; null: dropout")
    dropout_attention: DropoutRate | None = Field(None, description="of what an attention adds to its input; null: dropout")
    dropout_mlp: DropoutRate | None = Field(
        None, description="inside the feed-forward layer, and of what it adds to its input; null: dropout"
    )
    dropout_weights: DropoutRate = Field(0.0, description="of the attention weights")
    max_len: Positive | None = Field(
        None, description="newest items of a history that the model sees; null: the dataset's max_len"
    )

    def sizes(self, events: int) -> tuple[int, int]:
        """Its dim and heads for so many events to learn from.

        >>> SequenceShape(dim=None, heads=None).sizes(100_000), SequenceShape(dim=None, heads=None).sizes(1_000_000)
        ((256, 8), (128, 4))
        """
        dim = self.dim or (FEW_EVENTS_DIM if events <= FEW_EVENTS else MANY_EVENTS_DIM)
        return dim, self.heads or max(1, dim // HEAD_DIM)

    @model_validator(mode="after")
    def _heads_divide(self) -> "SequenceShape":
        """Every attention head gets the same part of the width, which rope turns in pairs."""
        for dim, heads in (self.sizes(FEW_EVENTS), self.sizes(FEW_EVENTS + 1)):
            if dim % heads:
                raise ValueError(f"encoder.dim={dim} is not a multiple of encoder.heads={heads}: set another number of heads")
            if self.position == "rope" and dim // heads % 2:
                raise ValueError(
                    f"encoder.position=rope turns pairs of numbers, and a head has encoder.dim / encoder.heads = "
                    f"{dim // heads}: make that even"
                )
        return self

    @model_validator(mode="after")
    def _convolution_fits(self) -> "SequenceShape":
        """A convolution looks at older positions, and mixes the queries with what they attend to."""
        if self.attention_conv > 1 and (self.attention != "causal" or self.norm_place == "query"):
            raise ValueError(
                f"encoder.attention_conv={self.attention_conv} is of causal attention whose norm_place is pre or post, and these "
                f"are {self.attention} and {self.norm_place}: set encoder.attention_conv=1"
            )
        return self

    @model_validator(mode="after")
    def _experts_are_of_a_mixture(self) -> "SequenceShape":
        """Both numbers of experts belong to mlp=moe, and no more are active than there are."""
        numbers = f"encoder.experts={self.experts} and encoder.experts_active={self.experts_active}"
        if self.mlp != "moe" and (self.experts, self.experts_active) != (None, None):
            raise ValueError(f"{numbers} are of encoder.mlp=moe, which is {self.mlp}: set both to null")
        if self.mlp == "moe" and not (self.experts and self.experts_active and self.experts_active <= self.experts):
            raise ValueError(f"encoder.mlp=moe needs both, the second at most the first: {numbers}")
        return self
