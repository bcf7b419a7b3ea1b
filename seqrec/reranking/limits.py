"""Caps and quotas while lists are made: what they leave, or press for, changes with each item that is taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.reranking.rules import Cap, Quota

Marks = NDArray[np.bool_]
Integers = NDArray[np.int64]


ROOM = 8  # floats for the number of a candidate's value, while it is made


def users_within(values: Ragged, *, pool: int, floats: int) -> int:
    """For how many users, of P candidates each, a `CapLimit` takes no more memory than so many floats; at least 1.

    It has numbers of M values for each candidate, and counts of the values that occur: no more than there are in all, nor than
    N * P * M, so that N * N * P * M bounds them.

    >>> users_within(Ragged.of([[1, 2], [3]]), pool=10, floats=1600)
    10
    """
    width = max(1, pool * int(values.lengths.max(initial=1)))
    counts = 1 + int(values.values.max(initial=0))
    return max(1, min(floats // (ROOM * width), max(2 * floats // counts, isqrt(2 * floats // width))))


@dataclass
class CapLimit:
    """A cap at work: the numbers of the candidates' values, and how often each was chosen."""

    most: int
    numbers: NDArray[np.int32]  # (N, P, M), 0 for none
    taken: NDArray[np.uint16]  # (N, G + 1)

    @classmethod
    def of(cls, cap: Cap, values: Ragged, rows: Integers) -> "CapLimit":
        """Of candidates' rows (N, P): values are numbered anew, as those of a few users are a small part of all."""
        width = int(values.lengths[rows].max(initial=0))
        numbers = values.left_padded(rows.ravel(), width).reshape(*rows.shape, width)
        there = np.zeros(1 + values.values.max(initial=0), dtype=np.int64)
        there[numbers] = 1
        there[0] = 0
        anew = np.where(there > 0, np.cumsum(there), 0).astype(np.int32)
        taken = np.zeros((len(rows), 1 + int(there.sum())), np.uint16)
        return cls(cap.most, anew[numbers], taken)

    def note(self, users: Integers, chosen: Integers, values: NDArray[np.float64]) -> None:
        """Count the chosen candidates (U,) of some users; those of a value that is full now get the value -inf of (N, P)."""
        for numbers in self.numbers[users, chosen].T:
            self.taken[users, numbers] += 1
            full = np.flatnonzero((self.taken[users, numbers] == self.most) & (numbers > 0))
            if len(full):
                reached = users[full]
                among = (self.numbers[reached] == numbers[full, None, None]).any(axis=2)
                values[reached] = np.where(among, -np.inf, values[reached])


@dataclass
class Wanted:
    """Quotas at work: which candidates count for each, and how many each user still lacks; never more than there are."""

    marks: Marks  # (Q, N, P)
    lacking: Integers  # (N, Q)

    @classmethod
    def of(cls, quotas: Sequence[Quota], marks: Sequence[Marks], there: Marks) -> "Wanted":
        """Of the marks (N, P) of each quota and of the candidates that are there."""
        counted = np.stack([mark & there for mark in marks]) if marks else np.zeros((0, *there.shape), bool)
        least = np.array([quota.least for quota in quotas], dtype=np.int64)
        return cls(counted, np.minimum(least, counted.sum(axis=2).T))

    def needed(self, left: int) -> Marks:
        """(N, P): the candidates that must be chosen from with so many places left; all, where nothing presses."""
        pressed = self.lacking.sum(axis=1) >= max(1, left)
        counting = (self.marks & (self.lacking.T > 0)[:, :, None]).any(axis=0)
        needed: Marks = counting | ~pressed[:, None]
        return needed

    def note(self, users: Integers, chosen: Integers) -> None:
        """Count the chosen candidates (U,) of some users."""
        self.lacking[users] = np.maximum(0, self.lacking[users] - self.marks[:, users, chosen].T)
