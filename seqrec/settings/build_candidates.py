"""The settings of build_candidates."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import History, ListLength, Path, Positive


class CandidateSource(Strict):
    """Where candidates come from."""

    kind: Literal["similar_items", "user_lists"] = Field(
        description="similar_items: an output of item_similarity; user_lists: of batch_recommend or train_two_tower"
    )
    path: Path = Field(description="folder of that output")
    weight: Annotated[float, Field(gt=0)] = Field(1.0, description="weight of its ranks in the merge")


class BuildCandidates(Strict):
    """Similar items and users' lists into candidates: a list a user, merged by reciprocal rank fusion."""

    data: Path = Field(description="folder of the dataset")
    output: Path = Field(description="folder of the candidates; each run adds a version")
    history: History = Field("full", description="full, or the input of valid or test")
    sources: dict[str, CandidateSource | None] = Field(
        description="by name: sources.NAME.kind (similar_items or user_lists), .path, .weight; sources.NAME=null leaves one out"
    )
    max_seeds: Positive = Field(5, description="a user's newest items whose similar items are summed")
    top_n: ListLength = Field(100, description="most items of a list, of each source and merged")
    k: Annotated[float, Field(ge=0)] = Field(60.0, description="constant of the fusion: an item scores weight / (k + rank)")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("data", "sources.*.path")

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _some_source(self) -> "BuildCandidates":
        """At least one source, and none with the name of the merged lists."""
        if not any(self.sources.values()):
            raise ValueError("no source is left: set sources.NAME.kind and sources.NAME.path")
        if "merged" in self.sources:
            raise ValueError("sources.merged: the merged lists have that name, take another")
        return self
