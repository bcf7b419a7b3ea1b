"""How alike candidates are: the cosine of their vectors, of all pairs at once or of one candidate to the others at a time.

All pairs take P * P * D multiplications a user in large products. One at a time takes K * P * D in small ones, each of which
costs several times as much.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.reranking.candidates import Candidates, Integers

MOST_SQUARE = 1000  # candidates of a user of whom all pairs are held in memory, 4 MB
WORTH = 5  # all pairs are computed from a fifth of the pool's places on

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Likeness:
    """The directions (N, P, D) of candidates, the weight of similarity, and the weighed cosines (N, P, P) if all are computed."""

    directions: Vectors
    weight: np.float32
    pairs: Vectors | None

    @classmethod
    def of(cls, candidates: Candidates, mmr_lambda: float, *, places: int) -> "Likeness":
        """Of candidates of whom so many are taken; the way depends on the settings alone, so that the bits of a value do, too."""
        lengths, weight = directions(candidates), np.float32(1 - mmr_lambda)
        pool = lengths.shape[1]
        square = pool <= MOST_SQUARE and places * WORTH > pool
        pairs = np.matmul(lengths * weight, lengths.transpose(0, 2, 1)) if square else None  # (N, P, D) @ (N, D, P)
        return cls(lengths, weight, pairs)

    def to(self, users: Integers, chosen: Integers) -> Vectors:
        """The weighed cosines (N, P) of all candidates to the chosen one (U,) of some users; 0 for other users."""
        if self.pairs is not None and len(users) == len(self.pairs):
            return self.pairs[users, chosen]
        if self.pairs is not None:
            cosines = np.zeros(self.pairs.shape[:2], np.float32)
            cosines[users] = self.pairs[users, chosen]
            return cosines
        latest = np.zeros((len(self.directions), self.directions.shape[2], 1), np.float32)
        latest[users, :, 0] = self.directions[users, chosen] * self.weight
        alike: Vectors = np.matmul(self.directions, latest)[:, :, 0]  # (N, P, D) @ (N, D, 1) -> (N, P)
        return alike


def directions(candidates: Candidates) -> Vectors:
    """The candidates' vectors (N, P, D) at length 1; zeros for a filler and for an item without one: it is like no other."""
    known = (candidates.items >= 0) & ~candidates.fillers
    rows = candidates.vectors[np.where(known, candidates.items, 0)] * known[:, :, None]
    norms = np.sqrt(np.einsum("npd,npd->np", rows, rows))[:, :, None]
    lengths: Vectors = rows / np.where(norms > 0, norms, np.float32(1))
    return lengths
