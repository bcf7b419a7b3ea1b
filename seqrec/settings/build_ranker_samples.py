"""The settings of build_ranker_samples."""

from typing import Annotated

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive, Seed


class BuildRankerSamples(Strict):
    """Candidates of history=valid with features, labelled by the valid targets, into ranker_samples."""

    data: Path = Field(description="folder of the dataset, whose valid split has the labels")
    candidates: Path = Field(description="folder of build_candidates history=valid")
    features: Path = Field(description="folder of build_features history=valid")
    output: Path = Field(description="folder of the samples; each run adds a version")
    valid_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="share of the users that early stopping looks at")
    seed: Seed = Field(42, description="of the hash that chooses these users")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        return ("data", "candidates", "features")

    def writes(self) -> str | None:
        return "output"
