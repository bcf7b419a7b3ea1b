"""The MongoDB writer against pymongo's own calls in foreachPartition, on the embedded server."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pymongo import MongoClient, ReplaceOne
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from seqrec.stores import embedded_mongo, mongo
from seqrec.stores.mongo_collection import MongoCollection, MongoServer
from seqrec.stores.mongo_rows import Batching
from tests.bench.timing import Comparison, compare, seconds

USERS, K, BATCH, WRITERS = 2000, 100, 1000, 2
BATCHING = Batching(writers=WRITERS, batch_size=BATCH)


def bench(spark: SparkSession, root: Path, *, rounds: int) -> list[Comparison]:
    """2000 users with 100 items each: upserts to the server on a file, and the swap on the server in memory."""
    table = recommendations(spark).persist()
    assert table.count() == USERS
    with embedded_mongo.mongo_server(root / "mongo") as server:
        name = "MongoDB, upsert against bulk_write of upserts"
        upserts = compare(
            name,
            ours=lambda number: cleared(server.uri, lambda: upsert(table, server, number)),
            plain=lambda number: cleared(server.uri, lambda: raw(table, server.uri, f"raw_{number}", replace=True)),
            rounds=rounds,
            aim=0.8,
        )
    with embedded_mongo.mongo_server(None) as server:
        swaps = compare(
            "MongoDB, swap against insert_many",
            ours=lambda number: cleared(server.uri, lambda: swap(table, server, number)),
            plain=lambda number: cleared(server.uri, lambda: raw(table, server.uri, f"raw_{number}", replace=False)),
            rounds=rounds,
            aim=0.8,
        )
    table.unpersist()
    return [upserts, swaps]


def cleared(uri: str, act: Callable[[], object]) -> float:
    """The seconds of a call, after which what it wrote is dropped: the server in memory holds few rounds."""
    spent = seconds(act)
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    client.drop_database("bench")
    client.close()
    return spent


def recommendations(spark: SparkSession) -> DataFrame:
    """Lists of random items, in as many partitions as there are writers."""
    place = F.sequence(F.lit(1), F.lit(K))
    item = F.pmod(F.xxhash64("id"), F.lit(1_000_000))
    entries = F.transform(place, lambda i: F.struct((item + i).alias("item_id"), (1 / i).cast("float").alias("score")))
    labels = {"source": F.lit("model"), "model": F.lit("bench"), "run_id": F.lit("20260101T000000Z-0000")}
    return (
        spark.range(0, USERS, numPartitions=WRITERS)
        .select(F.col("id").alias("user_id"), entries.alias("items"))
        .withColumns({**labels, "generated_at": F.lit("2026-01-01 00:00:00").cast("timestamp")})
    )


def upsert(table: DataFrame, server: MongoServer | embedded_mongo.EmbeddedMongo, number: int) -> None:
    """Into a new collection, what is older removed."""
    publish_id = f"20260101T00000{number}Z-0000"
    collection = _collection(server, f"ours_{number}")
    mongo.upsert(collection, _keyed(table), publish_id=publish_id, rows=USERS, batching=BATCHING)
    mongo.remove_older(collection, publish_id=publish_id)


def swap(table: DataFrame, server: embedded_mongo.EmbeddedMongo, number: int) -> None:
    """Staged, indexed, counted and renamed."""
    collection, publish_id = _collection(server, f"ours_{number}"), f"20260101T00000{number}Z-0000"
    mongo.stage(collection, _keyed(table), publish_id=publish_id, rows=USERS, batching=BATCHING)
    mongo.switch(collection, publish_id=publish_id)


def raw(table: DataFrame, uri: str, collection: str, *, replace: bool) -> None:
    """Rows as dicts, in batches, into a new collection."""

    def write(rows: Iterable[Row]) -> None:
        client: MongoClient[dict[str, Any]] = MongoClient(uri)
        target, batch = client["bench"][collection], []
        for row in rows:
            batch.append({"_id": row["user_id"], **row.asDict(recursive=True)})
            if len(batch) == BATCH:
                send(target, batch)
                batch = []
        if batch:
            send(target, batch)
        client.close()

    def send(target: Any, batch: list[dict[str, Any]]) -> None:
        if replace:
            target.bulk_write([ReplaceOne({"_id": row["_id"]}, row, upsert=True) for row in batch], ordered=False)
        else:
            target.insert_many(batch, ordered=False)

    table.foreachPartition(write)


def _keyed(table: DataFrame) -> DataFrame:
    return table.withColumnRenamed("user_id", "_id")


def _collection(server: MongoServer | embedded_mongo.EmbeddedMongo, name: str) -> MongoCollection:
    return MongoServer(uri=server.uri, name="bench", mongod=False, renames=server.renames).collection("bench", name)
