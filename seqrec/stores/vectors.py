"""Rows of a table of embeddings in batches that Milvus takes, straight from Arrow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

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

from seqrec.reranking.nearest import Entities
from seqrec.tables.python_tasks import map_batches

FIELD_TYPES: dict[type[DataType], str] = {
    **dict.fromkeys((ByteType, ShortType, IntegerType, LongType), "INT64"),
    StringType: "VARCHAR",
    FloatType: "FLOAT",
    DoubleType: "DOUBLE",
    BooleanType: "BOOL",
}

MOST_BYTES = 1 << 20  # of a batch: larger ones slow Milvus Lite down (8 MiB by a factor of 3), and 16 MB are refused
SENDERS = 2  # threads of a task: the server works on one batch while the next is packed
ROW_BYTES = 128  # numbers, run_id and the framing of a row


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """A table of embeddings that `checks` accepted: its key is the first column, its vectors are the column `embedding`."""

    table: DataFrame
    rows: int
    dim: int

    @property
    def key(self) -> str:
        """The name of the key."""
        return self.table.columns[0]


def field_types(schema: StructType) -> dict[str, str]:
    """The types of a table's columns in Milvus, by name; columns of types that Milvus lacks are left out."""
    types = {
        field.name: "FLOAT_VECTOR" if field.name == "embedding" else FIELD_TYPES.get(type(field.dataType)) for field in schema
    }
    return {name: kind for name, kind in types.items() if kind is not None}


def to_entities(batches: Iterable[pa.RecordBatch], *, run_id: str) -> Iterator[Entities]:
    """Batches of all columns (embedding is the vector, the others are strings and numbers) and run_id, each below MOST_BYTES.

    >>> table = {"item_id": ["a", "b"], "item_idx": [2, 3], "embedding": [[1.0, 2.0], [3.0, 4.0]]}
    >>> [entities] = to_entities([pa.RecordBatch.from_pydict(table)], run_id="r")
    >>> entities[1]["item_id"], entities[1]["item_idx"], entities[1]["embedding"].tolist(), entities[1]["run_id"]
    ('b', 3, [3.0, 4.0], 'r')
    """
    for batch in batches:
        size = _rows_in_a_batch(batch)
        for start in range(0, batch.num_rows, size):
            yield _entities(batch.slice(start, size), run_id)


def send_batches(batches: Iterable[Entities], upsert: Callable[[Entities], object]) -> None:
    """Upsert batches, SENDERS of them at a time, in no order. The first error is raised, and no batch is begun after it."""
    under_way: deque[Future[object]] = deque()
    with ThreadPoolExecutor(SENDERS) as threads:
        for batch in batches:
            if len(under_way) == SENDERS:
                under_way.popleft().result()
            under_way.append(threads.submit(upsert, batch))
        for sending in under_way:
            sending.result()


def local_batches(table: DataFrame) -> Iterator[pa.RecordBatch]:
    """Act: a table's batches on the driver, a partition at a time."""
    for row in map_batches(table, _as_binary, "batch binary").toLocalIterator():
        yield from pa.ipc.open_stream(row[0])


def _as_binary(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a task: each batch as the only value of a row, so that the driver gets batches and not Python rows."""
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        yield pa.RecordBatch.from_pydict({"batch": [sink.getvalue().to_pybytes()]})


def _entities(batch: pa.RecordBatch, run_id: str) -> Entities:
    """The rows of one batch."""
    embedding = batch.column("embedding").flatten().to_numpy().astype(np.float32)  # (rows · D,)
    columns = {name: batch.column(name).to_pylist() for name in batch.schema.names if name != "embedding"}
    columns |= {"embedding": embedding.reshape(batch.num_rows, -1), "run_id": [run_id] * batch.num_rows}  # (rows, D)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _rows_in_a_batch(batch: pa.RecordBatch) -> int:
    """How many rows stay below MOST_BYTES, by the longest strings of the batch."""
    if not batch.num_rows:
        return 1
    dim = len(batch.column("embedding")[0])
    strings = [column for column in batch.columns if pa.types.is_string(column.type)]
    longest = sum(pc.max(pc.binary_length(column)).as_py() for column in strings)
    return max(1, MOST_BYTES // (4 * dim + int(longest) + ROW_BYTES))
