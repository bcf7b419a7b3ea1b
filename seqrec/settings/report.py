"""The settings of report."""

from typing import Annotated

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Path

SampleSize = Annotated[int, Field(ge=0, le=100)]


class TitledItems(Strict):
    """A file of items, whose titles stand in place of their ids."""

    path: str | None = Field(
        None, min_length=1, description="a file of items (CSV, JSON lines, Parquet), or build_features' folder; null: ids alone"
    )
    id: str | None = Field(None, min_length=1, description="its column of the items' ids, by name or number; null: it is found")
    title: str | None = Field(None, min_length=1, description="its column of the titles; null: it is found")

    @model_validator(mode="after")
    def _both_columns(self) -> "TitledItems":
        """The columns are named together, and are those of a file."""
        if (self.id is None) != (self.title is None):
            raise ValueError("id and title name the columns of a file of titles together: set both, or none")
        if self.path is None and self.id is not None:
            raise ValueError("id and title are columns of path: set that too")
        return self


class Report(Strict):
    """A chain as one page of HTML: its data, training, metrics, lists and versions."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the model")
    evaluation: Path = Field(description="folder of the evaluations")
    lists: Path = Field(description="folder of the lists, the output of batch_recommend")
    output: Path = Field(description="the file that is written; one that is there is replaced")
    compare: str | None = Field(
        None,
        min_length=1,
        description="what it is compared with: the run id of an evaluation, lists, an export or a dataset of these folders, or "
        "another chain's folder (its SEQREC_ROOT); null: nothing",
    )
    items: TitledItems = TitledItems()
    users: list[str | int] = Field(
        [], max_length=100, description="ids of users to show; empty: some, with short and long histories"
    )
    sample_users: SampleSize = Field(6, description="how many users are shown where none are named")
    known_items: list[str | int] = Field(
        [], max_length=100, description="ids of items whose neighbours are shown; empty: the most popular"
    )
    sample_items: SampleSize = Field(6, description="how many items are shown where none are named")

    def reads(self) -> tuple[str, ...]:
        return ("data?", "model?", "evaluation?", "lists?", "items.path")

    def leaves(self) -> str | None:
        return self.output
