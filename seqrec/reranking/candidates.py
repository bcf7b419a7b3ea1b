"""What lists are chosen from: users' candidates as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The candidates of N users, P each, the model's best first; those that aren't there have the score -inf.

    `rows` (N, P) are those of `ItemValues`. `vectors` has the vectors of items (…, D), and `items` (N, P) say which row of them
    is whose, -1 for an item without one. `fillers` (N, P) are popular items, which come behind all others.
    """

    scores: NDArray[np.float32]
    rows: Integers
    items: Integers
    vectors: NDArray[np.float32]
    fillers: Marks

    def part(self, users: slice) -> "Candidates":
        """The candidates of some users."""
        return Candidates(
            scores=self.scores[users],
            rows=self.rows[users],
            items=self.items[users],
            vectors=self.vectors,
            fillers=self.fillers[users],
        )
