"""The Python UDFs of scoring: a sequence model is what SQL can't say.

They are Arrow-native iterators (mapInArrow): one ONNX Runtime session per Python worker, cached in seqrec.serving.model,
the item matrix memory-mapped and so shared by the workers of a host, and no Python object a user.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql.types import IntegerType, LongType, StructField, StructType

from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.scoring.shipping import Shipped
from seqrec.serving.model import Model
from seqrec.serving.topk import NONE, Catalogue, Items, Scores, rank_targets, top_k
from seqrec.tables import schemas

MODEL, POPULAR = "model", "popular"  # where a list comes from
USER = "xxhash64(user_id) AS user"  # what a model knows a user by

Batches = Iterator[pa.RecordBatch]


def recommend_users(
    histories: DataFrame,
    *,
    model: Shipped,
    top_k: int,
    filter_seen: bool = True,
    available: NDArray[np.bool_] | None = None,
    embeddings: bool = False,
    batch_users: int = 256,
    block_items: int = 16384,
) -> DataFrame:
    """The best items of each row of histories (user_id, items, seen): user_id, items, source, and embedding if asked.

    Items are structs of item_id and score, best first, ties by item_idx. Users without an item that the model knows get the
    most popular items, scored by their count, and a null embedding. Items without a training event are never recommended, nor
    those not marked in `available` (V + 2,). Lists are shorter than top_k where fewer items are left.
    """
    row = schemas.recommendations(histories.schema["user_id"].dataType, schemas.IDS[model.item_type])
    fields = [row["user_id"], row["items"], row["source"]]
    if embeddings:
        fields.append(StructField("embedding", schemas.EMBEDDING, nullable=True))
    score = partial(
        _recommend,
        model=model,
        k=top_k,
        filter_seen=filter_seen,
        allowed=None if available is None else np.packbits(available).tobytes(),
        embeddings=embeddings,
        batch_users=batch_users,
        block_items=block_items,
    )
    return _spread(histories.selectExpr("user_id", "items", "seen", USER)).mapInArrow(score, StructType(fields))


def embed_users(histories: DataFrame, *, model: Shipped, batch_users: int = 256) -> DataFrame:
    """The query of each row of histories (user_id, items): user_id, embedding; null without an item that the model knows."""
    fields = [histories.schema["user_id"], StructField("embedding", schemas.EMBEDDING, nullable=True)]
    embed = partial(_embed, model=model, batch_users=batch_users)
    return _spread(histories.selectExpr("user_id", "items", USER)).mapInArrow(embed, StructType(fields))


def rank_users(
    held_out: DataFrame,
    *,
    model: Shipped,
    top_k: int = 100,
    batch_users: int = 256,
    block_items: int = 16384,
) -> DataFrame:
    """The rank of each held-out target: user_id, target (item_idx), rank, items, source; held_out as in schemas.held_out.

    The rank counts from 1 over the model's whole vocabulary without the user's seen items, items without a training event
    included; ties count against the target, which is itself never left out as seen. A target that was added to the vocabulary
    after the model has rank V + 1. `items` (structs of item_id and score) are the top_k of the same candidates, ties by
    item_idx. Users without an item that the model knows are ranked by popularity. Scores that are not finite are an error.
    """
    row = schemas.recommendations(held_out.schema["user_id"].dataType, schemas.IDS[model.item_type])
    target, rank = StructField("target", IntegerType(), False), StructField("rank", LongType(), False)
    score = partial(_rank, model=model, k=top_k, batch_users=batch_users, block_items=block_items)
    chosen = _spread(held_out.selectExpr("user_id", "items", "seen", "target", USER))
    return chosen.mapInArrow(score, StructType([row["user_id"], target, rank, row["items"], row["source"]]))


def _recommend(
    batches: Batches,
    *,
    model: Shipped,
    k: int,
    filter_seen: bool,
    allowed: bytes | None,
    embeddings: bool,
    batch_users: int,
    block_items: int,
) -> Batches:
    opened = model.open()
    available = opened.trained
    if allowed is not None:
        available = available & np.unpackbits(np.frombuffer(allowed, np.uint8), count=len(available)).astype(bool)
    catalogue, popular = Catalogue.of(opened.matrix, available), Catalogue.of(opened.popularity, available)
    k = min(k, max(1, len(catalogue.items)))
    choose = partial(top_k, k=k, batch_users=batch_users, block_items=block_items)
    for batch in batches:
        users, hashes, (histories, seen) = batch.column(0), _hashes(batch), _lists(batch, opened)
        seen = seen if filter_seen else seen.where(np.zeros(len(seen.values), bool))
        warm, cold = np.flatnonzero(histories.lengths), np.flatnonzero(histories.lengths == 0)
        queries = opened.encode(histories.take(warm), batch_users, hashes[warm])
        items, scores = np.full((len(users), k), NONE), np.full((len(users), k), -np.inf, np.float32)
        items[warm], scores[warm] = choose(queries, catalogue, seen=seen.take(warm))
        items[cold], scores[cold] = _popular(seen.take(cold), partial(choose, catalogue=popular))
        columns = [users, _scored(items, scores, opened.ids), _sources(histories)]
        if embeddings:
            columns.append(_embeddings(queries, warm, len(users)))
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "items", "source", "embedding"][: len(columns)])


def _embed(batches: Batches, *, model: Shipped, batch_users: int) -> Batches:
    opened = model.open()
    for batch in batches:
        histories = opened.known(Ragged.of_arrow(batch.column(1)))
        warm = np.flatnonzero(histories.lengths)
        queries = opened.encode(histories.take(warm), batch_users, _hashes(batch)[warm])
        columns = [batch.column(0), _embeddings(queries, warm, len(histories))]
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "embedding"])


def _rank(batches: Batches, *, model: Shipped, k: int, batch_users: int, block_items: int) -> Batches:
    opened = model.open()
    sizes = {"batch_users": batch_users, "block_items": block_items}
    for batch in batches:
        users, targets = batch.column(0), batch.column(3).to_numpy().astype(np.int64)
        histories, seen = _lists(batch, opened)
        others = seen.where(seen.values != targets[seen.rows])
        items, scores = np.full((len(users), k), NONE), np.full((len(users), k), -np.inf, np.float32)
        ranks = np.zeros(len(users), np.int64)
        warm, cold = np.flatnonzero(histories.lengths), np.flatnonzero(histories.lengths == 0)
        queries = opened.encode(histories.take(warm), batch_users, _hashes(batch)[warm])
        for rows, query, matrix in ((warm, queries, opened.matrix), (cold, np.ones((len(cold), 1)), opened.popularity)):
            ranks[rows] = rank_targets(query, matrix, seen.take(rows), targets[rows], **sizes)
            items[rows], scores[rows] = top_k(query, Catalogue.of(matrix), k=k, seen=others.take(rows), **sizes)
        columns = [users, batch.column(3), pa.array(ranks), _scored(items, scores, opened.ids), _sources(histories)]
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "target", "rank", "items", "source"])


def _spread(histories: DataFrame) -> DataFrame:
    """At least as many partitions as there are cores: a small table comes as one."""
    cores = histories.sparkSession.sparkContext.defaultParallelism
    return histories.repartition(cores, "user_id") if histories.rdd.getNumPartitions() < cores else histories


def _hashes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """Of the users, the column USER."""
    found: NDArray[np.int64] = batch.column("user").to_numpy()
    return found


def _lists(batch: pa.RecordBatch, opened: Model) -> tuple[Ragged, Ragged]:
    """Histories and seen items of a batch, those that the model knows."""
    return opened.known(Ragged.of_arrow(batch.column(1))), opened.known(Ragged.of_arrow(batch.column(2)))


def _popular(seen: Ragged, choose: Callable[..., tuple[Items, Scores]]) -> tuple[Items, Scores]:
    """Popular lists; users who have seen nothing share one list."""
    own = np.flatnonzero(seen.lengths)
    chosen = seen.take(np.append(own, np.flatnonzero(seen.lengths == 0)[:1]))
    items, scores = choose(np.ones((len(chosen), 1)), seen=chosen)
    which = np.full(len(seen), len(own))
    which[own] = np.arange(len(own))
    return items[which], scores[which]


def _scored(items: Items, scores: Scores, ids: pa.Array) -> pa.ListArray:
    """Item indices and scores (N, K), -1 where there is none, as lists of structs with the original ids."""
    found = items >= FIRST_ITEM
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(found, axis=1))])
    chosen = ids.take(pa.array(items[found] - FIRST_ITEM))
    values = pa.StructArray.from_arrays([chosen, pa.array(scores[found].astype(np.float32))], names=["item_id", "score"])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _sources(histories: Ragged) -> pa.Array:
    return pa.array(np.where(histories.lengths > 0, MODEL, POPULAR), pa.string())


def _embeddings(queries: NDArray[np.float32], warm: Items, users: int) -> pa.ListArray:
    """The queries of the warm users as lists, null for the others."""
    has = np.zeros(users, bool)
    has[warm] = True
    offsets = np.concatenate([[0], np.cumsum(has)]) * queries.shape[1]
    marked = pa.array(offsets, pa.int32(), mask=np.append(~has, False))
    return pa.ListArray.from_arrays(marked, pa.array(queries.ravel()))
