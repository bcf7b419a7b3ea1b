"""The Milvus writer against the client's own insert, on Milvus Lite."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import DataType, MilvusClient
from pyspark.sql import DataFrame, SparkSession

from seqrec.stores import embedded_milvus, milvus, milvus_alias
from seqrec.stores.milvus_index import Index
from seqrec.stores.vectors import Embeddings
from tests.bench.timing import Comparison, compare, seconds

ITEMS, DIM, BATCH = 20_000, 64, 1000


def bench(spark: SparkSession, root: Path, *, rounds: int) -> Comparison:
    """20 000 items of 64 dimensions into a new collection, indexed and loaded."""
    table = random_embeddings(spark, root)
    with embedded_milvus.milvus_lite(root / "milvus") as uri:
        return compare(
            f"Milvus Lite, {ITEMS} items",
            ours=lambda number: seconds(lambda: upsert(table, uri, f"ours_{number}")),
            plain=lambda number: seconds(lambda: insert(table, uri, f"raw_{number}")),
            rounds=rounds,
            aim=0.8,
        )


def random_embeddings(spark: SparkSession, root: Path) -> DataFrame:
    """Items with ids from 0 on and vectors that are the same each time."""
    vectors = np.random.default_rng(0).normal(size=(ITEMS, DIM)).astype(np.float32)
    ids = {"item_id": pa.array(range(ITEMS), pa.int64()), "item_idx": pa.array(range(2, ITEMS + 2), pa.int32())}
    embedding = pa.ListArray.from_arrays(pa.array(np.arange(0, ITEMS * DIM + 1, DIM), pa.int32()), pa.array(vectors.ravel()))
    pq.write_table(pa.table({**ids, "embedding": embedding}), root / "embeddings.parquet")
    return spark.read.parquet(str(root / "embeddings.parquet"))


def upsert(table: DataFrame, uri: str, name: str) -> None:
    """Written, what is stale removed, counted."""
    alias = milvus_alias.open_server(uri, token="", name="bench").alias(name)
    embeddings = Embeddings(table=table, rows=ITEMS, dim=DIM)
    milvus.upsert(alias, embeddings, run_id="r", index=Index(kind="AUTOINDEX", params={}))
    milvus.remove_other_runs(alias, run_id="r", rows=ITEMS)


def insert(table: DataFrame, uri: str, name: str) -> None:
    """Collected rows, inserted in batches."""
    client = MilvusClient(uri)
    schema = client.create_schema(auto_id=False)
    schema.add_field("item_id", DataType.INT64, is_primary=True)
    schema.add_field("item_idx", DataType.INT64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("run_id", DataType.VARCHAR, max_length=64)
    client.create_collection(name, schema=schema)
    index = client.prepare_index_params()
    index.add_index("embedding", index_type="AUTOINDEX", metric_type="IP")
    client.create_index(name, index)
    client.load_collection(name)
    rows = [{**row.asDict(), "run_id": "r"} for row in table.collect()]
    for first in range(0, len(rows), BATCH):
        client.insert(name, rows[first : first + BATCH])
    client.close()
