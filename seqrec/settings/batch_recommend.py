"""The settings of batch_recommend."""

from typing import Literal

from pydantic import Field, model_validator

from seqrec.command.config import Stores, Strict
from seqrec.settings import History, ListLength, Path, Positive
from seqrec.settings.publish import Guards
from seqrec.settings.rerank import Rerank
from seqrec.settings.stores import Milvus, Mongo

ID_FILES = ("users", "allow", "deny", "exclude", "rerank.items.path", "user_table", "mongo.item_table")  # keys of files of ids


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
    exclude: str | None = Field(None, description="CSV or table with items that a user never gets (user_id, item_id)")
    top_k: ListLength = Field(100, description="items a user")
    horizon: ListLength | None = Field(
        None, description="also the next items a user, so many, in their order, each after those before it (next_items)"
    )
    explain: Positive | None = Field(
        None, description="also, with each item, at most so many items of the history that speak most for it (because)"
    )
    explain_by: Literal["vectors", "drop"] = Field(
        "vectors",
        description="with explain, by what: vectors (likeness of items' vectors), or drop (loss of score without the item; slow)",
    )
    write: list[Literal["recommendations", "user_embeddings"]] = Field(
        ["recommendations"], min_length=1, description="tables to write: recommendations, user_embeddings"
    )
    ranker: Path | None = Field(
        None, description="folder of train_ranker: it ranks each user's candidates; the model then serves users without any"
    )
    candidates: Path | None = Field(None, description="with ranker: folder of build_candidates with this history")
    features: Path | None = Field(None, description="with ranker: folder of build_features with this history")
    rerank: Rerank = Rerank()
    popular_by: str | None = Field(
        None,
        min_length=1,
        description="column of user_table, such as country: users without a history, and rerank.fill, get what is popular there",
    )
    user_table: str | None = Field(
        None, min_length=1, description="a file of users (CSV, JSON lines, Parquet), or build_features' folder, for popular_by"
    )
    user_key: str | None = Field(None, min_length=1, description="its column of the users' ids; null: found by its name")
    batch_size: Positive = Field(256, description="most users in a run of the encoder and in a product with the item matrix")
    block_items: Positive = Field(16384, description="items in a block of the catalogue; bounds the memory")
    publish: bool = Field(True, description="false: write the tables only")
    keep: Positive = Field(5, description="newest versions that stay")
    mongo: Mongo = Mongo()
    milvus: Milvus = Milvus()
    guards: Guards = Guards()
    stores: Stores

    def reads(self) -> tuple[str, ...]:
        return ("data", "model/exports", "ranker", "candidates", "features", *ID_FILES)

    def writes(self) -> str | None:
        return "output"

    @model_validator(mode="after")
    def _something_to_publish(self) -> "BatchRecommend":
        """publish=true and a horizon need the lists."""
        if self.publish and "recommendations" not in self.write:
            raise ValueError("publish=true needs recommendations in write; add it, or set publish=false")
        shown = self.publish and self.stores.mongodb_uri.get_secret_value() != "none"
        if shown and self.history != "full" and not self.guards.any_history:
            raise ValueError(
                f"history={self.history} leaves out what users had last, for evaluation, and publish=true would show them these "
                "lists: set publish=false, or guards.any_history=true if that is meant"
            )
        if self.horizon is not None and "recommendations" not in self.write:
            raise ValueError(f"horizon={self.horizon} needs recommendations in write: their table has the next items")
        return self

    @model_validator(mode="after")
    def _segments_of_a_table(self) -> "BatchRecommend":
        """A column and its table come together, and are of lists."""
        if bool(self.popular_by) != bool(self.user_table):
            raise ValueError("popular_by=COLUMN and user_table=FILE say together what users without a history get: set both")
        if self.user_key and not self.user_table:
            raise ValueError("user_key is a column of user_table=FILE: set that too")
        if self.popular_by and "recommendations" not in self.write:
            raise ValueError("popular_by needs recommendations in write: it is about their popular lists")
        return self

    @model_validator(mode="after")
    def _lists_to_rerank(self) -> "BatchRecommend":
        """Rules are of lists, and are chosen from at least as many items."""
        rules = self.rerank.rules()
        if rules is None:
            return self
        if "recommendations" not in self.write:
            raise ValueError("rerank needs recommendations in write: their lists are put in order")
        if self.rerank.pool is not None and self.rerank.pool < self.top_k:
            raise ValueError(f"rerank.pool={self.rerank.pool}: a list has top_k={self.top_k} items, so take at least as many")
        for quota in rules.quotas:
            if quota.least > self.top_k:
                raise ValueError(
                    f"rerank.quotas.{quota.name}.least={quota.least}: a list has top_k={self.top_k} items, so take fewer"
                )
        return self

    @model_validator(mode="after")
    def _something_to_explain(self) -> "BatchRecommend":
        """Explanations stand in the lists; the way to explain needs a number."""
        if self.explain is not None and "recommendations" not in self.write:
            raise ValueError(f"explain={self.explain} needs recommendations in write: their table has the explanations")
        if self.explain is None and "explain_by" in self.model_fields_set:
            raise ValueError(f"explain_by={self.explain_by} has no effect without explain: set explain=3 too, or leave it out")
        return self

    @model_validator(mode="after")
    def _second_stage(self) -> "BatchRecommend":
        """A ranker, candidates and features come together, and rank lists of items that the user hasn't had, alone."""
        given = {"ranker": self.ranker, "candidates": self.candidates, "features": self.features}
        lacking = [name for name, folder in given.items() if folder is None]
        if len(lacking) == len(given):
            return self
        if lacking:
            raise ValueError(f"a second stage needs ranker, candidates and features: set {' and '.join(lacking)}, or none")
        alone = {"horizon": self.horizon is None, "filter_seen": self.filter_seen, "write": self.write == ["recommendations"]}
        if wrong := [name for name, fits in alone.items() if not fits]:
            raise ValueError(
                f"{' and '.join(wrong)}: a ranker ranks candidates that the user hasn't had, into recommendations alone: leave "
                "it at its default, or run batch_recommend without ranker into another output"
            )
        return self
