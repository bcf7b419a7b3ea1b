"""How MongoDB and Milvus are written."""

from typing import Literal

from pydantic import Field, model_validator

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive

ENTRY_FIELDS = ("item_id", "score", "model_score", "because")  # of an item in a list


class Mongo(Strict):
    """How MongoDB is written."""

    database: Path = Field("seqrec", description="database")
    collection: Path = Field("recommendations", description="collection")
    mode: Literal["auto", "swap", "upsert"] = Field("auto", description="auto: swap, or upsert where a rename isn't safe")
    writers: Positive = Field(8, description="most partitions that write at a time")
    batch_size: Positive = Field(1000, description="documents in a bulk write")
    item_table: str | None = Field(
        None, min_length=1, description="a file of items (CSV, JSON lines, Parquet), or build_features' folder, for item_columns"
    )
    item_columns: list[Path] = Field(
        [],
        description="its columns that each item of a list carries, e.g. [title, year]; [title=name] calls the column name title",
    )
    item_key: str | None = Field(None, min_length=1, description="its column of the items' ids; null: found by its name")

    @model_validator(mode="after")
    def _columns_of_a_table(self) -> "Mongo":
        """Columns and their table come together; fields have names of their own that MongoDB takes."""
        if bool(self.item_columns) != bool(self.item_table):
            raise ValueError("item_table=FILE and item_columns=[title] say together what the items of a list carry: set both")
        if self.item_key and not self.item_table:
            raise ValueError("item_key is a column of item_table=FILE: set that too")
        names = [column.partition("=")[0] for column in self.item_columns]
        for name in names:
            if name in ("", *ENTRY_FIELDS) or "." in name or name.startswith("$") or names.count(name) > 1:
                raise ValueError(f"item_columns: {name!r} can't be a further field of an item: take others, or FIELD=COLUMN")
        return self


class Milvus(Strict):
    """How Milvus is written."""

    alias: Path = Field("item_embeddings", description="alias that searches use; collections are ALIAS__PUBLISH_ID")
    index: Path = Field("AUTOINDEX", description="index type, such as HNSW, IVF_FLAT, FLAT")
    index_params: dict[str, int] = Field({}, description="parameters of the index, e.g. index_params.M=16")
    metric: Literal["IP", "COSINE"] = Field(
        "IP", description="IP is what a score is; COSINE is the same where rows have length 1"
    )
    keep: Positive = Field(2, description="collections that stay, the one in use included")
    writers: Positive = Field(4, description="most partitions that write at a time")
