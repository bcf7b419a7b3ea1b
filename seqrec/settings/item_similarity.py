"""The settings of item_similarity."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path, Positive, Seed

USERS_PER_ITEM = {"item_cf": 1000, "swing": 200}
NotNegative = Annotated[float, Field(ge=0, le=1e6)]


class ItemSimilarity(Strict):
    """Events into similar items."""

    data: Path = Field(description="folder of the dataset")
    output: Path = Field(description="folder of the output, one for each method; each run adds a version")
    method: Literal["item_cf", "swing"] = Field("item_cf", description="item_cf or swing")
    history: Literal["train", "full"] = Field("train", description="train: training events alone; full: the held-out ones too")
    top_n: ListLength = Field(100, description="most neighbours of an item")
    min_user_items: Positive = Field(1, description="users with fewer items are left out")
    max_user_items: Positive | None = Field(1000, description="users with more items are left out; null is off")
    max_users_per_item: Positive | Literal["auto"] | None = Field(
        "auto",
        description="users of an item whose pairs are counted, a seeded sample that stands for all; auto: 1000, for "
        "swing, whose cost grows by its square, 200; null: all of them",
    )
    alpha1: NotNegative = Field(15.0, description="swing: a user's weight is 1 / (alpha1 + items)^beta")
    alpha2: NotNegative = Field(0.0, description="swing: a pair of users counts 1 / (alpha2 + items in common)")
    beta: Annotated[float, Field(ge=0, le=4)] = Field(0.3, description="swing: exponent of a user's weight")
    max_pairs: Positive = Field(10_000_000_000, description="pairs, estimated beforehand, above which the job refuses to start")
    seed: Seed = Field(42, description="of the sample")
    keep: Positive = Field(5, description="newest versions that stay")

    @property
    def users_per_item(self) -> int | None:
        """How many users of an item count; None for all of them."""
        return USERS_PER_ITEM[self.method] if self.max_users_per_item == "auto" else self.max_users_per_item

    def reads(self) -> tuple[str, ...]:
        return ("data",)

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _some_users(self) -> "ItemSimilarity":
        """The limits of activity leave users."""
        if self.max_user_items is not None and self.max_user_items < self.min_user_items:
            raise ValueError(f"max_user_items={self.max_user_items} is below min_user_items={self.min_user_items}")
        return self
