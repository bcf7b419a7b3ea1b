"""`serving.stored` against the drivers' own calls; p50 and p99 of single reads go to stderr.

The servers are the embedded ones, or those of MONGODB_URI_TEST and MILVUS_URI_TEST, where they are set.
"""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pymilvus import MilvusClient
from pymongo import MongoClient
from pyspark.sql import SparkSession

from seqrec.serving.stored import StoredItems, StoredLists
from seqrec.stores import embedded_milvus, embedded_mongo, mongo_collection
from seqrec.stores.mongo_collection import MongoServer
from tests.bench import milvus, mongo
from tests.bench.timing import Comparison, compare

USERS, ITEMS = 2000, 300  # reads of a round
POPULAR = [(item, float(100 - item)) for item in range(100)]
COLLECTION = "bench_items"
WHERE = "item_idx < 2000"  # a tenth of the items


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """2000 users with 100 items each in MongoDB, 20 000 items of 64 dimensions in Milvus; lists of ten."""
    table = mongo.recommendations(spark)
    with _mongodb(root) as server:
        mongo.upsert(table, server, 1)
        lists = StoredLists.open(server.uri, popular=POPULAR, database="bench", collection="ours_1")
        client: MongoClient[dict[str, Any]] = MongoClient(server.uri)
        documents = client["bench"]["ours_1"]
        users = _drawn(mongo.USERS, USERS)
        of_users = [
            _reads("a user's list", users, lists.of_user, lambda user: documents.find_one({"_id": user}), rounds),
            _reads(
                "the popular list for an unknown user",
                [user + 10**6 for user in users],
                lists.of_user,
                lambda user: documents.find_one({"_id": user}),
                rounds,
            ),
        ]
        client.drop_database("bench")
        client.close()
    embeddings = milvus.random_embeddings(spark, root)
    with _milvus(root) as uri:
        milvus.upsert(embeddings, uri, COLLECTION)
        items, plain = StoredItems.open(uri, alias=COLLECTION), MilvusClient(uri)
        drawn = _drawn(milvus.ITEMS, ITEMS)
        of_items = [
            _reads(name, drawn, partial(items.neighbours, where=where), _searched(plain, where), rounds)
            for name, where in {"an item's neighbours": "", f"neighbours where {WHERE}": WHERE}.items()
        ]
        plain.drop_collection(COLLECTION)
    return of_users + of_items


@contextmanager
def _mongodb(root: Path) -> Iterator[MongoServer | embedded_mongo.EmbeddedMongo]:
    """The server of MONGODB_URI_TEST, else the embedded one."""
    if uri := os.environ.get("MONGODB_URI_TEST"):
        yield mongo_collection.open_server(uri, name="bench")
    else:
        with embedded_mongo.mongo_server(root / "mongo") as embedded:
            yield embedded


@contextmanager
def _milvus(root: Path) -> Iterator[str]:
    """The address of MILVUS_URI_TEST, else of the embedded server."""
    if uri := os.environ.get("MILVUS_URI_TEST"):
        yield uri
    else:
        with embedded_milvus.milvus_lite(root / "milvus") as embedded:
            yield embedded


def _drawn(number: int, reads: int) -> list[int]:
    """Ids of so many reads."""
    return random.Random(7).choices(range(number), k=reads)


def _searched(client: MilvusClient, where: str) -> Callable[[int], object]:
    """The plain way: the item's vector, and its ten best by the index, itself included."""

    def search(item: int) -> object:
        [one] = client.get(COLLECTION, ids=[item], output_fields=["embedding"])
        return client.search(COLLECTION, data=[np.asarray(one["embedding"])], filter=where, limit=10, output_fields=["item_id"])

    return search


def _reads(what: str, ids: list[int], ours: Callable[[int], object], plain: Callable[[int], object], rounds: int) -> Comparison:
    """Both ways to read all of the ids, one after another."""
    taken: dict[str, list[float]] = {"seqrec": [], "plain": []}

    def timed(name: str, read: Callable[[int], object], number: int) -> float:
        spent = []
        for one in ids:
            start = time.perf_counter()
            read(one)
            spent.append(time.perf_counter() - start)
        if number:
            taken[name] += spent
        return sum(spent)

    compared = compare(
        f"{len(ids)} times {what}",
        ours=lambda number: timed("seqrec", ours, number),
        plain=lambda number: timed("plain", plain, number),
        rounds=rounds,
        aim=0.5,
    )
    for name, spent in taken.items():
        p50, p99 = np.percentile(spent, [50, 99]) * 1000
        sys.stderr.write(f"{what}, {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms\n")
    return compared
