"""The settings of train_ranker."""

from typing import Annotated, Literal

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive, Seed

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


class TrainRanker(Strict):
    """Samples into a ranker: a model of the probability that the label is 1, as an ONNX graph."""

    samples: Path = Field(description="folder of ranker_samples (build_ranker_samples) or ranking_samples (build_features)")
    output: Path = Field(description="folder of the ranker; each run adds a version")
    method: Literal["lightgbm"] = Field("lightgbm", description="lightgbm: gradient-boosted trees")
    columns: RankerColumns = RankerColumns()
    label: RankerLabel = RankerLabel()
    max_categories: Annotated[int, Field(ge=1, le=2**24 - 1)] = Field(
        100_000, description="most categories of a discrete column, the most frequent ones; others share the code 0"
    )
    metric: Literal["auc", "gauc", "log_loss"] = Field("auc", description="of the split valid: what early stopping goes by")
    patience: Positive | None = Field(50, description="rounds (or epochs) without improvement before the end; null: never")
    lightgbm: GradientBoosting = GradientBoosting()
    distributor: Literal["none", "spark"] = Field(
        "none", description="spark: train in tasks of the Spark cluster, for samples that one machine's memory doesn't hold"
    )
    processes: Positive = Field(1, description="tasks of distributor=spark, which run at once")
    opset: Annotated[int, Field(ge=9)] = Field(18, description="ONNX opset")
    parity_rows: Positive = Field(10_000, description="rows on which ONNX Runtime is compared with the trained model")
    parity_tolerance: Annotated[float, Field(gt=0)] = Field(1e-5, description="largest difference of a score")
    seed: Seed = Field(42, description="of every random choice")
    keep: Positive = Field(5, description="newest versions that stay")
