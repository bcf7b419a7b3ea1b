"""The settings of train_two_tower."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Stores, Strict
from seqrec.settings import DropoutRate, History, ListLength, Path, Positive
from seqrec.settings.stores import Milvus
from seqrec.settings.training import Optimizer, Training


class TowerShape(Strict):
    """The shape of the towers; also the model's arguments in every checkpoint."""

    dim: Positive = Field(64, description="width of items and queries")
    max_len: Positive | None = Field(None, description="newest items of a history that are averaged; null: the dataset's max_len")
    dropout: DropoutRate = Field(0.0, description="share of the average's values dropped in training")
    user_weight: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="g of the paper: weight of the user's own embedding against the history; 0: none, for new users too"
    )


class TowerLoss(Strict):
    """The cosine contrastive loss."""

    negatives: Positive = Field(256, description="negatives, shared by the positions of a batch")
    margin: Annotated[float, Field(ge=-1, lt=1)] = Field(0.3, description="cosine up to which a negative costs nothing")
    weight: Annotated[float, Field(gt=0)] = Field(20.0, description="of the negatives' mean against the positive")
    sampling: Literal["uniform", "popularity"] = Field("uniform", description="how negatives are drawn")
    power: Annotated[float, Field(ge=-4, le=4)] = Field(0.75, description="exponent of the count, for sampling=popularity")


class TowerOptimizer(Optimizer):
    """How towers over features are minimised: the keys of `optimizer`, with a warm-up that fits small datasets too."""

    lr: Annotated[float, Field(gt=0, le=100)] = Field(2e-3, description="peak learning rate")
    warmup_steps: Annotated[int, Field(ge=0)] | None = Field(
        None, description="linear warm-up; null: a twentieth of the training's steps, at most 200"
    )


class FeatureTowers(Strict):
    """The towers over features of users and of items, and their training."""

    path: Path | None = Field(
        None, description="folder of build_features samples=[matching], of the dataset and the history of the lists"
    )
    user_columns: list[str] | None = Field(None, description="features of users; null: all of matching_samples that users has")
    item_columns: list[str] | None = Field(
        None, description="features of items; null: all of matching_samples that item_features has"
    )
    max_categories: Annotated[int, Field(ge=1, le=2**24 - 1)] = Field(
        100_000, description="most categories of a column, the most frequent ones; others count as unknown"
    )
    embedding_size: Positive = Field(32, description="numbers of each category's embedding")
    hidden_units: list[Positive] = Field([128], description="widths of each tower's hidden layers; []: none")
    dropout: DropoutRate = Field(0.1, description="share of each hidden layer's values dropped in training")
    unknown_share: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="share of a batch's users and items whose own id counts as unknown, so that features alone give vectors"
    )
    temperature: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="by which a cosine is divided in the softmax")
    log_q: bool = Field(True, description="take the log of an item's chance to be in a batch off its logit (Yi et al. 2019)")
    new_items: bool = Field(True, description="items of item_features that the dataset lacks are in the lists too")
    optimizer: TowerOptimizer = TowerOptimizer()
    batch_size: Positive = Field(
        512, description="positives of a process in a step; negatives come with them, as many as there are"
    )
    pool_batches: Positive = Field(32, description="batches whose rows are shuffled together")
    max_epochs: Positive = Field(50, description="most epochs")
    patience: Positive | None = Field(3, description="validations without improvement before the end; null: never")
    validate_every: Positive | None = Field(None, description="steps between validations; null: the end of each epoch")
    checkpoint_every: Positive | None = Field(None, description="steps between checkpoints; null: with each validation")


class ItemIndex(Milvus):
    """How the items are written to Milvus, and how users search there."""

    alias: Path = Field("two_tower_items", description="alias that searches use; collections are ALIAS__PUBLISH_ID")
    search_params: dict[str, int] = Field({}, description="parameters of a search, e.g. search_params.nprobe=16")
    search_users: Positive | None = Field(10000, description="users who are searched for, a seeded sample; null: all")


class TrainTwoTower(Training):
    """Windows into SimpleX, or features into two towers; items into Milvus, users' best items by exact and by Milvus search."""

    towers: Literal["histories", "features"] = Field(
        "histories",
        description="histories: SimpleX (encoder, loss, and the training's own keys); features: two towers over the columns of "
        "users and items (encoder.dim, and features.* in place of the training's own keys of those names)",
    )
    features: FeatureTowers = FeatureTowers()
    encoder: TowerShape = TowerShape()
    loss: TowerLoss = TowerLoss()
    output: Path = Field(description="folder of the users' lists; each run adds a version")
    history: History = Field("full", description="of the lists: full, or the input of valid or test")
    filter_seen: bool = Field(True, description="leave out of the lists what the user has had in the whole history")
    top_k: ListLength = Field(100, description="items a user")
    keep: Positive = Field(5, description="newest versions that stay")
    milvus: ItemIndex = ItemIndex()
    stores: Stores

    def reads(self) -> tuple[str, ...]:
        return ("data", "init", "features.path") if self.towers == "features" else ("data", "init")

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _towers_have_what_they_need(self) -> "TrainTwoTower":
        """Towers over features have a folder of them, and none of what belongs to histories alone."""
        if self.towers == "histories":
            return self
        if self.features.path is None:
            raise ValueError("features.path is needed for towers=features: the folder of build_features samples=[matching]")
        fixed = {
            "init": None,
            "init_optimizer": "fresh",
            "freeze": (),
            "stages": (),
            "accumulate_steps": 1,
            "deterministic": False,
        }
        if others := [name for name, usual in fixed.items() if getattr(self, name) != usual]:
            raise ValueError(f"{others[0]} belongs to towers=histories: leave it out with towers=features")
        if self.metric == "loss":
            raise ValueError("metric=loss belongs to towers=histories: set ndcg@10 or another metric of lists")
        return self
