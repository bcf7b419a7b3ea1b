"""A batch of users in Python's workers: histories, seen items, segments, and the queries of a model."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.model import Model
from seqrec.serving.topk import Items

MODEL, POPULAR = "model", "popular"  # where a list comes from


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """N users: their histories and seen items that the model knows, and the queries (W, D) of those with such a history."""

    histories: Ragged
    seen: Ragged
    hashes: NDArray[np.int64]
    segments: NDArray[np.object_]  # (N,), names, None for a user without one
    warm: Items  # (W,), users with a query
    cold: Items  # (N - W,), the others
    queries: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        model: Model,
        histories: Ragged,
        seen: Ragged,
        hashes: NDArray[np.int64],
        *,
        batch_users: int,
        segments: NDArray[np.object_] | None = None,
    ) -> "Encoded":
        """Of lists of item indices, without the items that the model doesn't know; the hashes (N,) say whose they are."""
        histories = model.without_unknown(histories)
        warm, cold = np.flatnonzero(histories.lengths), np.flatnonzero(histories.lengths == 0)
        queries = model.encode(histories.take(warm), batch_users, hashes[warm])
        seen = model.without_unknown(seen)
        names = np.full(len(histories), None) if segments is None else segments
        return cls(histories=histories, seen=seen, hashes=hashes, segments=names, warm=warm, cold=cold, queries=queries)

    @classmethod
    def of_batch(cls, model: Model, batch: pa.RecordBatch, *, batch_users: int) -> "Encoded":
        """Of a batch with the columns items, user (the hash) and, where it matters, seen."""
        histories = Ragged.of_arrow(batch.column("items"))
        seen = Ragged.of_arrow(batch.column("seen")) if "seen" in batch.schema.names else histories
        names = batch.column("segment").to_numpy(zero_copy_only=False) if "segment" in batch.schema.names else None
        hashes = batch.column("user").to_numpy()
        return cls.of(model, histories, seen, hashes, batch_users=batch_users, segments=names)

    @property
    def sources(self) -> NDArray[np.str_]:
        """(N,): where the list of each user comes from."""
        return np.where(self.histories.lengths > 0, MODEL, POPULAR)
