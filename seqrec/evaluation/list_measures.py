"""What lists are worth beside their accuracy, in NumPy: how novel, popular, diverse and surprising the first K items are.

    novelty            mean of −log2 p(i), where p(i) is the item's share of all training events (the expected free
                       discovery of Vargas and Castells 2011); an item without an event counts as one with a single event
    popularity         mean number of training events (Yin et al. 2012, average recommendation popularity)
    long_tail          share of the items that are in the long tail (Abdollahpouri et al. 2019)
    genre_diversity    mean over all pairs of 1 − |A ∩ B| / |A ∪ B|, A and B being the genres of two items (Ziegler et al. 2005)
    vector_diversity   mean over all pairs of 1 − cosine of the items' vectors (Ziegler et al. 2005)
    serendipity        Σ max(0, P_u(i) − P(i)) / K over the held-out items i among the first K (Murakami et al. 2008), where
                       P_u(i) = (V + 1 − rank) / V in the user's list, and P(i) the same for its rank by popularity

A list without an item has none of these, and one without a pair of items with genres (or vectors) no such diversity: NaN.
Python's workers on Spark call `measure_batches`; it is NumPy and Arrow alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving.candidate_rows import slices
from seqrec.serving.sorted_ids import SortedIds

LIST_MEASURES = ("novelty", "popularity", "long_tail", "genre_diversity", "vector_diversity", "serendipity")
LIST_FAULTS = ("short_lists", "repeated_items", "seen_items", "unknown_items")  # 1 for a list that has the fault, else 0
HEAD_SHARE = 0.8  # of the training events: the items beyond those that have so much of them are the long tail
ABSENT = -1  # the place of an item that the dataset lacks, and of no item

Places = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    """The V items of a dataset by their place, which is their index less FIRST_ITEM: ids, training events, genres, vectors.

    genres      (V, G) which genres each item has; None: no table says them
    vectors     (V, D) of length 1, or 0 for an item without one; None: there are none
    """

    ids: SortedIds
    counts: NDArray[np.int64]  # (V,)
    genres: NDArray[np.bool_] | None = None
    vectors: NDArray[np.float32] | None = None

    @cached_property
    def novelty(self) -> Values:
        """(V,): −log2 of each item's share of the training events.

        >>> ItemFacts(ids=SortedIds.of(pa.array(["a", "b", "c"])), counts=np.array([6, 2, 0])).novelty.round(3).tolist()
        [0.415, 2.0, 3.0]
        """
        shared: Values = -np.log2(np.maximum(self.counts, 1) / max(1, self.counts.sum()))
        return shared

    @cached_property
    def tail(self) -> NDArray[np.bool_]:
        """(V,): which items are beyond the fewest that have HEAD_SHARE of the training events; ties in the order of the items.

        >>> ItemFacts(ids=SortedIds.of(pa.array(["a", "b", "c", "d"])), counts=np.array([2, 7, 1, 0])).tail.tolist()
        [False, False, True, True]
        """
        least, last = self.end_of_head
        beyond: NDArray[np.bool_] = (self.counts < least) | ((self.counts == least) & (np.arange(len(self.counts)) > last))
        return beyond

    @cached_property
    def end_of_head(self) -> tuple[int, int]:
        """The training events and the place of the last item that isn't in the tail: those after it, by both, are."""
        order = np.argsort(-self.counts, kind="stable")
        before = np.cumsum(self.counts[order]) - self.counts[order]
        last = order[max(0, np.count_nonzero(before < HEAD_SHARE * self.counts.sum()) - 1)]
        return int(self.counts[last]), int(last)

    @cached_property
    def popularity_ranks(self) -> Places:
        """(V,): one more than the number of items with more training events; V + 1 for an item without any.

        >>> ItemFacts(ids=SortedIds.of(pa.array(["a", "b", "c", "d"])), counts=np.array([2, 7, 2, 0])).popularity_ranks.tolist()
        [2, 1, 2, 5]
        """
        ascending = np.sort(self.counts)
        ranks = 1 + len(ascending) - np.searchsorted(ascending, self.counts, side="right")
        return np.where(self.counts > 0, ranks, len(ascending) + 1)


