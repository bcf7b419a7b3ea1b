"""A dump of a table into MongoDB against insert_many of its rows, on the embedded server in memory."""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.publishing.destinations import MongoDestination
from seqrec.publishing.dump import Origin, dump_documents
from seqrec.stores import embedded_mongo
from seqrec.stores.mongo_collection import MongoServer
from seqrec.stores.mongo_rows import Batching
from tests.bench import mongo
from tests.bench.timing import Comparison, compare

ROWS, NEIGHBOURS, BATCH, WRITERS = 20_000, 20, 1000, 2


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """20 000 items with a title, genres, a date and 20 neighbours each, from Parquet; checked, staged and renamed."""
    path = str(root / "items.parquet")
    items(spark).write.parquet(path)
    table = spark.read.parquet(path)
    with embedded_mongo.mongo_server(None) as server:
        target = MongoServer(uri=server.uri, name="bench", mongod=False, renames=True)
        return compare(
            f"write_mongo against insert_many, {ROWS} rows",
            ours=lambda number: mongo.cleared(server.uri, lambda: dump(table, target, f"ours_{number}", path=path)),
            plain=lambda number: mongo.cleared(server.uri, lambda: mongo.raw(table, server.uri, f"raw_{number}", replace=False)),
            rounds=rounds,
            aim=0.8,
        )


def dump(table: DataFrame, target: MongoServer, collection: str, *, path: str) -> None:
    """Into a new collection."""
    batching = Batching(writers=WRITERS, batch_size=BATCH)
    destination = MongoDestination(server=target, database="bench", collection=collection, mode="swap", batching=batching)
    dump_documents(Origin(table, path), destination, key="user_id")


def items(spark: SparkSession) -> DataFrame:
    """In as many files as there are writers."""
    place = F.sequence(F.lit(1), F.lit(NEIGHBOURS))
    neighbour = F.transform(place, lambda i: F.struct((F.col("id") + i).alias("item_id"), (1 / i).cast("float").alias("score")))
    return spark.range(0, ROWS, numPartitions=WRITERS).select(
        F.col("id").alias("user_id"),
        F.concat(F.lit("title of "), "id").alias("title"),
        F.array(F.lit("Drama"), F.lit("Comedy")).alias("genres"),
        F.timestamp_seconds(F.col("id")).alias("at"),
        neighbour.alias("neighbours"),
    )
