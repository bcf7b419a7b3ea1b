"""How often the items of a model had a training event in each segment of users, such as a country: popular lists by segment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.topk import NONE, BlockSizes, Catalogue, Items, Lists, top_k

USERS = 256  # whose places in a popular list are in memory together

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class SegmentPopularity:
    """The items with the most events of each segment, and their numbers of events; both (C,), and C differs between segments."""

    items: Mapping[str, NDArray[np.int64]]
    counts: Mapping[str, NDArray[np.int64]]

    def matrix(self, segment: str | None, overall: Counts) -> Counts:
        """The popularity (V + 2, 1) of a segment: its events of each item and, below 1, the item's share of all events.

        So items that tie in a segment, or that it never had, are in the order of all users. The numbers are those that single
        precision holds, as lists have them, so that ties here are those of the lists. Of an unknown segment it is `overall`
        (V + 2, 1), the events of all users.

        >>> popularity = SegmentPopularity({"FR": np.array([3])}, {"FR": np.array([2])})
        >>> popularity.matrix("FR", np.array([[0.0], [0.0], [8.0], [1.0]])).ravel().round(2).tolist()
        [0.0, 0.0, 0.8, 2.1]
        """
        if segment is None or segment not in self.items:
            return overall
        known = self.items[segment] < len(overall)
        matrix: Counts = overall / (overall.sum() + 1)
        matrix[self.items[segment][known], 0] += self.counts[segment][known]
        rounded: Counts = matrix.astype(np.float32).astype(np.float64)
        return rounded


@dataclass(frozen=True)
class SegmentLists:
    """Popular lists by segment, of popular items by the events of all users; a segment's items are put in order once."""

    popularity: SegmentPopularity
    popular: Catalogue
    sizes: BlockSizes
    kept: dict[str | None, Lists] = field(default_factory=dict)  # items and scores (C,) of segments

    def lists(self, seen: Ragged, segments: NDArray[np.object_], k: int) -> Lists:
        """The most popular items of the segment of each user that the user hasn't seen, and their scores: both (N, K).

        Short lists are ended by NONE.
        """
        items, scores = np.full((len(seen), k), NONE), np.full((len(seen), k), -np.inf, np.float32)
        members = dict[str | None, list[int]]()
        for row, name in enumerate(segments.tolist()):
            members.setdefault(name, []).append(row)
        for name, listed in members.items():
            rows = np.array(listed)
            best = self._best(name, k + int(seen.lengths[rows].max()))
            for part in np.array_split(rows, 1 + len(rows) // USERS):
                items[part], scores[part] = unseen(best, seen.take(part), k)
        return items, scores

    def _best(self, segment: str | None, length: int) -> Lists:
        """At least so many popular items (C,) of a segment and their scores, best first, or all of them."""
        there = max(1, len(self.popular.items))
        kept = self.kept.get(segment)
        if kept is None or len(kept[0]) < min(length, there):
            counted = replace(self.popular, matrix=self.popularity.matrix(segment, self.popular.matrix))
            k = min(1 << length.bit_length(), there)  # a few lengths do for all users
            items, scores = top_k(np.ones((1, 1)), counted, k=k, seen=Ragged.of([[]]), sizes=self.sizes)
            kept = self.kept[segment] = (items[0], scores[0])
        return kept


def unseen(best: Lists, seen: Ragged, k: int) -> Lists:
    """The first K of one list (C,) of items and scores that aren't in the `seen` of each of N users, both (N, K).

    >>> items, scores = unseen((np.array([7, 5, 9]), np.array([3.0, 2.0, 1.0])), Ragged.of([[5, 8], []]), 2)
    >>> items.tolist(), scores.tolist()
    ([[7, 9], [7, 5]], [[3.0, 1.0], [3.0, 2.0]])
    """
    items, scores = np.full((len(seen), k), NONE), np.full((len(seen), k), -np.inf, np.float32)
    listed: Items = best[0]
    order, free = np.argsort(listed), np.ones((len(seen), len(listed)), bool)
    known = seen.where(np.isin(seen.values, listed))
    free[known.rows, order[np.searchsorted(listed, known.values, sorter=order)]] = False
    places = np.cumsum(free, axis=1) - 1
    rows, columns = np.nonzero(free & (places < k))
    items[rows, places[rows, columns]], scores[rows, places[rows, columns]] = listed[columns], best[1][columns]
    return items, scores
