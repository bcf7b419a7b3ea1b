"""A checked table on its way into one store, and the order in which several stores take theirs.

    for name, step in steps([documents, vectors]):
        step(publish_id)

All stores are staged before the first is switched, so that a publication that fails in its long part changes nothing. Then all
are switched, MongoDB first. Stale rows are removed last. A store that can't stage is written in its switch.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame

from seqrec.command.screen import counted
from seqrec.stores import milvus, mongo
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo_collection import MongoCollection
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.vectors import Embeddings

log = logging.getLogger("seqrec")


class Delivery(Protocol):
    """The verbs of every store's delivery; a verb with a publish_id does nothing if its effect is there already.

    Its str names the rows and the destination, for the log.
    """

    @property
    def store(self) -> str:
        """The store's name in the names of steps."""

    @property
    def address(self) -> str:
        """The server and the collection, as the journal names them."""

    @property
    def is_staged(self) -> bool:
        """Whether the store can hold the new rows beside the old ones; else `stage` isn't called."""

    def try_to_write(self) -> None:
        """Raise UserError if the store would refuse the rows."""

    def newest_publication(self) -> str | None:
        """The newest publish_id in the store; None if there is none."""

    def stage(self, publish_id: str) -> None:
        """Write the rows where readers don't see them."""

    def switch(self, publish_id: str) -> None:
        """Let readers see the rows."""

    def clear(self, publish_id: str) -> None:
        """Remove the rows of older publications."""


def steps(deliveries: Sequence[Delivery]) -> Iterator[tuple[str, Callable[[str], None]]]:
    """The names of the steps and the verbs, in their order: stage all, then switch all, then clear all."""
    for delivery in deliveries:
        if delivery.is_staged:
            yield f"{delivery.store} staged", delivery.stage
    for delivery in deliveries:
        yield f"{delivery.store} switched", delivery.switch
    for delivery in deliveries:
        yield f"{delivery.store} cleared", delivery.clear


@dataclass(frozen=True, kw_only=True)
class DocumentDelivery:
    """A table with the key _id on its way into a MongoDB collection; `whole` if it replaces all documents there.

    `is_dead` tells whether the rows that were staged under a publish_id will never be used.
    """

    table: DataFrame
    rows: int
    collection: MongoCollection
    mode: mongo.Mode
    batching: Batching
    whole: bool
    is_dead: Callable[[str], bool]
    carried: str = ""  # in words, the fields that items carry

    store = "MongoDB"

    def __str__(self) -> str:
        return f"{counted(self.rows, 'user')} to {self.address} by {self.mode}"

    @property
    def address(self) -> str:
        """The server, the collection and the fields of items: a publication with others doesn't go on with this one's rows."""
        return f"{self.collection}, with {self.carried}" if self.carried else str(self.collection)

    @property
    def is_staged(self) -> bool:
        """Whether the mode is swap; an upsert isn't staged."""
        return self.mode == "swap"

    def try_to_write(self) -> None:
        """Try the rights that the mode needs."""
        mongo.try_to_write(self.collection, self.mode)

    def newest_publication(self) -> str | None:
        """The publish_id of the newest document."""
        return mongo.newest_publication(self.collection)

    def stage(self, publish_id: str) -> None:
        """Fill a staging collection."""
        mongo.stage(self.collection, self.table, publish_id=publish_id, rows=self.rows, batching=self.batching)

    def switch(self, publish_id: str) -> None:
        """Rename the staging collection, or upsert."""
        if self.mode == "swap":
            mongo.switch(self.collection, publish_id=publish_id)
            return
        upserted = mongo.upsert(self.collection, self.table, publish_id=publish_id, rows=self.rows, batching=self.batching)
        self.collection.server.flush()
        if upserted.newer:
            log.info("%s users keep the document of a newer publication", f"{upserted.newer:,}")

    def clear(self, publish_id: str) -> None:
        """Remove the documents that a whole upsert left behind, and dead staging collections."""
        if self.mode == "upsert" and self.whole:
            mongo.remove_older(self.collection, publish_id=publish_id)
        mongo.remove_stagings(self.collection, is_dead=self.is_dead)
        self.collection.server.flush()


@dataclass(frozen=True, kw_only=True)
class VectorDelivery:
    """A table of embeddings on its way behind a Milvus alias; on Milvus Lite, which has none, into the collection of that name.

    `is_dead` tells whether the rows that were staged under a publish_id will never be used.
    """

    embeddings: Embeddings
    alias: MilvusAlias
    run_id: str
    index: Index
    keep: int
    writers: int
    is_dead: Callable[[str], bool]

    store = "Milvus"

    def __str__(self) -> str:
        return f"{counted(self.embeddings.rows, 'item')} of {self.run_id} to {self.alias}"

    @property
    def address(self) -> str:
        """The server and the alias."""
        return str(self.alias)

    @property
    def is_staged(self) -> bool:
        """Whether the server has aliases."""
        return self.alias.server.aliases

    def try_to_write(self) -> None:
        """Try a collection with this index."""
        milvus.try_to_write(self.alias, dim=self.embeddings.dim, index=self.index)

    def newest_publication(self) -> str | None:
        """The publish_id of the alias's collection."""
        return milvus.newest_publication(self.alias)

    def stage(self, publish_id: str) -> None:
        """Fill, index and load the publication's collection."""
        milvus.stage(
            self.alias, self.embeddings, publish_id=publish_id, run_id=self.run_id, index=self.index, writers=self.writers
        )

    def switch(self, publish_id: str) -> None:
        """Switch the alias to that collection, or upsert."""
        if self.is_staged:
            milvus.switch(self.alias, publish_id=publish_id)
        else:
            milvus.upsert(self.alias, self.embeddings, run_id=self.run_id, index=self.index)

    def clear(self, publish_id: str) -> None:
        """Drop older collections, or remove the rows that the upsert left behind."""
        if self.is_staged:
            milvus.remove_collections(self.alias, publish_id=publish_id, keep=self.keep, is_dead=self.is_dead)
        else:
            milvus.remove_other_runs(self.alias, run_id=self.run_id, rows=self.embeddings.rows)
