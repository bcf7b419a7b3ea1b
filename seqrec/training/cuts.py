"""Shorter windows than the dataset's: each row of the table windows is cut anew in every epoch.

    a row of 12 items, max_len 4, overlap 1          targets

    . . . . . . . 8 9 10 11 12                       10 to 12, as the next window has the target 9
    . . . . 5 6 7 8 9                                7 to 9
    . 2 3 4 5 6                                      4 to 6
    1 2 3                                            2 and 3

A window begins with `overlap` items whose successors the older window predicts, so that every prediction but those of a row's
first items has some context. With a shift, half of the rows end some events earlier, so that a window ends elsewhere each time.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.indices import PADDING

Rows = NDArray[np.int32]
"""(N, 2 + width): the user's row among those with embeddings, how many of the first targets are another window's, the items."""

SHORTEST = 2  # items: one to predict and one to predict it from


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How rows of a dataset's windows become windows of at most max_len + 1 items."""

    max_len: int
    overlap: int  # less than max_len
    shift: int  # most events that are left out at a row's end
    keeps_older: bool = False  # whether what stands before a window in its row comes with it

    def count(self, lengths: NDArray[np.int64]) -> int:
        """How many windows rows of these lengths (N,) have, without a shift.

        >>> Cut(max_len=4, overlap=1, shift=0).count(np.array([2, 5, 6, 12]))
        8
        """
        further = np.maximum(0, lengths - self.max_len - 1)
        return int((1 + -(-further // (self.max_len - self.overlap))).sum())

    def windows(self, rows: Rows, rng: np.random.Generator) -> Rows:
        """Rows (N, 2 + width) of the dataset's windows as rows (M, 2 + max_len + 1) of their windows: see Rows.

        With keeps_older they are as wide as before: the window is the last max_len + 1 columns, its older items are before it.

        >>> rows = np.array([[8, 0, *[0] * 10, 1, 2], [9, 0, *range(1, 13)]])
        >>> Cut(max_len=4, overlap=1, shift=0).windows(rows, np.random.default_rng(1)).tolist()
        [[8, 0, 0, 0, 0, 1, 2], [9, 1, 8, 9, 10, 11, 12], [9, 1, 5, 6, 7, 8, 9], [9, 1, 2, 3, 4, 5, 6], [9, 0, 0, 0, 1, 2, 3]]
        """
        lengths = np.count_nonzero(rows[:, 2:], axis=1)
        owners, ends, found = np.arange(len(rows)), self._ends(lengths, rng), []
        while len(owners):
            starts = np.maximum(0, ends - self.max_len - 1)
            found.append((owners, starts, ends))
            older = starts > 0
            owners, ends = owners[older], starts[older] + self.overlap + 1
        owners, starts, ends = (np.concatenate(part) for part in zip(*found, strict=True))
        width = rows.shape[1] - 2 if self.keeps_older else self.max_len + 1
        columns = (rows.shape[1] - lengths[owners] + ends)[:, None] + np.arange(-width, 0)  # (M, width)
        items = np.take_along_axis(rows[owners], np.maximum(0, columns), axis=1)
        first = 0 if self.keeps_older else starts
        items[columns < (rows.shape[1] - lengths[owners] + first)[:, None]] = PADDING
        cut: Rows = np.column_stack([rows[owners, 0], np.where(starts > 0, self.overlap, 0), items]).astype(rows.dtype)
        return cut[np.argsort(owners, kind="stable")]

    def _ends(self, lengths: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Where the newest window of each row ends: half of the rows stay as they are, the others lose up to `shift` events."""
        if not self.shift:
            return lengths
        shifts = np.where(rng.random(len(lengths)) < 0.5, 0, rng.integers(1, self.shift + 1, len(lengths)))
        ends: NDArray[np.int64] = np.maximum(SHORTEST, lengths - shifts)
        return ends
