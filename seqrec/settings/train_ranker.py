"""The settings of train_ranker."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import DropoutRate, Path, Positive, Seed
from seqrec.settings.training import Optimizer

Rate = Annotated[float, Field(gt=0, le=1)]
AtLeastZero = Annotated[float, Field(ge=0)]


class RankerColumns(Strict):
    """The columns of the samples that are features."""

    discrete: list[str] | None = Field(None, description="columns that are categories; null: those of feature_schema.json")
    continuous: list[str] | None = Field(None, description="columns that are numbers; null: those of feature_schema.json")


class RankerLabel(Strict):
    """What the ranker predicts."""

    column: Path = Field("label", description="column of the label; rows where it is null are left out and counted")
    threshold: float | None = Field(None, description="values above are 1, others 0; null: the column holds 0 and 1")


class GradientBoosting(Strict):
    """LightGBM's parameters, by its own names."""

    num_leaves: Annotated[int, Field(ge=2, le=131072)] = Field(31, description="most leaves of a tree")
    max_depth: Positive | None = Field(None, description="most splits on the way to a leaf; null: no limit")
    learning_rate: Rate = Field(0.05, description="share of each tree that counts")
    num_rounds: Positive = Field(2000, description="most trees")
    min_data_in_leaf: Positive = Field(50, description="fewest training rows of a leaf")
    feature_fraction: Rate = Field(0.8, description="share of the features that a tree may use")
    bagging_fraction: Rate = Field(0.8, description="share of the rows that a tree is fitted to")
    lambda_l2: AtLeastZero = Field(1.0, description="of the leaves' values: the weight of their squares")
    max_bin: Annotated[int, Field(ge=2, le=65535)] = Field(255, description="most distinct values of a feature that splits see")


class LogisticRegression(Strict):
    """The logistic regression, and how it is chosen."""

    lambda_l2: list[Annotated[float, Field(gt=0)]] = Field(
        [1.0, 10.0, 100.0], min_length=1, description="weights of the squares of the weights; the best by metric on valid counts"
    )


class NetworkOptimizer(Optimizer):
    """How the network is minimised: the keys of `train`, with a lower learning rate."""

    lr: Annotated[float, Field(gt=0, le=100)] = Field(1e-3, description="peak learning rate")


class WideAndDeep(Strict):
    """The network of wide_deep, and its training."""

    crosses: list[list[str]] = Field(
        [], description="discrete columns that are crossed, such as [[last_genre, genre]], for the wide part"
    )
    cross_buckets: Annotated[int, Field(ge=2, le=2**24)] = Field(100_000, description="buckets to which each cross is hashed")
    use_wide: bool = Field(True, description="false: neither weights of categories nor crosses, the deep part alone")
    embedding_size: Positive = Field(16, description="numbers of each category's embedding")
    hidden_units: list[Positive] = Field([256, 128, 64], description="widths of the hidden layers")
    dropout: DropoutRate = Field(0.1, description="share of each hidden layer's values dropped in training")
    optimizer: NetworkOptimizer = NetworkOptimizer()
    batch_size: Positive = Field(1024, description="rows of a process in a step")
    pool_batches: Positive = Field(32, description="batches whose rows are shuffled together")
    max_epochs: Positive = Field(20, description="most epochs")
    patience: Positive | None = Field(2, description="validations without improvement before the end; null: never")
    validate_every: Positive | None = Field(None, description="steps between validations; null: the end of each epoch")
    checkpoint_every: Positive | None = Field(None, description="steps between checkpoints; null: with each validation")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 autocast where the hardware gains from it")
    memory_gb: Annotated[float, Field(gt=0)] | None = Field(None, description="memory to fit in; null: the device's free memory")
    reader_workers: Positive = Field(1, description="Petastorm threads; with 1 the order of rows repeats exactly")

    @model_validator(mode="after")
    def _crosses_are_used(self) -> "WideAndDeep":
        """A cross is of several columns, and belongs to the wide part."""
        if short := [cross for cross in self.crosses if len({*cross}) < 2 or len({*cross}) < len(cross)]:
            raise ValueError(f"crosses: {short[0]} is no cross: name at least two columns, each once")
        if self.crosses and not self.use_wide:
            raise ValueError("crosses belong to the wide part, which use_wide=false leaves out: set crosses=[]")
        return self


