"""How alike candidates are: the cosine of their vectors, of all pairs at once or of one candidate to the others at a time.

All pairs take P * P * D multiplications a user in large products. One at a time takes K * P * D in small ones, each of which
costs several times as much, unless the users' vectors stay near the processor meanwhile (see `rerank.NEAR`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.reranking.candidates import Candidates, Integers

MOST_SQUARE = 1000  # candidates of a user of whom all pairs are held in memory, 4 MB
WORTH = 5  # all pairs are computed from a fifth of the pool's places on

Vectors = NDArray[np.float32]


def all_pairs(*, pool: int, places: int) -> bool:
    """Whether all pairs of a pool are computed at once, of which so many are taken."""
    return pool <= MOST_SQUARE and places * WORTH > pool


@dataclass(frozen=True)
class Likeness:
    """The vectors (N, P, D) of candidates, 1 / their lengths (N, P), and the products (N, P, P) of them if all are computed.

    A filler and a candidate without a vector have 0 in place of 1 / length: they are like no other.
    """

    rows: Vectors
    scales: Vectors
    weight: np.float32  # of a cosine, 1 - λ
    pairs: Vectors | None

    @classmethod
    def of(cls, candidates: Candidates, mmr_lambda: float, *, places: int) -> "Likeness":
        """Of candidates of whom so many are taken; the way depends on the settings alone, so that the bits of a value do, too."""
        known = (candidates.items >= 0) & ~candidates.fillers
        rows = candidates.vectors[np.where(known, candidates.items, 0)]
        square = all_pairs(pool=rows.shape[1], places=places)
        pairs = np.matmul(rows, rows.transpose(0, 2, 1)) if square else None  # (N, P, D) @ (N, D, P)
        return cls(rows, np.where(known, inverse_lengths(rows), np.float32(0)), np.float32(1 - mmr_lambda), pairs)

    def to(self, chosen: Integers) -> Vectors:
        """The weighed cosines (N, P) of each user's candidates to the chosen one (N,)."""
        users = np.arange(len(chosen))
        if self.pairs is not None:
            products = self.pairs[users, chosen]
        else:
            latest = self.rows[users, chosen]
            products = np.einsum("npd,nd->np", self.rows, latest)  # takes half the time of matmul
        weights = self.scales[users, chosen] * self.weight
        alike: Vectors = products * self.scales * weights[:, None]
        return alike


def inverse_lengths(vectors: Vectors) -> Vectors:
    """1 / the length of vectors (…, D) -> (…); 0 for a vector of zeros.

    >>> inverse_lengths(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32)).tolist()
    [0.20000000298023224, 0.0]
    """
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    inverse: Vectors = (lengths > 0) / np.where(lengths > 0, lengths, np.float32(1))
    return inverse
