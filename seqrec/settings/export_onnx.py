"""The settings of export_onnx."""

from typing import Annotated

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive, checkpoint_read


class ExportOnnx(Strict):
    """A checkpoint into encoder.onnx, item_matrix.npy, item_embeddings and meta.json."""

    data: Path = Field(description="folder of the dataset; its sequences check the parity")
    model: Path = Field(description="folder of the model")
    output: str | None = Field(
        None, min_length=1, description="another folder, which becomes an export; null: a version in MODEL/exports"
    )
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    opset: Annotated[int, Field(ge=18)] = Field(18, description="ONNX opset")
    parity_users: Positive = Field(256, description="users whose sequences are compared")
    parity_tolerance: Annotated[float, Field(gt=0)] = Field(
        1e-4, description="largest difference, relative to the query's largest value"
    )
    keep: Positive = Field(5, description="newest exports that stay")

    def reads(self) -> tuple[str, ...]:
        return ("data", "model", *checkpoint_read(self.checkpoint))

    def writes(self) -> str | None:
        return "output" if self.output else "model/exports"
