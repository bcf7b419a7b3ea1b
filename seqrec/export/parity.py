"""Whether an ONNX graph computes what torch does, on real histories.

Torch gets each history alone and unpadded; the graph gets batches of several sizes with more and with less padding, and the
batches that scoring makes. So a mask that forgets the padding, or an axis that was exported as a constant, shows up here.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.export.graph import Query
from seqrec.models.encoder import Encoder
from seqrec.ragged import Ragged
from seqrec.serving.queries import encode_histories, open_encoder
from seqrec.storage import files, versions

BATCHES = (1, 3, 64)


def sample_histories(table: str, *, users: int, end: int, max_len: int, cache: Path) -> Ragged:
    """Histories of a sequences table's first file with rows, an empty one and one of max_len items; all items are below `end`.

    Half of the users (rounded up) are the longest, half are spread over all lengths. The table is read without Spark.
    """
    histories = _first_rows(table, cache)
    histories = histories.where(histories.values < end)
    by_length = np.argsort(histories.lengths, kind="stable")
    spread = by_length[np.linspace(0, len(by_length) - 1, users // 2).astype(np.int64)] if len(by_length) else by_length
    longest = by_length[max(0, len(by_length) - (users - users // 2)) :]
    chosen = histories.take(np.unique(np.concatenate([spread, longest])))
    items = chosen.values if len(chosen.values) else np.arange(2, end)
    lists = [items[start:stop].tolist() for start, stop in zip(chosen.offsets[:-1], chosen.offsets[1:], strict=True)]
    return Ragged.of([[], np.resize(items, max_len).tolist(), *lists])


def _first_rows(table: str, cache: Path) -> Ragged:
    """The items of the table's first file that has rows: of few users, Spark leaves files empty.

    A remote table's other files are not copied.
    """
    for name in versions.table_files(table):
        column = pq.read_table(files.fetch(files.join(table, name), cache), columns=["items"])["items"]
        if len(column):
            return Ragged.of_arrow(pa.concat_arrays(column.chunks))
    return Ragged.of([])


def largest_difference(query: Query, path: Path, histories: Ragged, *, max_len: int) -> float:
    """The largest difference between torch and ONNX Runtime, relative to the largest value of the query in torch."""
    lengths = np.clip(histories.lengths, 1, max_len)
    rows = np.arange(len(histories))
    users = _some_users(query.encoder, len(rows))

    def inputs(batch: NDArray[np.int64], length: int) -> dict[str, NDArray[np.int64]]:
        items = {"items": histories.left_padded(batch, length)}
        return items if users is None else {**items, "user_idx": users[batch]}

    with torch.inference_mode():
        alone = [query(*map(torch.from_numpy, inputs(rows[i : i + 1], int(lengths[i])).values())) for i in rows]
    expected = torch.cat(alone).numpy()  # (N, D)
    session = open_encoder(str(path), torch.get_num_threads())
    largest = 0.0
    for size in BATCHES:
        for first in range(0, len(rows), size):
            batch = rows[first : first + size]
            longest = int(lengths[batch].max())
            for length in sorted({longest, min(longest + 7, max_len), max_len}):
                (queries,) = session.run(["query"], inputs(batch, length))
                largest = max(largest, _difference(queries, expected[batch]))
    filled = np.flatnonzero(histories.lengths)
    owners = None if users is None else users[filled]
    queries = encode_histories(session, histories.take(filled), max_len=max_len, dim=expected.shape[1], users=owners)
    return max(largest, _difference(queries, expected[filled]))


def _some_users(encoder: Encoder, count: int) -> NDArray[np.int64] | None:
    """`count` rows of users' embeddings, the unknown user's among them; None for an encoder without embeddings of users."""
    if not encoder.embedded_users:
        return None
    return np.arange(count, dtype=np.int64) % encoder.embedded_users


def _difference(queries: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of a row, relative to the row's largest value; infinite for another shape or what isn't finite.

    >>> _difference(np.array([[1.0, 2.5]]), np.array([[1.0, 2.0]]))
    0.25
    """
    if queries.shape != expected.shape or not np.isfinite(queries).all():
        return float("inf")
    scale = np.maximum(np.abs(expected).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(queries - expected) / scale).max(initial=0.0))
