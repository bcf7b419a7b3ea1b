"""The second stage of a recommendation: the candidates of users, scored by a ranker, and the best of them.

    lists -> candidate_rows -> score -> best K of each user, ties by item_idx

Python's workers on Spark and `Recommender` call the same function on the same rows, so that their lists agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.candidate_rows import ItemFeatures, candidate_rows, list_lengths
from seqrec.serving.sorted_ids import SortedIds

RANKER = "ranker"  # where such a list comes from, beside those of a model and popular ones


@dataclass(frozen=True, kw_only=True)
class SecondStage:
    """A ranker's scores (N,) of N rows, the features of the items, and the names of the sources of candidates."""

    score: Callable[[pa.RecordBatch], NDArray[np.float32]]
    features: ItemFeatures
    sources: Sequence[str]

    def best(
        self,
        lists: pa.RecordBatch,
        top_k: int,
        *,
        allow: SortedIds | None = None,
        deny: SortedIds | None = None,
        hidden: Ragged | None = None,
    ) -> pa.ListArray:
        """The K best candidates of each of N users (see `candidate_rows`): lists of item_id and score, best first.

        Ties are in the order of item_idx. With `allow`, other items are left out, and so are those in `deny`, and of each user
        those whose indices `hidden` has (N lists). The others keep the ranks that they have in the whole list, which a ranker
        has learned from. A user of whom no candidate is left has an empty list.
        """
        rows = candidate_rows(lists, self.features, self.sources)
        users = np.repeat(np.arange(lists.num_rows), list_lengths(lists.column("items")))
        kept = _kept(rows.column("item_id"), allow, deny)
        if hidden is not None:
            shown = ~_hidden(users, rows.column("item_idx").to_numpy(), hidden)
            kept = shown if kept is None else kept & shown
        if kept is not None:
            rows, users = rows.filter(pa.array(kept)), users[kept]
        scores = self.score(rows) if rows.num_rows else np.zeros(0, np.float32)
        return _best_lists(users, rows, scores, lists.num_rows, top_k)


def _kept(ids: pa.Array, allow: SortedIds | None, deny: SortedIds | None) -> NDArray[np.bool_] | None:
    """Whether each of the ids (N,) is among those of `allow` and not in `deny`; None if neither is given."""
    if allow is None and deny is None:
        return None
    kept = np.ones(len(ids), bool)
    if allow is not None:
        kept &= allow.find(ids).is_valid().to_numpy(zero_copy_only=False)
    if deny is not None:
        kept &= deny.find(ids).is_null().to_numpy(zero_copy_only=False)
    return kept


def _hidden(users: NDArray[np.int64], items: NDArray[np.int64], hidden: Ragged) -> NDArray[np.bool_]:
    """Whether each of the items (N,), by index, is among those that are hidden from its user, by place."""
    span = 1 + max(items.max(initial=0), hidden.values.max(initial=0))
    return np.isin(users * span + items, hidden.rows * span + hidden.values)


def _best_lists(
    users: NDArray[np.int64], rows: pa.RecordBatch, scores: NDArray[np.float32], number: int, top_k: int
) -> pa.ListArray:
    """Lists of the best rows of each of so many users; users (N,) say whose each row is, in ascending order."""
    order = np.lexsort((rows.column("item_idx").to_numpy(), -scores, users))
    lengths = np.bincount(users, minlength=number)
    place = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    best = order[place < top_k]
    offsets = np.concatenate([[0], np.cumsum(np.minimum(lengths, top_k))])
    entries = [rows.column("item_id").take(pa.array(best)), pa.array(scores[best].astype(np.float32))]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(entries, ["item_id", "score"]))
