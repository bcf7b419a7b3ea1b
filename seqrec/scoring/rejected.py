"""What Spark's Python workers compute of preferences: items that suit a context, or are like a chosen item, and weren't taken.

Both are a search for the best items of a query, without those of the user's training events: the query of a context in the
model's matrix, or the chosen item's vector among the vectors of all items, of length 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.indices import PADDING
from seqrec.ragged import Ragged
from seqrec.scoring.shipping import Shipped
from seqrec.serving.topk import Catalogue, Items, Scores, top_k

USERS = 64  # whose contexts are searched for at a time

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, kw_only=True)
class Search:
    """Candidates, and how the queries (N, D) are made of N contexts, their chosen items and the hashes of their users."""

    candidates: Catalogue
    query: Callable[[Ragged, Items, NDArray[np.int64]], Scores]

    def reject(self, batch: pa.RecordBatch, *, top: int) -> pa.ListArray:
        """A rejected item for each position of a batch of items, positions, draws and user; PADDING where none is left."""
        items, places, draws = (Ragged.of_arrow(batch.column(name)) for name in ("items", "positions", "draws"))
        hashes = batch.column("user").to_numpy()
        parts = [np.zeros(0, np.int64)]
        for first in range(0, len(items), USERS):
            users = np.arange(first, min(first + USERS, len(items)))
            parts.append(self._reject(items.take(users), places.take(users), draws.take(users).values, hashes[users], top=top))
        rejected = pa.array(np.concatenate(parts).astype(np.int32))
        return pa.ListArray.from_arrays(pa.array(places.offsets, pa.int32()), rejected)

    def _reject(self, items: Ragged, places: Ragged, draws: Items, hashes: NDArray[np.int64], *, top: int) -> Items:
        """The rejected items of some users' positions, in their order."""
        owners = places.rows
        before = items.take(owners)
        chosen = items.values[items.offsets[owners] + places.values]
        age = np.arange(len(before.values)) - np.repeat(before.offsets[:-1], before.lengths)
        contexts = before.where(age < np.repeat(places.values, before.lengths))
        queries = self.query(contexts, chosen, hashes[owners])
        best, _ = top_k(queries, self.candidates, k=min(top, max(1, len(self.candidates.items))), seen=before)
        left = (best >= 0).sum(axis=1)
        drawn = np.where(left > 0, best[np.arange(len(best)), draws % np.maximum(left, 1)], PADDING)
        known = queries.any(axis=1)  # a context or an item that the model or the vectors don't have has no query
        rejected: Items = np.where(known, drawn, PADDING)
        return rejected


def search_scores(model: Shipped) -> Search:
    """Items that an exported model scores highly after a context; those without a training event are no candidates."""
    opened = model.open()

    def query(contexts: Ragged, _: Items, hashes: NDArray[np.int64]) -> Scores:
        return opened.encode(opened.without_unknown(contexts), 256, hashes)

    return Search(candidates=Catalogue.of(opened.matrix, opened.trained), query=query)


def search_vectors(vectors: NDArray[np.float32], trained: NDArray[np.bool_]) -> Search:
    """Items whose vectors (V + 2, E) have the highest cosines with a chosen item's; zeros are no vector and no candidate.

    A chosen item that the vectors lack has no neighbours.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    candidates = Catalogue.of(unit, trained & (lengths[:, 0] > 0))

    def query(_: Ragged, chosen: Items, __: NDArray[np.int64]) -> Scores:
        unknown = chosen >= len(unit)
        queries: Scores = np.where(unknown[:, None], np.float32(0), unit[np.where(unknown, PADDING, chosen)])
        return queries

    return Search(candidates=candidates, query=query)


def search_matrix(model: Shipped) -> Search:
    """Items whose rows of an exported model's matrix are like the chosen item's."""
    opened = model.open()
    return search_vectors(opened.matrix, opened.trained)


def reject_batches(batches: Batches, *, opened: Callable[[], Search], top: int) -> Batches:
    """user_id, items, positions and rejected, of batches of user_id, items, positions, draws and user (the hash)."""
    search = opened()
    for batch in batches:
        columns = [batch.column(name) for name in ("user_id", "items", "positions")]
        rejected = search.reject(batch, top=top)
        yield pa.RecordBatch.from_arrays([*columns, rejected], names=["user_id", "items", "positions", "rejected"])
