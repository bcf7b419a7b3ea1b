"""Rows of a table of embeddings in batches that Milvus takes, straight from Arrow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.types import (
    BooleanType,
    ByteType,
    DataType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
    StructType,
)

Rows = list[dict[str, Any]]

FIELDS: dict[type[DataType], str] = {
    **dict.fromkeys((ByteType, ShortType, IntegerType, LongType), "INT64"),
    StringType: "VARCHAR",
    FloatType: "FLOAT",
    DoubleType: "DOUBLE",
    BooleanType: "BOOL",
}

MOST_BYTES = 1 << 20  # of a batch: larger ones slow Milvus Lite down (8 MiB by a factor of 3), and 16 MB are refused
SENDERS = 2  # threads of a task: the server works on one batch while the next is packed
ROW_BYTES = 128  # numbers, run_id and the framing of a row


def fields(schema: StructType) -> dict[str, str]:
    """What a table's columns are in Milvus, by name; columns of types that it hasn't are left out."""
    kinds = {one.name: "FLOAT_VECTOR" if one.name == "embedding" else FIELDS.get(type(one.dataType)) for one in schema}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def rows(batches: Iterable[pa.RecordBatch], *, run_id: str) -> Iterator[Rows]:
    """Batches of all columns (embedding is the vector, the others are strings and numbers) and run_id, each below MOST_BYTES.

    >>> table = {"item_id": ["a", "b"], "item_idx": [2, 3], "embedding": [[1.0, 2.0], [3.0, 4.0]]}
    >>> [made] = rows([pa.RecordBatch.from_pydict(table)], run_id="r")
    >>> made[1]["item_id"], made[1]["item_idx"], made[1]["embedding"].tolist(), made[1]["run_id"]
    ('b', 3, [3.0, 4.0], 'r')
    """
    for batch in batches:
        size = _rows_in_a_batch(batch)
        for start in range(0, batch.num_rows, size):
            yield _rows(batch.slice(start, size), run_id)


def send(batches: Iterable[Rows], upsert: Callable[[Rows], object]) -> None:
    """Upsert batches, SENDERS of them at a time, in no order; the first error is raised, and no batch begun after it."""
    under_way: deque[Future[object]] = deque()
    with ThreadPoolExecutor(SENDERS) as threads:
        for batch in batches:
            if len(under_way) == SENDERS:
                under_way.popleft().result()
            under_way.append(threads.submit(upsert, batch))
        for one in under_way:
            one.result()


def local_batches(table: DataFrame) -> Iterator[pa.RecordBatch]:
    """Act: a table's batches on the driver, a partition at a time."""
    for row in table.mapInArrow(_packed, "batch binary").toLocalIterator():
        yield from pa.ipc.open_stream(row[0])


def by_cosine(query: np.ndarray[Any, Any], others: Rows, *, k: int, bias: bool) -> Rows:
    """The k of the others nearest to the query by cosine, without the last dimension if that is a bias; ties by item_idx.

    >>> others = [{"item_id": "far", "item_idx": 2, "embedding": [9, 9]}, {"item_id": "near", "item_idx": 3, "embedding": [1, 0]}]
    >>> by_cosine(np.array([2.0, 0.0]), others, k=1, bias=False)
    [{'item_id': 'near', 'item_idx': 3, 'score': 1.0}]
    """
    if not others:
        return []
    width = len(query) - bias
    matrix = np.asarray([other["embedding"] for other in others], np.float64)[:, :width]  # (N, width)
    asked = np.asarray(query[:width], np.float64)
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked)
    scores = np.divide(matrix @ asked, lengths, out=np.zeros(len(others)), where=lengths > 0)  # (N,)
    best = np.lexsort(([other["item_idx"] for other in others], -scores))[:k]
    return [
        {"item_id": others[at]["item_id"], "item_idx": others[at]["item_idx"], "score": float(scores[at])} for at in best.tolist()
    ]


def _packed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.RecordBatch.from_pydict({"batch": [sink.getvalue().to_pybytes()]})


def _rows(batch: pa.RecordBatch, run_id: str) -> Rows:
    embedding = batch.column("embedding").flatten().to_numpy().astype(np.float32)  # (rows · D,)
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != "embedding"}
    columns |= {"embedding": embedding.reshape(batch.num_rows, -1), "run_id": [run_id] * batch.num_rows}  # (rows, D)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_in_a_batch(batch: pa.RecordBatch) -> int:
    if not batch.num_rows:
        return 1
    dim = len(batch.column("embedding")[0])
    strings = [column for column in batch.columns if pa.types.is_string(column.type)]
    longest = sum(pc.max(pc.binary_length(column)).as_py() for column in strings)
    return max(1, MOST_BYTES // (4 * dim + int(longest) + ROW_BYTES))
