"""The settings of train, and those that every training has."""

import warnings
from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import DropoutRate, Path, Positive, Seed, Share
from seqrec.settings.item_vectors import ItemVectorFile


class SequenceShape(Strict):
    """The shape of the sequence encoder, and its parts; also its arguments in every checkpoint."""

    dim: Positive = Field(64, description="width of items and queries")
    blocks: Positive = Field(2, description="transformer blocks")
    heads: Positive = Field(2, description="attention heads; dim is a multiple")
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

    @model_validator(mode="after")
    def _heads_divide(self) -> "SequenceShape":
        """Every attention head gets the same part of the width, which rope turns in pairs."""
        if self.dim % self.heads:
            raise ValueError(f"encoder.dim={self.dim} is not a multiple of encoder.heads={self.heads}")
        if self.position == "rope" and self.dim // self.heads % 2:
            raise ValueError(
                f"encoder.position=rope turns pairs of numbers, and a head has encoder.dim / encoder.heads = "
                f"{self.dim // self.heads}: make that even"
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


class Masking(Strict):
    """What objective=masked_items hides of a window: the keys of BERT4Rec's data generation."""

    masked_lm_prob: Annotated[float, Field(gt=0, le=1)] = Field(0.2, description="share of a window's items to predict")
    mask_prob: Share = Field(
        1.0, description="probability that the mask replaces such an item; else half stay, half become a random item"
    )
    max_predictions_per_seq: Positive | None = Field(None, description="most items to predict of a window; null: by share alone")
    dupe_factor: Positive = Field(10, description="maskings of each window in an epoch, drawn anew in each")
    mask_last: bool = Field(True, description="one more copy of each window an epoch, with only its last item masked")
    short_seq_prob: Share = Field(0.0, description="share of windows that are cut to a random number of their newest items")


class WindowCuts(Strict):
    """How the dataset's windows are cut into those of the model, in each epoch anew."""

    overlap: Annotated[int, Field(ge=0)] = Field(
        0, description="items at the beginning of a window that are context alone: the older window predicts what follows them"
    )
    shift: Annotated[int, Field(ge=0)] = Field(
        0,
        description="half of the rows lose up to so many newest events, drawn anew in each epoch, so that windows end elsewhere",
    )


class SequenceLoss(Strict):
    """What is minimised."""

    name: Literal["bce", "gbce", "ce", "sampled_ce"] = Field("ce", description="bce, gbce, ce (full softmax) or sampled_ce")
    negatives: Positive = Field(256, description="negatives a position (bce, gbce) or shared by a batch (sampled_ce)")
    t: Share = Field(0.75, description="calibration of gbce: 0 is bce, 1 calibrates fully")
    sampling: Literal["uniform", "popularity"] = Field("uniform", description="how negatives are drawn")
    power: Annotated[float, Field(ge=-4, le=4)] = Field(0.75, description="exponent of the count, for sampling=popularity")
    balance: Annotated[float, Field(ge=0, le=100)] = Field(
        0.01,
        description="weight of the load-balancing loss of encoder.mlp=moe (Fedus et al. 2021, eq. 4), which train_loss includes",
    )
    exclude_seen: bool = Field(
        False, description="leave what the user has had in the window before out of the softmax of ce, as lists do; repeats stay"
    )
    log_q: bool = Field(True, description="correct the scores of sampled_ce's negatives by the log of their probability")


class Optimizer(Strict):
    """How it is minimised."""

    name: Literal["adamw", "adam", "sgd"] = Field("adamw", description="adamw, adam or sgd")
    lr: Annotated[float, Field(gt=0, le=100)] = Field(3e-3, description="peak learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="decoupled for adamw, L2 else")
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of adamw and adam")
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(0.98, description="of adamw and adam")
    momentum: Share = Field(0.9, description="of sgd")
    nesterov: bool = Field(False, description="of sgd")
    clip_norm: Annotated[float, Field(gt=0)] | None = Field(1.0, description="largest gradient norm; null is off")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(300, description="linear warm-up")
    schedule: Literal["constant", "cosine", "linear", "inverse_sqrt"] = Field(
        "inverse_sqrt", description="learning rate after the warm-up; cosine and linear end at 0 with the training"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="of the weights' moving average, which is validated, saved and exported; null: the weights themselves"
    )

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> "Optimizer":
        """Nesterov momentum is of sgd, and needs a momentum."""
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError("nesterov=true needs a momentum above 0, and name=sgd")
        return self


warnings.filterwarnings("ignore", message='Field name "validate" in "Training"')  # pydantic's own `validate` is deprecated


class Training(Strict):
    """The settings of every training: where it reads and writes, how it learns, and when it ends."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the model; a training whose checkpoints it holds goes on")
    name: str | None = Field(None, description="name of the model; null: made from its settings")
    optimizer: Optimizer = Optimizer()
    batch_size: Positive = Field(64, description="windows that a process sends through the model at once")
    accumulate_steps: Positive = Field(
        1, description="batches whose gradients make one step: memory for batch_size, steps as of accumulate_steps · batch_size"
    )
    pool_batches: Positive = Field(32, description="batches in a pool; within one, windows are batched by length")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 autocast where the hardware gains from it")
    max_epochs: Positive = Field(200, description="most epochs")
    max_steps: Positive | None = Field(
        None,
        description="most steps; a model that ends between two validations is shown and saved as last, and never as the best",
    )
    max_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="most wall time of this run, in minutes; the same command goes on from there"
    )
    validate: bool = Field(  # type: ignore[assignment]
        True, description="false: train to max_epochs (or _steps, _minutes) without validation; the last checkpoint is the best"
    )
    validate_every: Positive | None = Field(None, description="steps between validations; null: the end of each epoch")
    valid_users: Positive | None = Field(10000, description="users of a validation, a seeded sample; null: all")
    metric: Literal["ndcg@10", "ndcg@20", "recall@10", "recall@20", "recall@1", "loss"] = Field(
        "ndcg@10", description="what best and early stopping go by"
    )
    patience: Positive | None = Field(10, description="validations without improvement before the end; null: never")
    checkpoint_every: Positive | None = Field(None, description="steps between checkpoints; null: with each validation")
    resume: bool | Literal["same"] = Field(
        True, description="go on from the folder's last checkpoint; false: start over; same: start over if its settings differ"
    )
    reader_workers: Positive = Field(1, description="Petastorm threads; with 1 the order of rows repeats exactly")
    processes: Positive = Field(1, description="training processes started by distributor=spark")
    distributor: Literal["none", "spark"] = Field("none", description="spark: TorchDistributor; torchrun is recognised by itself")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(None, description="memory to fit in; null: the device's free memory")
    deterministic: bool = Field(
        False,
        description="the same bits in each run on a GPU too, by slower algorithms of torch; on CPUs they are the same anyway",
    )
    tensorboard: bool = Field(True, description="write scalars to MODEL/tensorboard")
    log_every: Positive | None = Field(
        100, description="steps between scalars of loss and learning rate in TensorBoard; null: with each validation alone"
    )
    seed: Seed = Field(42, description="of every random choice")


class Train(Training):
    """Windows into checkpoints."""

    preset: str | None = Field(None, description="a recipe in conf/presets, or a YAML file")
    encoder: SequenceShape = SequenceShape()
    windows: WindowCuts = WindowCuts()
    objective: Literal["next_item", "masked_items"] = Field(
        "next_item", description="what is predicted: the item after each, or items that are hidden from a bidirectional encoder"
    )
    masking: Masking = Masking()
    loss: SequenceLoss = SequenceLoss()
    item_vectors: ItemVectorFile = ItemVectorFile()

    @model_validator(mode="after")
    def _attention_suits_the_objective(self) -> "Train":
        """No position sees the item that it predicts, and masked items are seen from both sides."""
        attention = self.encoder.attention
        if self.objective == "next_item" and attention != "causal":
            raise ValueError(
                f"encoder.attention={attention} shows each position the item that objective=next_item predicts there: "
                "set objective=masked_items, or encoder.attention=causal"
            )
        if self.objective == "masked_items" and attention != "bidirectional":
            raise ValueError(
                f"objective=masked_items predicts items from those on both sides, which encoder.attention={attention} hides: "
                "set encoder.attention=bidirectional, or objective=next_item"
            )
        return self

    @model_validator(mode="after")
    def _vectors_enter_the_output(self) -> "Train":
        """Vectors enter the embedding of the items, which is the output too where it is tied."""
        if self.item_vectors.path is not None and self.encoder.output == "separate":
            raise ValueError("item_vectors enter a tied output alone: set encoder.output=tied, or item_vectors.path=null")
        return self

    @model_validator(mode="after")
    def _masking_is_of_masked_items(self) -> "Train":
        """No other objective has anything to mask."""
        if self.objective != "masked_items":
            for name in type(self.masking).model_fields:
                if getattr(self.masking, name) != getattr(Masking(), name):
                    raise ValueError(f"masking.{name} is of objective=masked_items, and objective={self.objective} masks nothing")
        return self

    @model_validator(mode="after")
    def _overlap_leaves_targets(self) -> "Train":
        """A window has more items than it shares with the older one, and is cut only where it is shorter than the dataset's."""
        overlap, longest = self.windows.overlap, self.encoder.max_len
        if overlap and longest is None:
            raise ValueError(f"windows.overlap={overlap} is of windows shorter than the dataset's: set encoder.max_len")
        if longest is not None and overlap >= longest:
            raise ValueError(f"windows.overlap={overlap} leaves nothing to predict in windows of encoder.max_len={longest} items")
        return self

    @model_validator(mode="after")
    def _softmax_excludes(self) -> "Train":
        """exclude_seen is of the full softmax over next items."""
        kind = (self.loss.name, self.objective)
        if self.loss.exclude_seen and kind != ("ce", "next_item"):
            raise ValueError(
                f"loss.exclude_seen=true is of loss.name=ce and objective=next_item, and these are {kind[0]} and {kind[1]}"
            )
        return self
