"""What goes into each store, checked, and the steps by which it gets there.

Both stores are staged, and only then both are switched, MongoDB first; what is stale goes last. Where a store can't stage, the
upsert is the switch.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from seqrec.publishing import guards, journal
from seqrec.settings.publish import Guards
from seqrec.settings.stores import Milvus, Mongo
from seqrec.storage import files
from seqrec.stores import milvus, milvus_place, mongo, mongo_place
from seqrec.stores.checks import check_vectors
from seqrec.stores.milvus_index import Index
from seqrec.stores.targets import MilvusTarget, MongoTarget
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

Steps = dict[str, Callable[[str], Any]]


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version that batch_recommend wrote; whole, if it is of all users and meant for all of a store."""

    path: str
    meta: dict[str, Any]
    whole: bool

    def table(self, name: str) -> str:
        """The path of a table."""
        return files.join(self.path, name)


@dataclass(frozen=True, kw_only=True)
class Documents:
    """The recommendations on their way into a collection."""

    table: DataFrame
    place: mongo_place.Place
    mode: mongo.Mode
    users: int
    whole: bool
    writers: int
    batch_size: int
    flush: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.users} users to {self.place} by {self.mode}"


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The item embeddings on their way into a collection."""

    table: DataFrame
    place: milvus_place.Place
    run_id: str
    items: int
    dim: int
    index: Index
    writers: int

    def __str__(self) -> str:
        return f"{self.items} items of {self.run_id} to {self.place}"


def documents_of(
    spark: SparkSession,
    version: Version,
    target: MongoTarget,
    given: Mongo,
    limits: Guards,
    users: DataFrame | None,
) -> Documents:
    """Act: a version's recommendations, of the given users alone if any; UserError if a guard says no."""
    place = target.place(database=given.database, collection=given.collection)
    mode = mongo.choose_mode(place, given.mode) if version.whole else "upsert"
    kinds, where = version.meta["id_types"], version.table("recommendations")
    table = io.read_table(spark, where, schemas.recommendations(schemas.IDS[kinds["user"]], schemas.IDS[kinds["item"]]))
    guards.check_rows(table, version.meta, "recommendations", path=where)
    if users is not None:
        table = table.join(users, "user_id", "left_semi")
    previous = journal.previous_users(version.path.rsplit("/", 1)[0], str(place)) if version.whole else None
    found = guards.check_recommendations(
        table,
        path=where,
        previous=mongo.largest(place) if previous is None and version.whole else previous,
        wanted=guards.full_length(version.meta),
        limits=limits,
        partial=not version.whole,
    )
    return Documents(
        table=table.withColumnRenamed("user_id", "_id"),
        place=place,
        mode=mode,
        users=found,
        whole=version.whole,
        writers=given.writers,
        batch_size=given.batch_size,
        flush=target.flush,
    )


def vectors_of(spark: SparkSession, version: Version, target: MilvusTarget, given: Milvus) -> Vectors:
    """Act: a version's item embeddings; UserError if Milvus can't take them."""
    place = target.place(alias=given.alias)
    where = version.table("item_embeddings")
    table = io.read_table(spark, where, schemas.item_embeddings(schemas.IDS[version.meta["id_types"]["item"]]))
    guards.check_rows(table, version.meta, "item_embeddings", path=where)
    items, dim = check_vectors(table, place, path=where)
    return Vectors(
        table=table,
        place=place,
        run_id=version.meta["run_id"],
        items=items,
        dim=dim,
        index=index_of(given),
        writers=given.writers,
    )


def index_of(given: Milvus) -> Index:
    """The index that the settings say."""
    return Index(kind=given.index, params=given.index_params, metric=given.metric)


def steps(documents: Documents | None, vectors: Vectors | None, dead: Callable[[str], bool], keep: int) -> Steps:
    """The steps in their order; each takes the publish_id, and does nothing where its effect stands."""
    made: Steps = {}
    if documents and documents.mode == "swap":
        made["MongoDB staged"] = partial(_stage_documents, documents)
    if vectors and vectors.place.aliases:
        made["Milvus staged"] = partial(_stage_vectors, vectors)
    if documents:
        made["MongoDB switched"] = partial(_switch_documents, documents)
    if vectors:
        made["Milvus switched"] = partial(_switch_vectors, vectors)
    if documents:
        made["MongoDB cleared"] = partial(_clear_documents, documents, dead)
    if vectors:
        made["Milvus cleared"] = partial(_clear_vectors, vectors, dead, keep)
    return made


def _stage_documents(to: Documents, publish_id: str) -> None:
    mongo.stage(to.table, to.place, publish_id=publish_id, rows=to.users, writers=to.writers, batch_size=to.batch_size)


def _switch_documents(to: Documents, publish_id: str) -> None:
    if to.mode == "swap":
        mongo.switch(to.place, publish_id=publish_id)
        return
    written = mongo.upsert(to.table, to.place, publish_id=publish_id, rows=to.users, writers=to.writers, batch_size=to.batch_size)
    to.flush()
    if written.newer:
        log.info("%d users keep the document of a newer publication", written.newer)


def _clear_documents(to: Documents, dead: Callable[[str], bool], publish_id: str) -> None:
    if to.mode == "upsert" and to.whole:
        mongo.remove_older(to.place, publish_id=publish_id)
    mongo.remove_stagings(to.place, dead=dead)
    to.flush()


def _stage_vectors(to: Vectors, publish_id: str) -> None:
    milvus.stage(
        to.table,
        to.place,
        run_id=to.run_id,
        publish_id=publish_id,
        items=to.items,
        dim=to.dim,
        index=to.index,
        writers=to.writers,
    )


def _switch_vectors(to: Vectors, publish_id: str) -> None:
    if to.place.aliases:
        milvus.switch(to.place, publish_id=publish_id)
    else:
        milvus.upsert(to.table, to.place, run_id=to.run_id, dim=to.dim, index=to.index)


def _clear_vectors(to: Vectors, dead: Callable[[str], bool], keep: int, publish_id: str) -> None:
    if to.place.aliases:
        milvus.remove_collections(to.place, publish_id=publish_id, keep=keep, dead=dead)
    else:
        milvus.remove_stale(to.place, run_id=to.run_id, items=to.items)
