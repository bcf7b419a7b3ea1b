"""The Python UDFs of scoring: SQL can't express a sequence model.

They are Arrow-native iterators (mapInArrow): one ONNX Runtime session per Python worker, cached in seqrec.serving.model, the item
matrix memory-mapped and so shared by the workers of a host, and no Python object for each user. A closure carries where the model
lies, a few numbers, and one bit for each item of the vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
from seqrec.serving.topk import DEFAULT_SIZES, NONE, BlockSizes, Catalogue, Items, Scores, rank_targets, top_k
from seqrec.tables import schemas

MODEL, POPULAR = "model", "popular"  # where a list comes from
USER_HASH = "xxhash64(user_id) AS user"  # how a model with embeddings of users knows a user

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The content of lists: at most top_k items, with filter_seen none of those in `seen`."""

    top_k: int
    filter_seen: bool = True


def recommend_users(
    histories: DataFrame,
    *,
    model: Shipped,
    lists: ListSettings,
    available: NDArray[np.bool_] | None = None,
    embeddings: bool = False,
    sizes: BlockSizes = DEFAULT_SIZES,
) -> DataFrame:
    """The best items of each row of histories (user_id, items, seen): user_id, items, source, and with `embeddings` embedding.

    Items are structs of item_id and score, best first, ties by item_idx. Users without an item that the model knows get the
    most popular items, scored by their count, and a null embedding. Items without a training event are never recommended, nor
    those not marked in `available` (V + 2,). Lists are shorter than top_k where fewer items are left.
    """
    row = schemas.recommendations(histories.schema["user_id"].dataType, schemas.IDS[model.item_type])
    fields = [row["user_id"], row["items"], row["source"]]
    if embeddings:
        fields.append(StructField("embedding", schemas.EMBEDDING, nullable=True))
    packed = None if available is None else np.packbits(available).tobytes()
    score = partial(_recommend, model=model, lists=lists, available=packed, embeddings=embeddings, sizes=sizes)
    return _spread(histories.selectExpr("user_id", "items", "seen", USER_HASH)).mapInArrow(score, StructType(fields))


def embed_users(histories: DataFrame, *, model: Shipped, sizes: BlockSizes = DEFAULT_SIZES) -> DataFrame:
    """The query of each row of histories (user_id, items): user_id, embedding; null without an item that the model knows."""
    fields = [histories.schema["user_id"], StructField("embedding", schemas.EMBEDDING, nullable=True)]
    embed = partial(_embed, model=model, batch_users=sizes.users)
    return _spread(histories.selectExpr("user_id", "items", USER_HASH)).mapInArrow(embed, StructType(fields))


def rank_users(held_out: DataFrame, *, model: Shipped, top_k: int = 100, sizes: BlockSizes = DEFAULT_SIZES) -> DataFrame:
    """The rank of each held-out target: user_id, target (item_idx), rank, items, source; held_out as in schemas.held_out.

    The rank counts from 1 over the model's whole vocabulary without the user's seen items, items without a training event
    included; ties count against the target, which is itself never left out as seen. A target that was added to the vocabulary
    after the model has rank V + 1. `items` (structs of item_id and score) are the top_k of the same candidates, ties by
    item_idx. Users without an item that the model knows are ranked by popularity. Scores that are not finite are an error.
    """
    row = schemas.recommendations(held_out.schema["user_id"].dataType, schemas.IDS[model.item_type])
    target, rank = StructField("target", IntegerType(), False), StructField("rank", LongType(), False)
    score = partial(_rank, model=model, k=top_k, sizes=sizes)
    columns = _spread(held_out.selectExpr("user_id", "items", "seen", "target", USER_HASH))
    return columns.mapInArrow(score, StructType([row["user_id"], target, rank, row["items"], row["source"]]))


def _recommend(
    batches: Batches, *, model: Shipped, lists: ListSettings, available: bytes | None, embeddings: bool, sizes: BlockSizes
) -> Batches:
    """The rows of `recommend_users`, batch by batch; `available` has a bit for each row of the item matrix."""
    opened = model.open()
    allowed = opened.trained
    if available is not None:
        allowed = allowed & np.unpackbits(np.frombuffer(available, np.uint8), count=len(allowed)).astype(bool)
    catalogue, popular = Catalogue.of(opened.matrix, allowed), Catalogue.of(opened.popularity, allowed)
    k = min(lists.top_k, max(1, len(catalogue.items)))
    choose = partial(top_k, k=k, sizes=sizes)
    for batch in batches:
        users, hashes, (histories, seen) = batch.column(0), _hashes(batch), _lists(batch, opened)
        seen = seen if lists.filter_seen else seen.where(np.zeros(len(seen.values), bool))
        warm, cold = np.flatnonzero(histories.lengths), np.flatnonzero(histories.lengths == 0)
        queries = opened.encode(histories.take(warm), sizes.users, hashes[warm])
        items, scores = _no_lists(len(users), k)
        items[warm], scores[warm] = choose(queries, catalogue, seen=seen.take(warm))
        items[cold], scores[cold] = _popular(seen.take(cold), partial(choose, catalogue=popular))
        columns = [users, _scored(items, scores, opened.ids), _sources(histories)]
        if embeddings:
            columns.append(_embeddings(queries, warm, len(users)))
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "items", "source", "embedding"][: len(columns)])