class TrainRanker(Strict):
    """Samples into a ranker: a model of the probability that the label is 1, as an ONNX graph."""

    samples: Path = Field(description="folder of ranker_samples (build_ranker_samples) or ranking_samples (build_features)")
    output: Path = Field(description="folder of the ranker; each run adds a version")
    method: Literal["lightgbm", "wide_deep", "logistic"] = Field(
        "lightgbm",
        description="lightgbm: gradient-boosted trees; wide_deep: a network (Cheng et al. 2016); logistic: a regression "
        "on numbers, for few rows of label 1",
    )
    columns: RankerColumns = RankerColumns()
    label: RankerLabel = RankerLabel()
    max_categories: Annotated[int, Field(ge=1, le=2**24 - 1)] = Field(
        100_000, description="most categories of a discrete column, the most frequent ones; others share the code 0"
    )
    metric: Literal["auc", "gauc", "log_loss"] = Field(
        "auc", description="of the split valid: what early stopping goes by, and the choice of logistic.lambda_l2"
    )
    patience: Positive | None = Field(50, description="of lightgbm: trees without improvement before the end; null: never")
    lightgbm: GradientBoosting = GradientBoosting()
    wide_deep: WideAndDeep = WideAndDeep()
    logistic: LogisticRegression = LogisticRegression()
    distributor: Literal["none", "spark"] = Field(
        "none", description="spark: train in tasks of the Spark cluster, for samples that one machine's memory doesn't hold"
    )
    processes: Positive = Field(1, description="tasks of distributor=spark, which run at once")
    opset: Annotated[int, Field(ge=9)] = Field(18, description="ONNX opset")
    parity_rows: Positive = Field(10_000, description="rows on which ONNX Runtime is compared with the trained model")
    parity_tolerance: Annotated[float, Field(gt=0)] = Field(1e-5, description="largest difference of a score")
    seed: Seed = Field(42, description="of every random choice")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("samples",)

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _processes_are_started(self) -> "TrainRanker":
        """Spark starts the processes; those of torchrun are no setting. A network may train in one, on a GPU of the cluster."""
        if self.processes > 1 and self.distributor == "none":
            raise ValueError(f"processes={self.processes} are started by Spark alone: set distributor=spark, or processes=1")
        if self.method == "logistic" and self.distributor == "spark":
            raise ValueError("method=logistic trains on one machine: set distributor=none, or another method")
        if self.processes == 1 and self.distributor == "spark" and self.method == "lightgbm":
            raise ValueError("distributor=spark with processes=1 trains on all rows in one task: set processes to 2 or more")
        return self

    @model_validator(mode="after")
    def _groups_are_of_the_method(self) -> "TrainRanker":
        """The keys of a method say nothing of another; the patience of a network is a key of its own."""
        fields = type(self).model_fields
        for other in (name for name in ("lightgbm", "wide_deep", "logistic") if name != self.method):
            given, default = getattr(self, other), fields[other].default
            if changed := [name for name in type(given).model_fields if getattr(given, name) != getattr(default, name)]:
                raise ValueError(f"{other}.{changed[0]} is of method={other}, and this is method={self.method}: leave it out")
        if self.method != "lightgbm" and self.patience != fields["patience"].default:
            instead = "set wide_deep.patience" if self.method == "wide_deep" else "leave it out"
            raise ValueError(f"patience={self.patience} is of method=lightgbm: {instead}")
        if self.method == "logistic" and self.columns.discrete:
            raise ValueError(f"columns.discrete: method=logistic reads numbers alone: leave {self.columns.discrete[0]} out")
        return self

    @model_validator(mode="after")
    def _opset_is_torchs(self) -> "TrainRanker":
        """torch writes graphs from opset 18 on."""
        if self.method == "wide_deep" and self.opset < 18:
            raise ValueError(f"opset={self.opset}: method=wide_deep writes opset 18 and above")
        return self
