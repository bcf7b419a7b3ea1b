"""How often the items of a model had a training event in each segment of users, such as a country: popular lists by segment."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class SegmentPopularity:
    """The items with the most events of each segment, and their numbers of events; both (C,), and C differs between segments."""

    items: Mapping[str, NDArray[np.int64]]
    counts: Mapping[str, NDArray[np.int64]]

    def matrix(self, segment: str | None, overall: Counts) -> Counts:
        """The popularity (V + 2, 1) of a segment: its events of each item and, below 1, the item's share of all events.

        So items that tie in a segment, or that it never had, are in the order of all users. Of an unknown segment it is `overall`
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
        return matrix
