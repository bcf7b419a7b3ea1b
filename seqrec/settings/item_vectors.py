"""The settings of vectors of items that a training takes."""

from typing import Any, Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Path


class ItemVectorFile(Strict):
    """Vectors of items, such as those of embed_items."""

    path: str | None = Field(
        None, description="folder of embed_items, a table or file of item_id and embedding, or a .npy; null: no vectors"
    )
    ids: str | None = Field(None, description="of a .npy: the file with its ids, one a line (.txt), a .npy, or a table")
    id: str | None = Field(None, description="column of the item's id; null: found by its name")
    embedding: Path = Field("embedding", description="column of the vectors: lists of numbers, or text such as [0.1, 0.2]")
    use: Literal["project", "initialise"] = Field(
        "project", description="project: a row is a free part and a learned projection; initialise: rows begin at the vectors"
    )

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, value: Any) -> Any:
        """A path alone is enough: item_vectors=FOLDER."""
        return {"path": value} if isinstance(value, str) else value
