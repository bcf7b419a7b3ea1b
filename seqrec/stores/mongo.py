"""Rows of a table as documents in MongoDB, by swap or by upsert; the table's column _id is the key.

Every document carries the publish_id of its publication. A swap fills a staging collection and renames it over the live one,
which readers see at once; an upsert replaces documents one by one, unless a newer publication's stands, and removes the older
ones at the end. Both can be run again from any point: tasks may be retried or speculated.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
from bson import DatetimeMS, Decimal128, Int64
from pymongo import MongoClient, ReadPreference, ReplaceOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.stores.documents import Types, documents, slices
from seqrec.stores.failures import explained

Documents = Collection[dict[str, Any]]
Mode = Literal["swap", "upsert"]

DUPLICATE, NO_COMMAND = 11000, 59
BSON = Types(integer=Int64, date=DatetimeMS, decimal=Decimal128)
STAGING = "__staging__"
TIMEOUT_MS = 10_000


@dataclass(frozen=True, kw_only=True)
class Place:
    """A collection of a server; name shows the server without secrets.

    Mongod is false for the embedded server, which scans for a condition beside an _id; renames is false where a renamed
    collection doesn't last.
    """

    uri: str = field(repr=False)
    name: str
    database: str
    collection: str
    mongod: bool
    renames: bool

    def __str__(self) -> str:
        return f"MongoDB {self.name}, collection {self.database}.{self.collection}"


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a publication did: documents of its own, and newer ones of others that were left alone."""

    documents: int
    newer: int


def try_server(uri: str, *, name: str) -> bool:
    """Try the server, and say whether it is a mongod; UserError if it can't be reached or refuses us.

    A server that doesn't know `hello` is the embedded one, whose renamed collections are gone at its next start.
    """
    with explained(f"MongoDB {name} can't be reached", PyMongoError, ValueError, secrets=(uri,)), _client(uri) as client:
        try:
            client.admin.command("hello")
        except OperationFailure as error:
            if error.code != NO_COMMAND:
                raise
            return False
        return True


def choose_mode(place: Place, mode: Literal["auto", "swap", "upsert"]) -> Mode:
    """The way to write: as asked, or for auto swap where it is safe. UserError for a swap that the server can't do."""
    if mode == "upsert":
        return "upsert"
    reason = "" if place.renames else "the embedded server loses renamed collections at its next start"
    if not reason and place.mongod and _is_sharded(place):
        reason = "a sharded collection can't be renamed"
    if reason and mode == "swap":
        raise UserError(f"mode=swap: {reason} ({place}); set the mode to auto or upsert")
    return "upsert" if reason else "swap"


def newest(place: Place) -> str | None:
    """The publish_id of the newest document, None if there is none that was published."""
    with connected(place, "reading failed") as live:
        found = live.find_one({"publish_id": {"$gte": ""}}, {"publish_id": 1}, sort=[("publish_id", -1)])
        return None if found is None else str(found["publish_id"])


def count(place: Place, publish_id: str | None = None) -> int:
    """Documents in the collection, or those of one publication."""
    with connected(place, "counting failed") as live:
        return live.estimated_document_count() if publish_id is None else live.count_documents({"publish_id": publish_id})


def stage(table: DataFrame, place: Place, *, publish_id: str, rows: int, writers: int, batch_size: int) -> None:
    """Fill, index and count the publication's staging collection; nothing happens if it is whole or switched already.

    It gets the live collection's options and indexes. UserError if it doesn't hold one document a row in the end.
    """
    with connected(place, "staging failed") as live:
        staged = live.database[_staging(place, publish_id)]
        if rows in (staged.count_documents({}), live.count_documents({"publish_id": publish_id})):
            return
        if staged.name not in live.database.list_collection_names():
            live.database.create_collection(staged.name, **live.options())
        _write(table, place, _insert, staged.name, publish_id=publish_id, writers=writers, batch_size=batch_size)
        for name, index in live.index_information().items():
            if name != "_id_":
                staged.create_index(index["key"], name=name, **{k: v for k, v in index.items() if k not in ("key", "v", "ns")})
        staged.create_index("publish_id")
        found = staged.count_documents({})
        if found != rows:
            staged.drop()
            raise UserError(f"{place}: {found} documents were staged for {rows} rows: run it again; the old ones stand")


def switch(place: Place, *, publish_id: str) -> None:
    """Rename the staging collection over the live one; nothing happens if that was done. UserError if a newer one stands."""
    standing = newest(place)
    if standing == publish_id:
        return
    if standing is not None and standing > publish_id:
        raise UserError(f"{place}: the newer publication {standing} stands, so {publish_id} wasn't put in its place")
    with connected(place, "the switch failed") as live:
        live.database[_staging(place, publish_id)].rename(place.collection, dropTarget=True)


