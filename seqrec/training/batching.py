"""Rows into batches of like length, and which copy of its window each row is."""

import numpy as np
from numpy.typing import NDArray

from seqrec.training.cuts import Rows

MULTIPLIER = 6364136223846793005  # of a window's hash: that of Knuth's linear congruential generator modulo 2^64


def cut_by_length(rows: Rows, count: int, *, longest: int | None = None) -> list[Rows]:
    """Rows by length, in `count` batches of near-equal numbers of items, without the columns that only pad.

    At most the `longest` newest items of a row count; its older ones stay in it.

    >>> rows = np.array([[9, 0, 0, 1, 2], [8, 0, 1, 2, 3], [7, 0, 0, 3, 4]], dtype=np.int32)
    >>> [batch.tolist() for batch in cut_by_length(rows, 2)]
    [[[9, 0, 1, 2], [7, 0, 3, 4]], [[8, 0, 1, 2, 3]]]
    """
    lengths = np.count_nonzero(rows[:, 2:], axis=1)
    counted = lengths if longest is None else np.minimum(lengths, longest)
    order = np.argsort(counted, kind="stable")
    items = np.cumsum(counted[order])  # of the shortest rows up to each
    shares = items[-1] * np.arange(1, count) / count
    sizes = part_sizes((np.searchsorted(items, shares) + 1).tolist(), [1] * count, len(rows))
    width = rows.shape[1]
    return [rows[part][:, [0, 1, *range(width - lengths[part].max(), width)]] for part in np.split(order, np.cumsum(sizes)[:-1])]


def copy_numbers(rows: Rows, *, copies: int, number: int) -> NDArray[np.int64]:
    """Which of its copies each window is in the pass of that number: each of them once in `copies` passes that follow each other.

    It begins at a hash of the window's items, so that in each pass about as many windows are the one copy as the other.

    >>> rows = np.array([[9, 0, 0, 0, 2], [9, 0, 0, 3, 2], [0, 0, 4, 3, 2]], dtype=np.int32)
    >>> [copy_numbers(rows, copies=3, number=number).tolist() for number in (0, 1, 2)]
    [[2, 0, 2], [0, 1, 0], [1, 2, 1]]
    """
    powers = np.full(rows.shape[1] - 2, MULTIPLIER, dtype=np.uint64).cumprod()
    keys = (rows[:, :1:-1].astype(np.uint64) * powers).sum(axis=1, dtype=np.uint64)  # whatever the padding; modulo 2^64
    copy: NDArray[np.int64] = ((keys >> np.uint64(33)).astype(np.int64) + number) % copies
    return copy


def part_sizes(cuts: list[int], least: list[int], rows: int) -> list[int]:
    """The sizes of the parts between cuts of some rows; a cut moves where a part would get fewer than its least number of rows.

    >>> part_sizes([5, 5, 9], [1, 2, 1, 2], 10)
    [5, 2, 1, 2]
    """
    sizes, start, needed = [], 0, sum(least)
    for cut, fewest in zip([*cuts, rows], least, strict=True):
        needed -= fewest  # by the parts that follow
        end = min(max(cut, start + fewest), rows - needed)
        sizes.append(end - start)
        start = end
    return sizes
