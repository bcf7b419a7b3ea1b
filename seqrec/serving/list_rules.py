"""Rules put to work on users' lists: the columns of items that they name, opened, and lists by them.

    ruled = open_rules(rules, model.ids)
    ruled.apply(lists, model, top_k=10)    # lists of item_id, score (final) and model_score

The lists of a sequence model, of a ranker and of popular items go through the same function, in Python's workers on Spark and in
`Recommender`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM
from seqrec.reranking.candidates import Candidates
from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.rerank import NOWHERE, rerank
from seqrec.reranking.rules import Rules
from seqrec.serving.candidate_rows import list_lengths
from seqrec.serving.model import Model
from seqrec.serving.sorted_ids import SortedIds

Pairs = list[tuple[int | str, float]]


@dataclass(frozen=True)
class ListRules:
    """Rules, the items of their table in order, the columns that they name, and in words where these are from."""

    rules: Rules
    ids: SortedIds
    values: ItemValues
    words: str

    def apply(self, lists: pa.ListArray, model: Model, *, top_k: int, fillers: pa.ListArray | None = None) -> pa.ListArray:
        """N lists of at most K items with their final score and the model's, of N lists of item_id and score, best first.

        `fillers` are popular items for each list, which come behind its own; they have no score of the model.
        """
        pool = self.rules.pool_of(top_k)
        ids, scores, filling = _pooled(lists, fillers, pool)
        rows = _places(self.ids, ids, self.values.missing)
        shape = scores.shape
        items = np.full(shape, NOWHERE)
        if self.rules.mmr_lambda is not None:
            items = (_places(model.sorted_ids, ids, NOWHERE - FIRST_ITEM) + FIRST_ITEM).reshape(shape)
        candidates = Candidates(
            scores=scores, rows=rows.reshape(shape), items=items, vectors=model.matrix, fillers=filling & np.isfinite(scores)
        )
        order = rerank(candidates, self.rules, self.values, top_k=top_k)
        listed = order.chosen != NOWHERE
        place = (order.chosen + np.arange(shape[0])[:, None] * shape[1])[listed]
        filled = candidates.fillers.ravel()[place]
        columns = [ids.take(pa.array(place)), pa.array(order.scores[listed]), pa.array(scores.ravel()[place], mask=filled)]
        offsets = np.concatenate([[0], np.cumsum(listed.sum(axis=1))])
        entries = pa.StructArray.from_arrays(columns, ["item_id", "score", "model_score"])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), entries)

    def order_one(self, listed: Pairs, model: Model, *, top_k: int, popular: Callable[[], Pairs]) -> Pairs:
        """One user's K items and final scores, best first, of a pool; popular items fill them up if the rules say so."""
        lists = _of_pairs(listed, model)
        (ordered,) = self.apply(lists, model, top_k=top_k).to_pylist()
        if self.rules.fill and len(ordered) < top_k:
            (ordered,) = self.apply(lists, model, top_k=top_k, fillers=_of_pairs(popular(), model)).to_pylist()
        return [(entry["item_id"], entry["score"]) for entry in ordered]

    def counting(self, number: int) -> pa.Table:
        """The ids (item_id) of the items that count for a quota."""
        marks = self.values.quotas[number][self.ids.places.to_numpy()]
        return pa.table({"item_id": self.ids.ids.filter(pa.array(marks))})


def _of_pairs(pairs: Pairs, model: Model) -> pa.ListArray:
    """One list of item_id and score, the ids of the type of the model's."""
    entries = [{"item_id": item_id, "score": score} for item_id, score in pairs]
    return pa.array([entries], pa.list_(pa.struct({"item_id": model.ids.type, "score": pa.float32()})))


def _places(known: SortedIds, ids: pa.Array, absent: int) -> NDArray[np.int64]:
    """The places (N,) of ids among the known ones."""
    places: NDArray[np.int64] = known.find(ids).cast(pa.int64()).fill_null(absent).to_numpy()
    return places


def _pooled(
    lists: pa.ListArray, fillers: pa.ListArray | None, pool: int
) -> tuple[pa.Array, NDArray[np.float32], NDArray[np.bool_]]:
    """The ids (N * P,) and the scores (N, P) of the first items of each list, and which of them are fillers.

    P is the pool and, with fillers, twice that: it doesn't depend on the lists, so that neither do the bits of a user's values.
    A filler that is in the list already is left out, and so has no id.
    """
    parts = [lists] if fillers is None else [lists, fillers]
    users = len(lists)
    scores, filling = np.full((users, pool * len(parts)), -np.inf, np.float32), np.zeros((users, pool * len(parts)), bool)
    filling[:, pool:] = True
    places = np.full(scores.shape, -1)
    entries, before = [], 0
    for number, part in enumerate(parts):
        lengths = list_lengths(part)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        row, kept, flat = np.repeat(np.arange(users), lengths), within < pool, part.flatten()
        places[row[kept], number * pool + within[kept]] = before + np.flatnonzero(kept)
        scores[row[kept], number * pool + within[kept]] = flat.field("score").to_numpy()[kept]
        entries.append(flat.field("item_id"))
        before += len(flat)
    ids = pa.concat_arrays(entries).take(pa.array(places.ravel(), mask=places.ravel() < 0))
    if fillers is not None:
        repeated = _repeated(ids, places, pool)
        scores[repeated] = -np.inf
    return ids, scores, filling


def _repeated(ids: pa.Array, places: NDArray[np.int64], pool: int) -> NDArray[np.bool_]:
    """Whether each candidate (N, P) behind the pool is in the user's pool, too."""
    codes = ids.dictionary_encode().indices.fill_null(-1).to_numpy().reshape(places.shape)
    width = 1 + codes.max(initial=0)
    numbers = codes + np.arange(len(codes))[:, None] * width
    repeated = np.zeros(places.shape, bool)
    repeated[:, pool:] = np.isin(numbers[:, pool:], numbers[:, :pool][codes[:, :pool] >= 0]) & (codes[:, pool:] >= 0)
    return repeated


def replaced_lists(lists: pa.ListArray, rows: NDArray[np.int64], others: pa.ListArray) -> pa.ListArray:
    """The lists (N,) with others (R,) in place of those of some rows (R,)."""
    place = np.arange(len(lists))
    place[rows] = len(lists) + np.arange(len(rows))
    return pa.concat_arrays([lists, others]).take(pa.array(place))
