"""Rows of a table as documents in MongoDB; the table's column _id is the key.

Every document carries the publish_id of its publication. A swap fills a staging collection and renames it over the live one,
which readers see at once. An upsert replaces documents one by one, except those of a newer publication, and older ones are
removed at the end. Both can be run again from any point: tasks may be retried or speculated.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from pyspark.sql import DataFrame

from seqrec.errors import UserError
from seqrec.stores.mongo_collection import STAGING, DriverCollection, MongoCollection, connected, persistent
from seqrec.stores.mongo_rows import Batching, insert, read_and_replace_older, replace_older, write_rows
from seqrec.stores.store_errors import EITHER, MIXED, NOT_CLEARED

Mode = Literal["swap", "upsert"]


@dataclass(frozen=True, kw_only=True)
class Upserted:
    """The result of an upsert: the documents of this publication, and the newer ones of others that were left alone."""

    documents: int
    newer: int


def choose_mode(collection: MongoCollection, mode: Literal["auto", "swap", "upsert"]) -> Mode:
    """How to write: for auto a swap if it is safe, else an upsert; otherwise the mode itself. UserError for an unsafe swap."""
    if mode == "upsert":
        return "upsert"
    reason = "" if collection.server.renames else "the embedded server loses renamed collections at its next start"
    if not reason and collection.server.mongod and _is_sharded(collection):
        reason = "a sharded collection can't be renamed"
    if reason and mode == "swap":
        raise UserError(f"mode=swap: {reason} ({collection}); set the mode to auto or upsert")
    return "upsert" if reason else "swap"


@persistent
def try_to_write(collection: MongoCollection, mode: Mode) -> None:
    """Try the operations that a publication needs, without changing a document: UserError if the server refuses them.

    For a swap a staging collection is made and dropped; for an upsert a document that doesn't exist is updated and deleted.
    """
    with connected(collection, f"a trial of the rights to write by {mode} failed") as live:
        if mode == "swap":
            trial = live.database[f"{_staging(collection, 'trial')}-{secrets.token_hex(4)}"]
            trial.insert_one({"_id": "trial"})
            trial.drop()
        else:
            no_document = {"_id": f"seqrec trial {secrets.token_hex(8)}"}
            live.update_one(no_document, {"$set": {"publish_id": ""}})
            live.delete_one(no_document)


@persistent
def newest_publication(collection: MongoCollection) -> str | None:
    """The publish_id of the newest document; None if no document was published."""
    with connected(collection, "reading failed") as live:
        newest = live.find_one({"publish_id": {"$gte": ""}}, {"publish_id": 1}, sort=[("publish_id", -1)])
        return None if newest is None else str(newest["publish_id"])


@persistent
def largest_publication(collection: MongoCollection) -> int:
    """The number of documents of the largest publication in the collection; those without a publish_id count as a publication.

    An upsert that was killed leaves the documents of two publications side by side: their sum isn't the size of a publication.
    """
    with connected(collection, "counting failed") as live:
        publications = (None, *live.distinct("publish_id"))
        return max((live.count_documents({"publish_id": publish_id}) for publish_id in publications), default=0)


@persistent
def stage(collection: MongoCollection, table: DataFrame, *, publish_id: str, rows: int, batching: Batching) -> None:
    """Act: fill, index and count the publication's staging collection; nothing happens if it is whole or switched already.

    It gets the live collection's options and indexes. UserError if it doesn't hold one document a row in the end.
    """
    with connected(collection, "staging failed") as live:
        staged = live.database[_staging(collection, publish_id)]
        if live.count_documents({"publish_id": publish_id}) == rows:
            return
        if staged.name not in live.database.list_collection_names():
            live.database.create_collection(staged.name, **live.options())
        if staged.count_documents({}) != rows:
            write_rows(replace(collection, name=staged.name), table, insert, publish_id=publish_id, batching=batching)
        count = staged.count_documents({})
        if count != rows:
            staged.drop()
            raise UserError(f"{collection}: {count} documents were staged for {rows} rows: run it again; the old ones stand")
    with connected(collection, "indexing the staged documents failed", bulk=True) as live:
        _index(live.database[_staging(collection, publish_id)], live)


@persistent
def switch(collection: MongoCollection, *, publish_id: str) -> None:
    """Rename the staging collection over the live one, unless that was done. UserError if a newer publication is live."""
    newest = newest_publication(collection)
    if newest == publish_id:
        return
    if newest is not None and newest > publish_id:
        raise UserError(f"{collection}: the newer publication {newest} stands, so {publish_id} wasn't put in its place")
    with connected(collection, "the switch failed", state=EITHER) as live:
        live.database[_staging(collection, publish_id)].rename(collection.name, dropTarget=True)


@persistent
def upsert(collection: MongoCollection, table: DataFrame, *, publish_id: str, rows: int, batching: Batching) -> Upserted:
    """Act: write each document unless one of a newer publication is there; nothing happens if all are written already.

    UserError if a document of an older publication is left where one of these rows belongs.
    """
    with connected(collection, "indexing failed", bulk=True) as live:
        live.create_index("publish_id")
    with connected(collection, "writing failed", state=MIXED) as live:
        if live.count_documents({"publish_id": publish_id}) == rows:
            return Upserted(documents=rows, newer=0)
        write = replace_older if collection.server.mongod else read_and_replace_older
        newer = write_rows(collection, table, write, publish_id=publish_id, batching=batching)
        upserted = Upserted(documents=live.count_documents({"publish_id": publish_id}), newer=newer)
    if upserted.documents + newer < rows:
        raise UserError(f"{collection}: {upserted.documents} documents stand for {rows} rows, beside older ones: run it again")
    return upserted


@persistent
def remove_older(collection: MongoCollection, *, publish_id: str) -> int:
    """Remove the documents of older publications, and those without a publish_id; return their number."""
    with connected(collection, "removing older documents failed", state=NOT_CLEARED, bulk=True) as live:
        return live.delete_many({"publish_id": {"$not": {"$gte": publish_id}}}).deleted_count


@persistent
def remove_stagings(collection: MongoCollection, *, is_dead: Callable[[str], bool]) -> None:
    """Drop the staging collections of publications that will never be continued."""
    prefix = _staging(collection, "")
    with connected(collection, "removing stagings failed", state=NOT_CLEARED) as live:
        for name in live.database.list_collection_names():
            if name.startswith(prefix) and is_dead(name.removeprefix(prefix)):
                live.database.drop_collection(name)


@persistent
def find_documents(collection: MongoCollection, ids: list[Any]) -> list[dict[str, Any]]:
    """The documents with these ids, in the order of the ids; an id without a document is left out."""
    with connected(collection, "reading failed") as live:
        by_id = {document["_id"]: document for document in live.find({"_id": {"$in": ids}})}
    return [by_id[key] for key in ids if key in by_id]


@persistent
def first_documents(collection: MongoCollection, number: int, *, source: str | None = None) -> list[dict[str, Any]]:
    """The first documents in the order of their ids, of all sources or of one."""
    with connected(collection, "reading failed") as live:
        return list(live.find({} if source is None else {"source": source}, sort=[("_id", 1)], limit=number))


def _index(staged: DriverCollection, live: DriverCollection) -> None:
    """Give the staging collection the indexes of the live one, and one on publish_id."""
    for name, index in live.index_information().items():
        if name != "_id_":
            staged.create_index(index["key"], name=name, **{k: v for k, v in index.items() if k not in ("key", "v", "ns")})
    staged.create_index("publish_id")


def _staging(collection: MongoCollection, publish_id: str) -> str:
    """The name of a publication's staging collection."""
    return f"{collection.name}{STAGING}{publish_id}"


def _is_sharded(collection: MongoCollection) -> bool:
    """Whether the server is a router, and the collection lies on several shards."""
    with connected(collection, "can't be asked whether it is sharded") as live:
        hello = live.database.client.admin.command("hello")
        if hello.get("msg") != "isdbgrid" or collection.name not in live.database.list_collection_names():
            return False
        return bool(live.database.command("collStats", collection.name).get("sharded"))
