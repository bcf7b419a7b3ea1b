"""Rows of a table into a MongoDB collection, from Spark's tasks, each with a client of its own."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pyarrow as pa
from bson import DatetimeMS, Decimal128, Int64
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.stores.documents import Types, documents, slices
from seqrec.stores.limits import patiently
from seqrec.stores.mongo_place import UNCONFIRMED, Documents, Place, collection_of, open_client, returns, unconfirmed

DUPLICATE = 11000
BSON = Types(integer=Int64, date=DatetimeMS, decimal=Decimal128)

Batch = list[dict[str, Any]]
Write = Callable[[Documents, Batch], int]


def write_rows(table: DataFrame, place: Place, write: Write, name: str, *, publish_id: str, writers: int, batch_size: int) -> int:
    """Act: write all rows into the collection `name` with `write`, in at most so many tasks at a time; return the sum of it.

    A batch is written again while the server is gone for a moment: `write` may be called twice for the same documents.
    """
    uri, database, limits = place.uri, place.database, place.limits

    def partition(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        with open_client(uri, limits) as client:
            collection, total = collection_of(client, database, name, limits), 0
            for batch in slices(batches, batch_size):
                made = documents(batch, publish_id=publish_id, types=BSON)
                total += patiently(partial(write, collection, made), passes=returns, return_s=limits.return_s)
        yield pa.RecordBatch.from_pydict({"total": [total]})

    counted = table.coalesce(writers).mapInArrow(partition, "total long").agg(F.sum("total")).first()
    return 0 if counted is None or counted[0] is None else int(counted[0])


def insert(staged: Documents, batch: Batch) -> int:
    """Insert; a document that stands was inserted by an earlier attempt of the task."""
    try:
        staged.insert_many(batch, ordered=False)
    except BulkWriteError as error:
        _duplicates(error, staged)
    return 0


def replace(live: Documents, batch: Batch) -> int:
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
            refused = [refused[index] for index in _duplicates(error, live)]
    return len(refused)


def read_and_replace(live: Documents, batch: Batch) -> int:
    """The same in two steps, for the embedded server."""
    found = live.find({"_id": {"$in": [one["_id"] for one in batch]}}, {"publish_id": 1})
    newer = {one["_id"] for one in found if str(one.get("publish_id", "")) > batch[0]["publish_id"]}
    requests = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in batch if one["_id"] not in newer]
    if requests:
        live.bulk_write(requests, ordered=False)
    return len(newer)


def _duplicates(error: BulkWriteError, written: Documents) -> list[int]:
    """Indices of the operations refused as duplicates; any other failure is raised."""
    failed = error.details["writeErrors"]
    other = [one for one in failed if one["code"] != DUPLICATE] or error.details["writeConcernErrors"]
    if other:
        limit_s = written.write_concern.document["wtimeout"] / 1000
        said, code = str(other[0].get("errmsg")), other[0].get("code")
        raise OperationFailure(unconfirmed(limit_s) if code == UNCONFIRMED else said, code) from None
    return [one["index"] for one in failed]
