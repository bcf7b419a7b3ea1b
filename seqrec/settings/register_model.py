"""The settings of register_model."""

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import ListLength, Path
from seqrec.settings.rerank import Rerank


class RegisterModel(Strict):
    """An exported model into MLflow, whose server then answers requests for lists."""

    model: Path = Field(description="folder of the model, whose current export is taken, or MODEL/exports/RUN_ID")
    ranker: Path | None = Field(
        None, description="folder of train_ranker: it ranks the candidates of a request's user; the model serves all others"
    )
    candidates: Path | None = Field(None, description="with ranker: folder of build_candidates")
    features: Path | None = Field(None, description="with ranker: folder of build_features")
    rerank: Rerank = Rerank()
    top_k: ListLength = Field(10, description="items of a list where a request doesn't say k")
    experiment: str | None = Field(
        None, min_length=1, description="MLflow's experiment; null: MLFLOW_EXPERIMENT_NAME, else seqrec"
    )
    name: str | None = Field(None, min_length=1, description="registered model that gets a new version; null: none")

    def reads(self) -> tuple[str, ...]:
        return ("model/exports", "ranker", "candidates", "features", "rerank.items.path")

    @model_validator(mode="after")
    def _second_stage(self) -> "RegisterModel":
        """A ranker, candidates and features come together."""
        self.second_stage()
        return self

    def second_stage(self) -> tuple[str, str, str] | None:
        """The folders of candidates, features and ranker; None without them."""
        folders = {"candidates": self.candidates, "features": self.features, "ranker": self.ranker}
        there = [folder for folder in folders.values() if folder is not None]
        if there and len(there) < len(folders):
            lacking = " and ".join(name for name, folder in folders.items() if folder is None)
            raise ValueError(f"a second stage needs ranker, candidates and features: set {lacking}, or none")
        return (there[0], there[1], there[2]) if there else None