def upsert(table: DataFrame, place: Place, *, publish_id: str, rows: int, writers: int, batch_size: int) -> Written:
    """Put each document in place unless a newer publication's is there; nothing happens if all are, UserError if some aren't."""
    with connected(place, "writing failed") as live:
        if live.count_documents({"publish_id": publish_id}) == rows:
            return Written(documents=rows, newer=0)
        live.create_index("publish_id")
        write = _replace if place.mongod else _read_and_replace
        newer = _write(table, place, write, place.collection, publish_id=publish_id, writers=writers, batch_size=batch_size)
        written = Written(documents=live.count_documents({"publish_id": publish_id}), newer=newer)
    if written.documents + newer < rows:
        raise UserError(f"{place}: {written.documents} documents stand for {rows} rows: run it again")
    return written


def remove_older(place: Place, *, publish_id: str) -> int:
    """Remove the documents that older publications left, and those of none; return their number."""
    with connected(place, "removing older documents failed") as live:
        return live.delete_many({"publish_id": {"$not": {"$gte": publish_id}}}).deleted_count


def remove_stagings(place: Place, *, dead: Callable[[str], bool]) -> None:
    """Drop the staging collections of publications that are known to be dead."""
    prefix = _staging(place, "")
    with connected(place, "removing stagings failed") as live:
        for name in live.database.list_collection_names():
            if name.startswith(prefix) and dead(name.removeprefix(prefix)):
                live.database.drop_collection(name)


@contextmanager
def connected(place: Place, what: str) -> Iterator[Documents]:
    """The live collection, on a client that is closed in the end; errors name the place and keep its secrets."""
    with explained(f"{place}: {what}", PyMongoError, secrets=(place.uri,)), _client(place.uri) as client:
        majority, primary = WriteConcern("majority"), ReadPreference.PRIMARY
        yield client.get_database(place.database, read_preference=primary, write_concern=majority)[place.collection]


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri, appname="seqrec", serverSelectionTimeoutMS=TIMEOUT_MS, connectTimeoutMS=TIMEOUT_MS)


def _staging(place: Place, publish_id: str) -> str:
    return f"{place.collection}{STAGING}{publish_id}"


def _is_sharded(place: Place) -> bool:
    with connected(place, "can't be asked whether it is sharded") as live:
        hello = live.database.client.admin.command("hello")
        if hello.get("msg") != "isdbgrid" or place.collection not in live.database.list_collection_names():
            return False
        return bool(live.database.command("collStats", place.collection).get("sharded"))


Write = Callable[[Documents, list[dict[str, Any]]], int]


def _write(table: DataFrame, place: Place, write: Write, name: str, *, publish_id: str, writers: int, batch_size: int) -> int:
    """Write all rows with `write`, in at most so many tasks at a time, each with a client of its own; return the sum of it."""
    uri, database = place.uri, place.database

    def partition(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        with _client(uri) as client:
            collection = client.get_database(database, write_concern=WriteConcern("majority"))[name]
            total = 0
            for batch in slices(batches, batch_size):
                total += write(collection, documents(batch, publish_id=publish_id, types=BSON))
        yield pa.RecordBatch.from_pydict({"total": [total]})

    counted = table.coalesce(writers).mapInArrow(partition, "total long").agg(F.sum("total")).first()
    return 0 if counted is None or counted[0] is None else int(counted[0])


def _insert(staged: Documents, batch: list[dict[str, Any]]) -> int:
    """Insert; a document that stands was inserted by an earlier attempt of the task."""
    try:
        staged.insert_many(batch, ordered=False)
    except BulkWriteError as error:
        _duplicates(error)
    return 0


def _replace(live: Documents, batch: list[dict[str, Any]]) -> int:
    """Upsert unless newer; return how many newer documents stand.

    Two upserts of a new id can meet, and one gets E11000 though it isn't the older: hence a second try of those.
    """
    refused = batch
    for _ in range(2):
        requests = [
            ReplaceOne({"_id": one["_id"], "publish_id": {"$not": {"$gt": one["publish_id"]}}}, one, upsert=True)
            for one in refused
        ]
        try:
            live.bulk_write(requests, ordered=False)
            return 0
        except BulkWriteError as error:
            refused = [refused[index] for index in _duplicates(error)]
    return len(refused)


def _read_and_replace(live: Documents, batch: list[dict[str, Any]]) -> int:
    """The same in two steps, for the embedded server."""
    found = live.find({"_id": {"$in": [one["_id"] for one in batch]}}, {"publish_id": 1})
    newer = {one["_id"] for one in found if str(one.get("publish_id", "")) > batch[0]["publish_id"]}
    requests = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in batch if one["_id"] not in newer]
    if requests:
        live.bulk_write(requests, ordered=False)
    return len(newer)


def _duplicates(error: BulkWriteError) -> list[int]:
    """Indices of the operations refused as duplicates; any other failure is raised."""
    failed = error.details["writeErrors"]
    other = [one for one in failed if one["code"] != DUPLICATE] or error.details["writeConcernErrors"]
    if other:
        raise OperationFailure(str(other[0].get("errmsg")), other[0].get("code")) from None
    return [one["index"] for one in failed]
