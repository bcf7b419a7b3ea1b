"""The settings of publish."""

from pydantic import Field

from seqrec.command.config import Stores, Strict
from seqrec.settings import Path, Share
from seqrec.settings.stores import Milvus, Mongo


class Guards(Strict):
    """What stops a publication before anything is switched."""

    max_user_loss: Share = Field(0.1, description="share of the last publication's users that may be missing")
    max_empty_share: Share = Field(0.1, description="share of users whose list may be empty")
    max_short_share: Share = Field(
        0.5, description="share of users whose list may be shorter than half of top_k, or of the items there are"
    )
    max_popular_share: Share = Field(0.5, description="share of users that get the popular list")
    any_history: bool = Field(
        False, description="publish lists of history=valid or test too, which leave out what users had last, for evaluation"
    )


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

    def reads(self) -> tuple[str, ...]:
        return ("output", "users", "mongo.item_table")

    def writes(self) -> str | None:
        return None
