"""Why an item is in a list: the items of the user's history that speak most for it, by the exported model alone.

    Explainer.of(model, Explanation(most=3)).add_reasons(lists, histories, hashes)     # `because` in each entry

Two ways to say how much an item h of the history speaks for a recommended item j; both are a product of two vectors:

    vectors   cos(m_h, m_j) of their rows of the item matrix: what `Recommender.neighbours` calls alike. It says that the user
              had something like j, as item-based recommenders do (Sarwar et al. 2001, "Item-based collaborative filtering
              recommendation algorithms", section 3.1.1), and costs no run of the encoder.
    drop      (q - q_without_h) · (m_j - mean of the rows): how much of j's score, above the average item's, is lost if the user
              had never had h (the influence of Bilgic & Mooney 2005, "Explaining recommendations", section 3.3; leave one out).
              The rows' mean is taken off because a softmax doesn't change if all scores rise alike. It costs a run of the
              encoder for each item of the history.

Attention isn't one of them: the query of a history attends without knowing j, so its weights are the same for the whole list, and
needn't say what a score depends on (Jain & Wallace 2019, "Attention is not explanation").

An item speaks for another only by a score above 0, and never for itself. Of a history the distinct items count that the model's
window holds. A user without a query has no reasons, nor has an item that the model doesn't know. docs/serving.md says how much of
what `drop` finds is found by `vectors`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.ragged import Ragged
from seqrec.reranking.likeness import inverse_lengths
from seqrec.serving.model import Model
from seqrec.serving.product import products
from seqrec.serving.queries import length_classes
from seqrec.serving.topk import NONE, Items

By = Literal["vectors", "drop"]
Vectors = NDArray[np.float32]

BLOCK = 2**18  # products, or numbers of vectors, at a time: 1 MiB, which stays near the processor


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """How items are explained: by at most so many items of the history each; UserError for less than one, or another way."""

    most: int
    by: By = "vectors"

    def __post_init__(self) -> None:
        """Check both."""
        if self.most < 1:
            raise UserError(f"{self.most} items of the history can't explain an item: ask for at least 1")
        if self.by not in get_args(By):
            raise UserError(f"by={self.by!r}: items are explained by {' or by '.join(get_args(By))}")


@dataclass(frozen=True, kw_only=True)
class Support:
    """What speaks for items: the distinct items of N histories (T in all), newest last, none longer than `longest`.

    `had` gives vectors of entries of the histories (0 to T - 1), `listed` those of items: the product of two says how much one
    speaks for the other. Both are called for some of the users at a time: all vectors together may not fit into memory.
    """

    dim: int  # D
    histories: Ragged
    had: Callable[[Items], Vectors]  # (B, L) -> (B, L, D)
    listed: Callable[[Items], Vectors]  # (B, K) -> (B, K, D)
    longest: int

    def strongest(self, lists: Ragged, most: int) -> tuple[Items, Vectors]:
        """Of each of the M items in N lists the items of the history that speak most for it, and how much, both (M, most).

        The strongest come first, of equal ones the newer; where fewer have a score above 0, NONE and 0 follow. Users are computed
        together whose lists and histories have the same lengths (see `length_classes`), so nothing depends on who else is there.

        >>> vectors, ones = np.float32([[1], [3], [-1]]), lambda items: np.ones((*items.shape, 1), np.float32)
        >>> support = Support(dim=1, histories=Ragged.of([[2, 3, 4]]), had=vectors.__getitem__, listed=ones, longest=3)
        >>> [found.tolist() for found in support.strongest(Ragged.of([[7, 3]]), 2)]
        [[[3, 2], [2, -1]], [[3.0, 1.0], [1.0, 0.0]]]
        """
        items = np.full((len(lists.values), most), NONE)
        scores = np.zeros((len(lists.values), most), np.float32)
        for users, length, width in self._alike(lists.lengths):
            entries = lists.offsets[users][:, None] + np.arange(length)  # (B, K)
            listed = lists.values[entries]
            history, vectors = self._padded(users, width)  # (B, L), (B, L, D)
            speaking = products(self.listed(listed), vectors)  # (B, K, L)
            itself = listed.astype(np.int32)[:, :, None] == history.astype(np.int32)[:, None, :]
            if itself.any():
                speaking[itself] = 0
            flat, row = speaking.reshape(-1, width), np.arange(listed.size)  # (B * K, L)
            for place in range(min(most, width)):
                best = flat.argmax(axis=1)
                strength = flat[row, best]
                items[entries.ravel(), place] = np.where(strength > 0, history[row // length, best], NONE)
                scores[entries.ravel(), place] = np.maximum(strength, 0)
                flat[row, best] = 0
        return items, scores

    def _alike(self, listed: Items) -> Iterator[tuple[Items, int, int]]:
        """Users with lists of one length and histories of one class of lengths: their rows, the length, the class's length.

        So many at a time that their products, and the numbers in their vectors, are at most BLOCK; users without a list or a
        history are left out.
        """
        classes, had = length_classes(self.longest), self.histories.lengths
        shapes = np.stack([listed, np.searchsorted(classes, had)], axis=1)
        some = (listed > 0) & (had > 0)
        for length, number in np.unique(shapes[some], axis=0).tolist():
            users, width = np.flatnonzero(some & (shapes == (length, number)).all(axis=1)), int(classes[number])
            size = max(1, BLOCK // max(length * width, (length + width) * self.dim))
            for first in range(0, len(users), size):
                yield users[first : first + size], length, width

    def _padded(self, users: Items, width: int) -> tuple[Items, Vectors]:
        """The items (B, L) of the histories of users, newest first, and their vectors (B, L, D); zeros beyond the oldest."""
        places = self.histories.offsets[users + 1][:, None] - 1 - np.arange(width)
        beyond = places < self.histories.offsets[users][:, None]
        places = np.maximum(places, 0)
        items, vectors = self.histories.values[places], self.had(places)
        items[beyond], vectors[beyond] = PADDING, 0
        return items, vectors


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """A model and how its lists are explained; `batch_users` histories are in a run of the encoder."""

    model: Model
    explanation: Explanation
    batch_users: int = 256

    def add_reasons(self, lists: pa.ListArray, histories: Ragged, hashes: NDArray[np.int64]) -> pa.ListArray:
        """N lists of structs with an item_id, whoever made them, with `because` in each: a list of item_id and score.

        Histories are of item indices, the hashes (N,) say whose they are.
        """
        entries = lists.flatten()
        rows = self.model.sorted_ids.find(entries.field("item_id")).cast(pa.int64())
        listed = rows.fill_null(PADDING - FIRST_ITEM).to_numpy() + FIRST_ITEM
        offsets = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())])
        reasons = _reason_lists(*self.strongest(Ragged(listed, offsets), histories, hashes), self.model.ids)
        names = [field.name for field in entries.type]
        fields = [*(entries.field(name) for name in names), reasons]
        longer = pa.StructArray.from_arrays(fields, [*names, "because"])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), longer)

    def reasons(self, items: list[int | str], history: Ragged, hashes: NDArray[np.int64]) -> list[list[tuple[int | str, float]]]:
        """What speaks most for each of the items of one user, and how much, by original ids."""
        kind = pa.list_(pa.struct([("item_id", self.model.ids.type)]))
        lists = pa.array([[{"item_id": item} for item in items]], kind)
        [entries] = self.add_reasons(lists, history, hashes).to_pylist()
        return [[(why["item_id"], why["score"]) for why in entry["because"]] for entry in entries]

    def strongest(self, lists: Ragged, histories: Ragged, hashes: NDArray[np.int64]) -> tuple[Items, Vectors]:
        """What speaks most for each item of N lists of item indices, see `Support.strongest`; PADDING is an unknown item.

        Each item has as many places as the explanation asks for, but at most those of the model's window.
        """
        known = self.model.without_unknown(histories)
        window, most = known.newest(self.model.max_len).newest_once(), min(self.explanation.most, self.model.max_len)
        if self.explanation.by == "vectors":
            return self._by_vectors(window).strongest(lists, most)
        parts = [(np.zeros((0, most), np.int64), np.zeros((0, most), np.float32))]
        for first in range(0, len(lists), self.batch_users):
            users = np.arange(first, min(first + self.batch_users, len(lists)))
            support = self._by_drop(window.take(users), known.take(users), hashes[users])
            parts.append(support.strongest(lists.take(users), most))
        items, scores = zip(*parts, strict=True)
        return np.concatenate(items), np.concatenate(scores)

    def _by_vectors(self, window: Ragged) -> Support:
        """Items speak for those that are like them."""
        return Support(
            dim=self.model.matrix.shape[1],
            histories=window,
            had=lambda entries: self._directions(window.values[entries]),
            listed=self._directions,
            longest=self.model.max_len,
        )

    def _by_drop(self, window: Ragged, known: Ragged, hashes: NDArray[np.int64]) -> Support:
        """Items speak for those whose scores need them."""
        lost = np.repeat(self.model.encode(known, self.batch_users, hashes), window.lengths, axis=0)  # (T, D)
        blocks = np.cumsum(window.lengths * known.lengths) // BLOCK
        for number in np.unique(blocks):
            entries = np.flatnonzero(blocks[window.rows] == number)
            users = window.rows[entries]
            histories = known.take(users)
            without = histories.where(histories.values != np.repeat(window.values[entries], histories.lengths))
            lost[entries] -= self.model.encode(without, self.batch_users, hashes[users])
        return Support(
            dim=lost.shape[1],
            histories=window,
            had=lambda entries: lost[entries],
            listed=self._above_average,
            longest=self.model.max_len,
        )

    def _directions(self, items: Items) -> Vectors:
        """The items' rows of the matrix with length 1, (…, D); zeros for PADDING."""
        rows = self._rows(items)
        rows *= inverse_lengths(rows)[..., None]
        return rows

    def _above_average(self, items: Items) -> Vectors:
        """The items' rows of the matrix less the mean of those that may be recommended, (…, D); zeros for PADDING."""
        rows = self._rows(items)
        rows[items != PADDING] -= self.model.mean_row
        return rows

    def _rows(self, items: Items) -> Vectors:
        """A copy of the items' rows of the matrix, (…, D); zeros for PADDING."""
        rows = np.asarray(self.model.matrix)[items]
        unknown = items == PADDING
        if unknown.any():
            rows[unknown] = 0
        return rows


def _reason_lists(items: Items, scores: Vectors, ids: pa.Array) -> pa.ListArray:
    """Item indices and scores (M, n), NONE where there is none, as M lists of structs with the original ids."""
    there = items != NONE
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(there, axis=1))])
    fields = [ids.take(pa.array(items[there] - FIRST_ITEM)), pa.array(scores[there])]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(fields, ["item_id", "score"]))
