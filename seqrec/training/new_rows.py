"""Rows of items that a model begins without: the mean of the rows of items that are like them.

A vocabulary that extends another has its items first, so the old items are places 0 to O - 1, and the N new ones follow. Only old
items that were trained on count: the rows of others say nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM
from seqrec.training.item_vectors import ItemVectors
from seqrec.training.vector_start import NEAREST, nearest_trained

NEAR = 3  # positions of a window on each side of an item

Rows = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """What tells which old items a new one is like: vectors of all items, if there are, and the files of the table windows."""

    trained: NDArray[np.bool_]  # (O,), the old items that were trained on
    vectors: ItemVectors | None
    windows: Sequence[Path]


@dataclass(frozen=True, kw_only=True)
class NewRows:
    """The rows (N, K) of new items; those that neither vectors nor windows say anything of are in neither mask (N,)."""

    rows: Rows
    by_vector: NDArray[np.bool_]
    by_windows: NDArray[np.bool_]


def mean_rows(old: Rows, new: int, likeness: Likeness) -> NewRows:
    """The rows of `new` items that follow old ones with the rows (O, K).

    An item with a vector gets the mean of the rows of the NEAREST old items whose vectors are the most similar, weighted as
    `nearest_trained` says. Else it gets the mean of those of the old items that stand at most NEAR positions from it in the
    windows, each as often as it does.
    """
    rows = np.zeros((new, old.shape[1]))
    by_vector, by_windows = np.zeros(new, bool), np.zeros(new, bool)
    if likeness.vectors is not None:
        by_vector = _fill_by_vector(rows, old, likeness.vectors, likeness.trained)
    if not by_vector.all():
        sums, times = _sum_beside(old, new, likeness)
        by_windows = (times > 0) & ~by_vector
        rows[by_windows] = sums[by_windows] / times[by_windows, None]
    return NewRows(rows=rows, by_vector=by_vector, by_windows=by_windows)


def _fill_by_vector(rows: Rows, old: Rows, vectors: ItemVectors, trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill the rows of new items that have a vector; which ones these are (N,)."""
    usable = np.concatenate([trained & vectors.known[: len(old)], np.zeros(len(rows), bool)])
    wanted: NDArray[np.bool_] = vectors.known[len(old) :] & usable.any()
    if wanted.any():
        count = min(NEAREST, int(usable.sum()))
        cold = np.flatnonzero(wanted) + len(old)
        places, shares = nearest_trained(replace(vectors, trained=usable), cold, count=count)
        rows[wanted] = (old[places] * shares[..., None]).sum(axis=1)  # (C, K', K) -> (C, K)
    return wanted


def _sum_beside(old: Rows, new: int, likeness: Likeness) -> tuple[Rows, NDArray[np.int64]]:
    """The sums (N, K) of the rows of old items near each new one in the windows, and how many were summed (N,)."""
    sums, times = np.zeros((new, old.shape[1])), np.zeros(new, np.int64)
    usable_old = np.concatenate([likeness.trained, np.zeros(new, bool)])
    for path in likeness.windows:
        table = pq.read_table(path, columns=["items"])["items"].combine_chunks()
        items = np.asarray(table.flatten()).astype(np.int64) - FIRST_ITEM
        window = np.repeat(np.arange(len(table)), np.asarray(table.value_lengths()))
        for distance in range(1, NEAR + 1):
            same = window[:-distance] == window[distance:]
            for here, beside in ((items[:-distance], items[distance:]), (items[distance:], items[:-distance])):
                usable = same & (here >= len(old)) & usable_old[beside]
                np.add.at(sums, here[usable] - len(old), old[beside[usable]])
                np.add.at(times, here[usable] - len(old), 1)
    return sums, times
