"""The sequence encoder in ONNX Runtime: histories in, queries out.

Histories of like length run together, so that hardly anything is computed on padding. A query is the same whoever else is encoded
with it: the shape of a run depends on the length alone.
"""

import itertools

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from seqrec.ragged import Ragged

RUN_TOKENS = 2048  # positions in a run: enough to keep the processor busy; the last run of a class may waste as many


def open_encoder(path: str, threads: int) -> onnxruntime.InferenceSession:
    """A session of the encoder's graph; without `threads`, ONNX Runtime would take all cores, whatever OMP_NUM_THREADS says."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def length_classes(max_len: int) -> NDArray[np.int64]:
    """Lengths that inputs are padded to: each about a sixth above the one before, the last is max_len.

    >>> length_classes(30).tolist()
    [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 18, 21, 25, 29, 30]
    """
    steps = itertools.accumulate(itertools.repeat(1), lambda length, _: max(length + 1, int(length * 1.15) + 1))
    return np.array([*itertools.takewhile(lambda length: length < max_len, steps), max_len])


def encode_histories(
    session: onnxruntime.InferenceSession,
    histories: Ragged,
    *,
    max_len: int,
    dim: int,
    batch_users: int = 256,
    users: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """The query (N, dim) of each history, from its last max_len items; an empty history has a query of zeros.

    For a model with embeddings of users, `users` (N,) are the rows of these embeddings (see `user_rows`).

    Each class of lengths runs in batches of one shape, the last one filled up by repeating a row, so that the runtime sees few
    shapes. Raises ValueError if a query is not finite.
    """
    queries = np.zeros((len(histories), dim), dtype=np.float32)
    classes = length_classes(max_len)
    lengths = np.minimum(histories.lengths, max_len)
    classed = np.searchsorted(classes, lengths)
    for number in np.unique(classed[lengths > 0]):
        length = int(classes[number])
        size = max(1, min(batch_users, RUN_TOKENS // length))
        rows = np.flatnonzero((classed == number) & (lengths > 0))
        for first in range(0, len(rows), size):
            batch = rows[first : first + size]
            full = np.pad(batch, (0, size - len(batch)), mode="edge")
            inputs = {"items": histories.left_padded(full, length)} | ({} if users is None else {"user_idx": users[full]})
            (query,) = session.run(["query"], inputs)
            queries[batch] = query[: len(batch)]
    if not np.isfinite(queries).all():
        raise ValueError("a query is not finite: the model is broken; train and export it again")
    return queries
