"""The settings of train_two_tower."""

from typing import Annotated, Literal

from pydantic import Field

from seqrec.command.config import Stores, Strict
from seqrec.settings import DropoutRate, History, ListLength, Path, Positive
from seqrec.settings.stores import Milvus
from seqrec.settings.training import Training


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


class ItemIndex(Milvus):
    """How the items are written to Milvus, and how users search there."""

    alias: Path = Field("two_tower_items", description="alias that searches use; collections are ALIAS__PUBLISH_ID")
    search_params: dict[str, int] = Field({}, description="parameters of a search, e.g. search_params.nprobe=16")
    search_users: Positive | None = Field(10000, description="users who are searched for, a seeded sample; null: all")


class TrainTwoTower(Training):
    """Windows into SimpleX, its items into Milvus, and users' best items by exact search and by Milvus search."""

    encoder: TowerShape = TowerShape()
    loss: TowerLoss = TowerLoss()
    output: Path = Field(description="folder of the users' lists; each run adds a version")
    history: History = Field("full", description="of the lists: full, or the input of valid or test")
    filter_seen: bool = Field(True, description="leave out of the lists what the user has had in the whole history")
    top_k: ListLength = Field(100, description="items a user")
    keep: Positive = Field(5, description="newest versions that stay")
    milvus: ItemIndex = ItemIndex()
    stores: Stores
