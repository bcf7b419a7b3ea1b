"""Where rows go in each store, and how they are written there. Publications, dumps and rehearsals use the same destinations."""

from dataclasses import dataclass
from typing import Literal

from seqrec.catalogue.item_fields import ItemFields, read_item_fields
from seqrec.settings.stores import Milvus, Mongo
from seqrec.stores.milvus_alias import MilvusAlias, MilvusServer
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo_collection import MongoCollection, MongoServer
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.open_stores import OpenStores


@dataclass(frozen=True, kw_only=True)
class MongoDestination:
    """A collection of a MongoDB server, and how documents get there; the mode auto swaps where that is safe, else upserts."""

    server: MongoServer
    database: str
    collection: str
    mode: Literal["auto", "swap", "upsert"]
    batching: Batching
    fields: ItemFields | None = None  # that each item of a list carries

    def open(self) -> MongoCollection:
        """The collection; UserError if MongoDB refuses its name."""
        return self.server.collection(self.database, self.collection)


@dataclass(frozen=True, kw_only=True)
class MilvusDestination:
    """An alias of a Milvus server, and how embeddings get there: `keep` collections stay, `writers` tasks write at a time."""

    server: MilvusServer
    alias: str
    index: Index
    keep: int
    writers: int

    def open(self) -> MilvusAlias:
        """The alias; UserError if Milvus refuses its name."""
        return self.server.alias(self.alias)


@dataclass(frozen=True, kw_only=True)
class Destinations:
    """Where a version goes; None for a store that is left out."""

    mongodb: MongoDestination | None = None
    milvus: MilvusDestination | None = None


def destinations_of(stores: OpenStores, *, mongo: Mongo | None = None, milvus: Milvus | None = None) -> Destinations:
    """The destinations that a job's settings name in the open stores; a store without settings is left out."""
    return Destinations(
        mongodb=None if stores.mongodb is None or mongo is None else to_mongodb(stores.mongodb, mongo),
        milvus=None if stores.milvus is None or milvus is None else to_milvus(stores.milvus, milvus),
    )


def to_mongodb(server: MongoServer, settings: Mongo) -> MongoDestination:
    """The collection that the settings name; UserError if its fields of items can't be read."""
    table = settings.item_table
    fields = None if table is None else read_item_fields(table, settings.item_columns, key=settings.item_key)
    batching = Batching(writers=settings.writers, batch_size=settings.batch_size)
    return MongoDestination(
        server=server,
        database=settings.database,
        collection=settings.collection,
        mode=settings.mode,
        batching=batching,
        fields=fields,
    )


def to_milvus(server: MilvusServer, settings: Milvus) -> MilvusDestination:
    """The alias that the settings name."""
    index = Index(kind=settings.index, params=settings.index_params, metric=settings.metric)
    return MilvusDestination(server=server, alias=settings.alias, index=index, keep=settings.keep, writers=settings.writers)
