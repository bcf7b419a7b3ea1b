"""Rows of a table into a MongoDB collection, from Spark's tasks, each with a client of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from bson import DatetimeMS, Decimal128, Int64
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, OperationFailure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.stores.documents import BsonTypes, cut_batches, to_documents
from seqrec.stores.mongo_collection import (
    UNCONFIRMED,
    DriverCollection,
    MongoCollection,
    driver_collection,
    may_return,
    open_client,
    unconfirmed,
)
from seqrec.stores.timeouts import patiently
from seqrec.tables.python_tasks import map_batches

DUPLICATE = 11000  # the code of MongoDB's error
BSON = BsonTypes(integer=Int64, date=DatetimeMS, decimal=Decimal128)

Documents = list[dict[str, Any]]
Write = Callable[[DriverCollection, Documents], int]


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How rows are written: in how many tasks at a time, and how many documents in one call of the server."""

    writers: int
    batch_size: int


def write_rows(collection: MongoCollection, table: DataFrame, write: Write, *, publish_id: str, batching: Batching) -> int:
    """Act: write all rows with `write`, a batch a call; return the sum of what the calls return.

    A batch is written again while the server is gone for a moment: `write` may be called twice for the same documents.
    """
    uri, timeouts, database, name = collection.server.uri, collection.server.timeouts, collection.database, collection.name

    def write_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """In a task: a row with the sum of its calls."""
        with open_client(uri, timeouts) as client:
            written, total = driver_collection(client, database, name, timeouts), 0
            for batch in cut_batches(batches, batching.batch_size):
                documents = to_documents(batch, publish_id=publish_id, types=BSON)
                total += patiently(partial(write, written, documents), passes=may_return, return_s=timeouts.return_s)
        yield pa.RecordBatch.from_pydict({"total": [total]})

    totals = map_batches(table.coalesce(batching.writers), write_partition, "total long").agg(F.sum("total")).first()
    return 0 if totals is None or totals[0] is None else int(totals[0])


def insert(staged: DriverCollection, documents: Documents) -> int:
    """Insert; a document that is there already was inserted by an earlier attempt of the task."""
    try:
        staged.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        _duplicates(error, staged)
    return 0


def replace_older(live: DriverCollection, documents: Documents) -> int:
    """Upsert documents, but leave newer ones; return how many newer documents stand.

    If two upserts insert the same new id, one of them gets the error E11000, even if its document isn't the older one: such
    documents are tried a second time.
    """
    refused = documents
    for _ in range(2):
        requests = [
            ReplaceOne({"_id": document["_id"], "publish_id": {"$not": {"$gt": document["publish_id"]}}}, document, upsert=True)
            for document in refused
        ]
        try:
            live.bulk_write(requests, ordered=False)
            return 0
        except BulkWriteError as error:
            refused = [refused[index] for index in _duplicates(error, live)]
    return len(refused)


def read_and_replace_older(live: DriverCollection, documents: Documents) -> int:
    """`replace_older` in two steps, for the embedded server, which is slow at conditions on other fields than _id."""
    standing = live.find({"_id": {"$in": [document["_id"] for document in documents]}}, {"publish_id": 1})
    newer = {other["_id"] for other in standing if str(other.get("publish_id", "")) > documents[0]["publish_id"]}
    requests = [
        ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents if document["_id"] not in newer
    ]
    if requests:
        live.bulk_write(requests, ordered=False)
    return len(newer)


def _duplicates(error: BulkWriteError, written: DriverCollection) -> list[int]:
    """The indices of the operations that were refused as duplicates; any other failure is raised."""
    failures = error.details["writeErrors"]
    others = [failure for failure in failures if failure["code"] != DUPLICATE] or error.details["writeConcernErrors"]
    if others:
        limit_s = written.write_concern.document["wtimeout"] / 1000
        message, code = str(others[0].get("errmsg")), others[0].get("code")
        raise OperationFailure(unconfirmed(limit_s) if code == UNCONFIRMED else message, code) from None
    return [failure["index"] for failure in failures]
