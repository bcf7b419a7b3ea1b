"""The settings of evaluate."""

from typing import Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path, Positive, Seed

SAVED = 10  # items of a saved list where nothing else is said


class Evaluate(Strict):
    """A model or a scored table against held-out items."""

    data: Path = Field(description="folder of the dataset")
    model: str | None = Field(None, description="folder of the model; null: table or the baselines alone")
    onnx: bool = Field(
        False, description="evaluate the current export of model, or MODEL/exports/RUN_ID, instead of a checkpoint"
    )
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    table: str | None = Field(None, description="output of batch_recommend with this split's history; instead of model")
    candidates: str | None = Field(None, description="output of build_candidates with this split's history; instead of model")
    compared: dict[str, Path | None] = Field(
        {},
        description="further lists of the same users: compared.NAME is an output of batch_recommend or build_candidates",
    )
    cutoffs: list[Positive] = Field([1, 5, 10, 20, 50, 100], min_length=1, description="places down to which lists are measured")
    output: str | None = Field(None, description="folder for metrics.json and predictions; null: the screen alone")
    split: Literal["valid", "test"] = Field("test", description="valid or test")
    sample_users: Positive | None = Field(None, description="a seeded sample of that many users; null: all")
    save_predictions: bool = Field(False, description="write the predictions beside the targets to output")
    predictions_k: ListLength = Field(SAVED, description="items of each list that save_predictions writes")
    popularity: bool = Field(False, description="also evaluate popularity")
    markov: bool = Field(False, description="also evaluate first-order Markov")
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    seed: Seed = Field(42, description="of the sample")
    keep: Positive = Field(5, description="newest versions that stay")

    @model_validator(mode="after")
    def _something_to_do(self) -> "Evaluate":
        """There is something to evaluate, and table and candidates exclude each other."""
        lists = self.model or self.table or self.candidates
        if not (lists or self.popularity or self.markov):
            raise ValueError("nothing to evaluate: set model, table, candidates, popularity or markov")
        if self.save_predictions and not (self.output and lists):
            raise ValueError("save_predictions needs output=FOLDER, and a model, a table or candidates")
        if self.predictions_k != SAVED and not self.save_predictions:
            raise ValueError("predictions_k says how many items save_predictions=true writes: set that too")
        if self.table and self.candidates:
            raise ValueError("table and candidates are two things to evaluate: set one of them to null")
        if any(self.compared.values()) and not lists:
            raise ValueError("compared needs what is compared with: set model, table or candidates")
        if taken := sorted({"popularity", "markov"} & self.compared.keys()):
            raise ValueError(f"compared.{taken[0]}: a baseline has that name, take another")
        if self.onnx and self.model is None:
            raise ValueError("onnx=true needs model=FOLDER")
        return self