def _embed(batches: Batches, *, model: Shipped, batch_users: int) -> Batches:
    """The rows of `embed_users`, batch by batch."""
    opened = model.open()
    for batch in batches:
        histories = opened.without_unknown(Ragged.of_arrow(batch.column(1)))
        warm = np.flatnonzero(histories.lengths)
        queries = opened.encode(histories.take(warm), batch_users, _hashes(batch)[warm])
        columns = [batch.column(0), _embeddings(queries, warm, len(histories))]
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "embedding"])


def _rank(batches: Batches, *, model: Shipped, k: int, sizes: BlockSizes) -> Batches:
    """The rows of `rank_users`, batch by batch."""
    opened = model.open()
    for batch in batches:
        users, targets = batch.column(0), batch.column(3).to_numpy().astype(np.int64)
        histories, seen = _lists(batch, opened)
        others = seen.where(seen.values != targets[seen.rows])
        items, scores = _no_lists(len(users), k)
        ranks = np.zeros(len(users), np.int64)
        warm, cold = np.flatnonzero(histories.lengths), np.flatnonzero(histories.lengths == 0)
        queries = opened.encode(histories.take(warm), sizes.users, _hashes(batch)[warm])
        for rows, query, matrix in ((warm, queries, opened.matrix), (cold, np.ones((len(cold), 1)), opened.popularity)):
            ranks[rows] = rank_targets(query, matrix, seen.take(rows), targets[rows], sizes=sizes)
            items[rows], scores[rows] = top_k(query, Catalogue.of(matrix), k=k, seen=others.take(rows), sizes=sizes)
        columns = [users, batch.column(3), pa.array(ranks), _scored(items, scores, opened.ids), _sources(histories)]
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "target", "rank", "items", "source"])


def _spread(histories: DataFrame) -> DataFrame:
    """The histories in at least as many partitions as there are cores: a small table would be in one."""
    cores = histories.sparkSession.sparkContext.defaultParallelism
    return histories.repartition(cores, "user_id") if histories.rdd.getNumPartitions() < cores else histories


def _hashes(batch: pa.RecordBatch) -> NDArray[np.int64]:
    """The users of a batch by their hashes, which are the column of USER_HASH."""
    hashes: NDArray[np.int64] = batch.column("user").to_numpy()
    return hashes


def _lists(batch: pa.RecordBatch, opened: Model) -> tuple[Ragged, Ragged]:
    """Histories and seen items of a batch, without items that the model doesn't know."""
    return opened.without_unknown(Ragged.of_arrow(batch.column(1))), opened.without_unknown(Ragged.of_arrow(batch.column(2)))


def _no_lists(users: int, k: int) -> tuple[Items, Scores]:
    """Items and scores (N, K) of lists without an item."""
    return np.full((users, k), NONE), np.full((users, k), -np.inf, np.float32)


def _popular(seen: Ragged, choose: Callable[..., tuple[Items, Scores]]) -> tuple[Items, Scores]:
    """Lists of popular items; users who have seen nothing share a list, which is computed once."""
    with_seen = np.flatnonzero(seen.lengths)
    distinct = seen.take(np.append(with_seen, np.flatnonzero(seen.lengths == 0)[:1]))
    items, scores = choose(np.ones((len(distinct), 1)), seen=distinct)
    row = np.full(len(seen), len(with_seen))
    row[with_seen] = np.arange(len(with_seen))
    return items[row], scores[row]


def _scored(items: Items, scores: Scores, ids: pa.Array) -> pa.ListArray:
    """Item indices and scores (N, K), -1 where there is none, as lists of structs with the original ids."""
    filled = items >= FIRST_ITEM
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(filled, axis=1))])
    listed = ids.take(pa.array(items[filled] - FIRST_ITEM))
    values = pa.StructArray.from_arrays([listed, pa.array(scores[filled].astype(np.float32))], names=["item_id", "score"])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _sources(histories: Ragged) -> pa.Array:
    """The column source: where each list comes from."""
    return pa.array(np.where(histories.lengths > 0, MODEL, POPULAR), pa.string())


def _embeddings(queries: NDArray[np.float32], warm: Items, users: int) -> pa.ListArray:
    """The queries of the warm users as lists, null for the others."""
    has = np.zeros(users, bool)
    has[warm] = True
    offsets = np.concatenate([[0], np.cumsum(has)]) * queries.shape[1]
    marked = pa.array(offsets, pa.int32(), mask=np.append(~has, False))
    return pa.ListArray.from_arrays(marked, pa.array(queries.ravel()))
