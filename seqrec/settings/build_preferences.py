"""The settings of build_preferences."""

from typing import Annotated

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path, Positive, Seed

Weight = Annotated[float, Field(ge=0, le=1e6)]


class RejectedShares(Strict):
    """Of a user's pairs, how many have a rejected item of each source: numbers whose sum is the whole."""

    scored: Weight = Field(1.0, description="of pairs whose rejected item the model scores highly, though the user hasn't had it")
    neighbours: Weight = Field(0.0, description="of pairs whose rejected item is like the chosen one, by the items' vectors")
    low_rated: Weight = Field(0.0, description="of pairs whose rejected item the user takes later, and rates below their mean")


class BuildPreferences(Strict):
    """Training events into pairs of an item that a user took next and one that they didn't want as much."""

    data: Path = Field(description="folder of the dataset")
    output: Path = Field(description="folder of the pairs; each run adds a version")
    model: Path | None = Field(
        None, description="folder of an exported model: it scores, and its item matrix has the neighbours where vectors=null"
    )
    vectors: Path | None = Field(None, description="of neighbours: folder of embed_items, or a table of item_id and embedding")
    shares: RejectedShares = RejectedShares()
    pairs_per_user: Positive = Field(20, description="most pairs of a user, at positions drawn from their training events")
    top: ListLength = Field(20, description="scored and neighbours: a rejected item is drawn among so many best ones")
    rows_per_file: Positive = Field(4096, description="most pairs in a file (= a row group), what the trainer shuffles by")
    files_multiple: Positive = Field(8, description="the number of files is a multiple of this: set it to the ranks")
    seed: Seed = Field(42, description="of positions, rejected items and the order of the pairs")
    keep: Positive = Field(5, description="newest versions that stay")

    @property
    def needs_model(self) -> bool:
        """Whether the model scores, or its item matrix has the neighbours."""
        return bool(self.shares.scored or (self.shares.neighbours and self.vectors is None))

    def reads(self) -> tuple[str, ...]:
        return ("data", "vectors", "model/exports") if self.needs_model else ("data", "vectors")

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _sources_are_there(self) -> "BuildPreferences":
        """Every source with a share has what it is made from."""
        shares = self.shares
        if not shares.scored + shares.neighbours + shares.low_rated:
            raise ValueError("all shares are 0: set shares.scored, shares.neighbours or shares.low_rated above 0")
        if shares.scored and self.model is None:
            raise ValueError(f"shares.scored={shares.scored:g} needs a model that scores: set model=FOLDER, or shares.scored=0")
        if shares.neighbours and self.model is None and self.vectors is None:
            raise ValueError(
                f"shares.neighbours={shares.neighbours:g} needs vectors of items: set vectors=FOLDER of embed_items or "
                "model=FOLDER, or shares.neighbours=0"
            )
        return self
