"""Rows of the recommendations table as MongoDB documents, straight from Arrow."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pyarrow as pa


def documents(batch: pa.RecordBatch, *, publish_id: str, integer: Callable[[int], int], date: Callable[[int], Any]) -> list[Any]:
    """One document a row: _id, items [{item_id, score}] best first, source, model, run_id, publish_id, generated_at.

    Integer makes an int64 id, date a date from epoch milliseconds, as the store wants them.

    >>> item = pa.array([[{"item_id": 7, "score": 0.5}], []])
    >>> when = pa.array([1000, 2000], pa.timestamp("ms", tz="UTC"))
    >>> columns = [pa.array(["$where", ""]), item, *(pa.array([name] * 2) for name in "smr"), when]
    >>> names = ["user_id", "items", "source", "model", "run_id", "generated_at"]
    >>> made = documents(pa.RecordBatch.from_arrays(columns, names), publish_id="p", integer=int, date=int)
    >>> made[0]["_id"], made[0]["items"], made[1]["_id"], made[1]["items"], made[1]["generated_at"]
    ('$where', [{'item_id': 7, 'score': 0.5}], '', [], 2000)
    """
    columns = (
        _ids(batch.column("user_id"), integer),
        _scored(batch.column("items"), integer),
        batch.column("source").to_pylist(),
        batch.column("model").to_pylist(),
        batch.column("run_id").to_pylist(),
        [date(value) for value in _milliseconds(batch.column("generated_at"))],
    )
    return [
        {
            "_id": user,
            "items": items,
            "source": source,
            "model": model,
            "run_id": run_id,
            "publish_id": publish_id,
            "generated_at": generated_at,
        }
        for user, items, source, model, run_id, generated_at in zip(*columns, strict=True)
    ]


def slices(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The batches in pieces of at most so many rows: what is held as Python objects at a time."""
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _scored(column: pa.ListArray, integer: Callable[[int], int]) -> list[list[dict[str, Any]]]:
    offsets = column.offsets.to_pylist()
    first, last = offsets[0], offsets[-1]
    items, scores = column.values.slice(first, last - first).flatten()
    pairs = [
        {"item_id": item, "score": score} for item, score in zip(_ids(items, integer), scores.to_numpy().tolist(), strict=True)
    ]
    return [pairs[start - first : end - first] for start, end in pairwise(offsets)]


def _ids(column: pa.Array, integer: Callable[[int], int]) -> list[Any]:
    """The ids; each distinct integer is made once."""
    if not pa.types.is_integer(column.type):
        return list(column.to_pylist())
    encoded = column.dictionary_encode()
    made = [integer(value) for value in encoded.dictionary.to_pylist()]
    return [made[index] for index in encoded.indices.to_pylist()]


def _milliseconds(column: pa.Array) -> list[int]:
    milliseconds = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False)
    return list(milliseconds.cast(pa.int64()).to_pylist())
