"""Users' best items by search in Milvus."""

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StringType, StructType

from seqrec.reranking.nearest import Entities
from seqrec.stores.milvus_alias import MilvusAlias, connected
from seqrec.stores.milvus_index import metric_of
from seqrec.stores.vectors import local_batches
from seqrec.tables import schemas
from seqrec.tables.python_tasks import map_batches

QUERIES = 64  # in a search
MOST_HITS = 16384  # Milvus returns no more items for a query


def search_for_users(
    users: DataFrame, alias: MilvusAlias, *, item: DataType, top_k: int, params: dict[str, int], without: Sequence[int] = ()
) -> DataFrame:
    """The best items of each row of users (user_id, embedding, seen) in a collection: user_id, items.

    Items are structs of item_id (of the type `item`) and score, best first, ties by item_idx. Left out are a user's items in
    seen, and for all users those in `without` (both are item indices). As many more items are fetched as a user has seen.
    `params` are those of the search; its ef is at least the number of fetched items. A server is searched from Spark's tasks when
    the table is computed, Milvus Lite at once from the driver.
    """
    row = schemas.recommendations(users.schema["user_id"].dataType, item)
    scored = pa.list_(pa.struct([("item_id", _arrow(item)), ("score", pa.float32())]))
    schema = pa.schema([("user_id", _arrow(row["user_id"].dataType)), ("items", scored)])
    search = partial(_search, alias=alias, schema=schema, top_k=top_k, params=params, without=without)
    queries = users.select("user_id", "embedding", "seen")
    with connected(alias, "searching failed") as client:
        client.load_collection(alias.name)
    if alias.server.aliases:
        return map_batches(queries, search, StructType([row["user_id"], row["items"]]))
    return users.sparkSession.createDataFrame(pa.Table.from_batches(search(local_batches(queries)), schema))


def _search(
    batches: Iterable[pa.RecordBatch],
    *,
    alias: MilvusAlias,
    schema: pa.Schema,
    top_k: int,
    params: dict[str, int],
    without: Sequence[int],
) -> Iterator[pa.RecordBatch]:
    """Lists for batches of users; within a batch, users who have seen about as many items share a search."""
    condition = f"item_idx not in {json.dumps(list(without))}" if without else ""
    with connected(alias, "searching failed") as client:
        metric = metric_of(client, alias.name)
        for batch in (batch for batch in batches if batch.num_rows):
            seen = [set(items) for items in batch.column("seen").to_pylist()]
            order = np.argsort([len(items) for items in seen], kind="stable")
            queries = batch.column("embedding").flatten().to_numpy().reshape(batch.num_rows, -1)  # (N, D)
            for first in range(0, batch.num_rows, QUERIES):
                rows = order[first : first + QUERIES]
                limit = min(top_k + len(seen[rows[-1]]), MOST_HITS)
                hits_of_rows = client.search(
                    alias.name,
                    data=list(queries[rows]),
                    filter=condition,
                    limit=limit,
                    output_fields=["item_id", "item_idx"],
                    search_params={"metric_type": metric, "params": {**params, "ef": max(limit, params.get("ef", 0))}},
                    consistency_level="Strong",
                )
                lists = [_best(hits, seen[row], top_k) for hits, row in zip(hits_of_rows, rows, strict=True)]
                users = batch.column("user_id").take(pa.array(rows))
                yield pa.RecordBatch.from_arrays([users, pa.array(lists, schema.field("items").type)], schema=schema)


def _arrow(kind: DataType) -> pa.DataType:
    """Arrow's type of an id."""
    return pa.string() if isinstance(kind, StringType) else pa.int64()


def _best(hits: Iterable[Any], seen: set[int], top_k: int) -> Entities:
    """The best hits that aren't seen, as entries of a list; ties by item_idx.

    >>> entities = [{"item_id": "a", "item_idx": 4}, {"item_id": "b", "item_idx": 2}, {"item_id": "c", "item_idx": 3}]
    >>> _best([{"distance": 0.5, "entity": entity} for entity in entities], {3}, 1)
    [{'item_id': 'b', 'score': 0.5}]
    """
    entries = [(-hit["distance"], hit["entity"]["item_idx"], hit["entity"]["item_id"]) for hit in hits]
    unseen = sorted(entry for entry in entries if entry[1] not in seen)
    return [{"item_id": item_id, "score": -negated} for negated, _, item_id in unseen[:top_k]]
