"""How MongoDB and Milvus are written."""

from typing import Literal

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path, Positive


class Mongo(Strict):
    """How MongoDB is written."""

    database: Path = Field("seqrec", description="database")
    collection: Path = Field("recommendations", description="collection")
    mode: Literal["auto", "swap", "upsert"] = Field("auto", description="auto: swap, or upsert where a rename isn't safe")
    writers: Positive = Field(8, description="most partitions that write at a time")
    batch_size: Positive = Field(1000, description="documents in a bulk write")


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
