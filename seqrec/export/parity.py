"""Whether an ONNX graph computes what torch does, on real histories."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.models.encoders import Encoder
from seqrec.models.simplex import SimpleX
from seqrec.ragged import Ragged
from seqrec.serving.queries import encode_histories, open_encoder
from seqrec.storage import files, versions

BATCHES = (1, 3, 64)


def sample_histories(table: str, *, users: int, known: int, max_len: int, cache: Path) -> Ragged:
    """Histories of a sequences table's first file with rows, an empty one and one of max_len items; none from `known` on.

    Half of the users (rounded up) are the longest, half are spread over all lengths. The table is read without Spark.
    """
    histories = _first_rows(table, versions.table_files(table), cache)
    histories = histories.where(histories.values < known)
    by_length = np.argsort(histories.lengths, kind="stable")
    spread = by_length[np.linspace(0, len(by_length) - 1, users // 2).astype(np.int64)] if len(by_length) else by_length
    longest = by_length[max(0, len(by_length) - (users - users // 2)) :]
    chosen = histories.take(np.unique(np.concatenate([spread, longest])))
    items = chosen.values if len(chosen.values) else np.arange(2, known)
    lists = [items[start:stop].tolist() for start, stop in zip(chosen.offsets[:-1], chosen.offsets[1:], strict=True)]
    return Ragged.of([[], np.resize(items, max_len).tolist(), *lists])


def _first_rows(table: str, parts: list[str], cache: Path) -> Ragged:
    """The items of the first of the files that has rows: of few users, Spark leaves files empty."""
    for name in parts:
        column = pq.read_table(files.fetch(files.join(table, name), cache), columns=["items"])["items"]
        if len(column):
            return Ragged.of_arrow(pa.concat_arrays(column.chunks))
    return Ragged.of([])


def largest_difference(encoder: Encoder, path: Path, histories: Ragged, *, max_len: int) -> float:
    """The largest difference between torch and ONNX Runtime, relative to the largest value of the query in torch.

    Torch gets each history alone and unpadded; the graph gets batches of several sizes with more and with less padding, and
    the batches that scoring makes.
    """
    lengths = np.clip(histories.lengths, 1, max_len)
    rows = np.arange(len(histories))
    users = _some_users(encoder, len(rows))

    def inputs(batch: NDArray[np.int64], length: int) -> dict[str, NDArray[np.int64]]:
        given = {"items": histories.left_padded(batch, length)}
        return given if users is None else {**given, "user_idx": users[batch]}

    with torch.inference_mode():
        alone = [encoder.query(*map(torch.from_numpy, inputs(rows[i : i + 1], int(lengths[i])).values())) for i in rows]
    wanted = torch.cat(alone).numpy()  # (N, D)
    session = open_encoder(str(path), torch.get_num_threads())
    worst = 0.0
    for size in BATCHES:
        for first in range(0, len(rows), size):
            batch = rows[first : first + size]
            longest = int(lengths[batch].max())
            for length in sorted({longest, min(longest + 7, max_len), max_len}):
                (query,) = session.run(["query"], inputs(batch, length))
                worst = max(worst, _difference(query, wanted[batch]))
    full = np.flatnonzero(histories.lengths)
    owners = None if users is None else users[full]
    query = encode_histories(session, histories.take(full), max_len=max_len, dim=wanted.shape[1], users=owners)
    return max(worst, _difference(query, wanted[full]))


def _some_users(encoder: Encoder, count: int) -> NDArray[np.int64] | None:
    """As many places of users, the unknown one among them; None for an encoder without embeddings of users."""
    if not isinstance(encoder, SimpleX) or not encoder.user_weight:
        return None
    return np.arange(count, dtype=np.int64) % encoder.users.num_embeddings


def _difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    """
    >>> _difference(np.array([[1.0, 2.5]]), np.array([[1.0, 2.0]]))
    0.25
    """
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    scale = np.maximum(np.abs(wanted).max(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return float((np.abs(found - wanted) / scale).max(initial=0.0))
