"""What export_onnx, batch_recommend, publish and evaluate can be told."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqrec.config import Stores, Strict
from seqrec.settings import History, ListLength, Path, Positive, Seed, Share


class ExportOnnx(Strict):
    """A checkpoint into encoder.onnx, item_matrix.npy, item_embeddings and meta.json."""

    data: Path = Field(description="folder of the dataset; its sequences check the parity")
    model: Path = Field(description="folder of the model")
    checkpoint: Path = Field("best", description="best, last, or the path of a checkpoint")
    opset: Annotated[int, Field(ge=18)] = Field(18, description="ONNX opset")
    parity_users: Positive = Field(256, description="users whose sequences are compared")
    parity_tolerance: Annotated[float, Field(gt=0)] = Field(
        1e-4, description="largest difference, relative to the query's largest value"
    )
    keep: Positive = Field(5, description="newest exports that stay")


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


class Guards(Strict):
    """What stops a publication before anything is switched."""

    max_user_loss: Share = Field(0.1, description="share of the last publication's users that may be missing")
    max_empty_share: Share = Field(0.1, description="share of users whose list may be empty")
    max_short_share: Share = Field(
        0.5, description="share of users whose list may be shorter than half of top_k, or of the items there are"
    )
    max_popular_share: Share = Field(0.5, description="share of users that get the popular list")


class Publish(Strict):
    """A version of recommendations and item embeddings into MongoDB and Milvus."""

    output: Path = Field(description="folder that batch_recommend wrote")
    version: str | None = Field(None, description="run id; null: the current version")
    users: list[str] | str | None = Field(None, description="only these users: a list, or a table or text file of ids")
    dry_run: bool = Field(False, description="check everything, write nothing")
    mongo: Mongo = Mongo()
    milvus: Milvus = Milvus()
    guards: Guards = Guards()
    stores: Stores


class BatchRecommend(Strict):
    """Sequences and a model into recommendations, then into the stores."""

    data: Path = Field(description="folder of the dataset")
    model: Path = Field(description="folder of the model, whose current export is taken, or MODEL/exports/RUN_ID")
    output: Path = Field(description="folder of the output; each run adds a version")
    history: History = Field("full", description="full, or the input of valid or test")
    users: list[str] | str | None = Field(None, description="only these users: a list, or a table or text file of ids")
    filter_seen: bool = Field(True, description="leave out what the user has had in the whole history")
    allow: str | None = Field(None, description="file or table with the only items to recommend (column item_id)")
    deny: str | None = Field(None, description="file or table with items never to recommend (column item_id)")
    top_k: ListLength = Field(100, description="items a user")
    write: list[Literal["recommendations", "user_embeddings"]] = Field(
        ["recommendations"], min_length=1, description="tables to write: recommendations, user_embeddings"
    )
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    publish: bool = Field(True, description="false: write the tables only")
    keep: Positive = Field(5, description="newest versions that stay")
    mongo: Mongo = Mongo()
    milvus: Milvus = Milvus()
    guards: Guards = Guards()
    stores: Stores

    @model_validator(mode="after")
    def _something_to_publish(self) -> "BatchRecommend":
        if self.publish and "recommendations" not in self.write:
            raise ValueError("publish=true needs recommendations in write; add it, or set publish=false")
        return self


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
    cutoffs: list[Positive] = Field([1, 5, 10, 20, 50, 100], min_length=1, description="places down to which lists are measured")
    output: str | None = Field(None, description="folder for metrics.json and predictions; null: the screen alone")
    split: Literal["valid", "test"] = Field("test", description="valid or test")
    sample_users: Positive | None = Field(None, description="a seeded sample of that many users; null: all")
    save_predictions: bool = Field(False, description="write the predictions beside the targets to output")
    popularity: bool = Field(False, description="also evaluate popularity")
    markov: bool = Field(False, description="also evaluate first-order Markov")
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    seed: Seed = Field(42, description="of the sample")
    keep: Positive = Field(5, description="newest versions that stay")

    @model_validator(mode="after")
    def _something_to_do(self) -> "Evaluate":
        lists = self.model or self.table or self.candidates
        if not (lists or self.popularity or self.markov):
            raise ValueError("nothing to evaluate: set model, table, candidates, popularity or markov")
        if self.save_predictions and not (self.output and lists):
            raise ValueError("save_predictions needs output=FOLDER, and a model, a table or candidates")
        if self.table and self.candidates:
            raise ValueError("table and candidates are two things to evaluate: set one of them to null")
        if self.onnx and self.model is None:
            raise ValueError("onnx=true needs model=FOLDER")
        return self