def measure_batches(batches: Iterator[pa.RecordBatch], *, facts: Callable[[], ItemFacts], k: int) -> Iterator[pa.RecordBatch]:
    """user_id, LIST_MEASURES and LIST_FAULTS of batches of user_id, targets, ranks, items and seen; NaN becomes null.

    Items are indices, or structs with an item_id.
    """
    items = facts()
    for batch in batches:
        for users in slices(batch):
            values = list_values(users, items, k=k)
            columns = {name: pa.array(value, pa.float64(), from_pandas=True) for name, value in values.items()}
            yield pa.RecordBatch.from_pydict({"user_id": users.column("user_id"), **columns})


def list_values(users: pa.RecordBatch, facts: ItemFacts, *, k: int) -> dict[str, Values]:
    """Each of LIST_MEASURES and LIST_FAULTS (N,) of N users' lists; the measures are of the first k items.

    A list of fewer than k items is short. An item is seen if it is in `seen` and none of the targets.
    """
    places, codes = _places(users.column("items"), facts)
    seen, targets = (Ragged.of_arrow(users.column(name)) for name in ("seen", "targets"))
    first = first_places(places, k)  # (N, K)
    ranks = Ragged(Ragged.of_arrow(users.column("ranks")).values, targets.offsets)
    had = _within(places, _as_places(seen)) & ~_within(places, _as_places(targets))
    faulty = {
        "short_lists": places.lengths < k,
        "repeated_items": _any_in(places, _repeats(codes)),
        "seen_items": _any_in(places, had),
        "unknown_items": _any_in(places, places.values == ABSENT),
    }
    return {
        "novelty": mean_of(first, facts.novelty),
        "popularity": mean_of(first, facts.counts),
        "long_tail": mean_of(first, facts.tail),
        "genre_diversity": genre_diversity(first, facts.genres),
        "vector_diversity": vector_diversity(first, facts.vectors),
        "serendipity": np.where(places.lengths > 0, serendipity(ranks, _as_places(targets), facts, k=k), np.nan),
        **{name: marks.astype(np.float64) for name, marks in faulty.items()},
    }


def first_places(lists: Ragged, k: int) -> Places:
    """The first k places of each list (N, K), ended by ABSENT.

    >>> first_places(Ragged.of([[5, 7, 8], [], [3]]), 2).tolist()
    [[5, 7], [-1, -1], [3, -1]]
    """
    first = lists.oldest(k)
    filled = np.full((len(first), k), ABSENT)
    filled[first.rows, np.arange(len(first.values)) - first.offsets[first.rows]] = first.values
    return filled


def mean_of(first: Places, values: NDArray[np.generic]) -> Values:
    """(N,): the mean of the items' values in each list of places (N, K); NaN for a list without an item.

    >>> mean_of(np.array([[0, 1], [1, -1], [-1, -1]]), np.array([2, 4])).tolist()
    [3.0, 4.0, nan]
    """
    there = first != ABSENT
    return _ratio(np.where(there, values[first].astype(np.float64), 0.0).sum(axis=1), there.sum(axis=1))


def genre_diversity(first: Places, genres: NDArray[np.bool_] | None) -> Values:
    """(N,): the mean distance of two items' genres in lists of places (N, K); pairs of which one has no genre don't count.

    >>> genre_diversity(np.array([[0, 1, 2], [0, 2, -1]]), np.array([[1, 1], [1, 0], [0, 0]], bool)).tolist()
    [0.5, nan]
    """
    if genres is None:
        return np.full(len(first), np.nan)
    of_items = ((first != ABSENT)[:, :, None] & genres[first]).astype(np.float32)  # (N, K, G)
    sizes = of_items.sum(axis=2)  # (N, K)
    common = of_items @ of_items.transpose(0, 2, 1)  # (N, K, K)
    either = sizes[:, :, None] + sizes[:, None, :] - common
    pairs = (sizes > 0)[:, :, None] & (sizes > 0)[:, None, :] & np.triu(np.ones(common.shape[1:], bool), 1)
    distances = np.where(pairs, 1 - common / np.where(either > 0, either, 1), 0)
    return _ratio(distances.sum(axis=(1, 2), dtype=np.float64), pairs.sum(axis=(1, 2)))


def vector_diversity(first: Places, vectors: NDArray[np.float32] | None) -> Values:
    """(N,): one less the mean cosine of two items' vectors in lists of places (N, K); items without a vector don't count.

    The cosines of all pairs of n vectors of length 1 add up to (|Σ v|² − n) / 2, so no pair is looked at.

    >>> vector_diversity(np.array([[0, 1, 2], [0, 2, -1]]), np.array([[1, 0], [0, 1], [0, 0]], np.float32)).tolist()
    [1.0, nan]
    """
    if vectors is None:
        return np.full(len(first), np.nan)
    of_items = np.where((first != ABSENT)[:, :, None], vectors[first], 0)  # (N, K, D)
    number = of_items.any(axis=2).sum(axis=1)  # (N,)
    squared = (of_items.sum(axis=1, dtype=np.float64) ** 2).sum(axis=1)
    return 1 - _ratio(squared - number, number * (number - 1))


def serendipity(ranks: Ragged, targets: Ragged, facts: ItemFacts, *, k: int) -> Values:
    """(N,): how unexpected the targets are that have a rank of at most k, a rank of 0 being a miss; 0 without such a target.

    The second of three items by popularity at the first place is a third better than expected, of which a list of 2 has half.

    >>> facts = ItemFacts(ids=SortedIds.of(pa.array(["a", "b", "c"])), counts=np.array([3, 2, 1]))
    >>> serendipity(Ragged.of([[1], [1], [0]]), Ragged.of([[1], [0], [2]]), facts, k=2).round(3).tolist()
    [0.167, 0.0, 0.0]
    """
    hits = (ranks.values > 0) & (ranks.values <= k) & (targets.values != ABSENT)
    better = np.maximum(0, facts.popularity_ranks[targets.values] - ranks.values) / len(facts.counts)
    return np.bincount(ranks.rows, np.where(hits, better, 0.0), minlength=len(ranks)) / k


def _places(items: pa.ListArray, facts: ItemFacts) -> tuple[Ragged, Ragged]:
    """The places of the items in lists, and numbers that are equal where their ids are."""
    lengths = items.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    entries = items.flatten()
    if not pa.types.is_struct(entries.type):
        indices = entries.to_numpy().astype(np.int64)
        return _as_places(Ragged(indices, offsets)), Ragged(indices, offsets)
    ids = entries.field("item_id")
    places = facts.ids.find(ids).cast(pa.int64()).fill_null(ABSENT).to_numpy()
    return Ragged(places, offsets), Ragged(ids.dictionary_encode().indices.to_numpy().astype(np.int64), offsets)


def _as_places(indices: Ragged) -> Ragged:
    """Lists of item indices as places."""
    return Ragged(indices.values - FIRST_ITEM, indices.offsets)


def _within(items: Ragged, lists: Ragged) -> NDArray[np.bool_]:
    """Whether each place of N lists is in the list of the same number; ABSENT is in none."""
    width = 1 + max(items.values.max(initial=0), lists.values.max(initial=0))
    there = np.isin(items.rows * width + items.values, lists.rows * width + lists.values)
    known: NDArray[np.bool_] = there & (items.values != ABSENT)
    return known


def _repeats(codes: Ragged) -> NDArray[np.bool_]:
    """Whether each number of N lists stands earlier in its list, too."""
    keys = codes.rows * (1 + codes.values.max(initial=0)) + codes.values
    repeats = np.ones(len(keys), bool)
    repeats[np.unique(keys, return_index=True)[1]] = False
    return repeats


def _any_in(lists: Ragged, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,): whether any value of each list is marked."""
    marked: NDArray[np.bool_] = np.bincount(lists.rows[marks], minlength=len(lists)) > 0
    return marked


def _ratio(sums: NDArray[np.generic], numbers: NDArray[np.int64]) -> Values:
    """The sums by their numbers; NaN where that is 0."""
    return np.divide(sums, numbers, out=np.full(len(sums), np.nan), where=numbers > 0)
