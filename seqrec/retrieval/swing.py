"""Swing (Yang et al., 2020, "Large Scale Product Graph Construction for Recommendation in E-commerce").

Two users who both have items i and j make these two similar, the more the fewer other items the two users have in common. The
sums run over pairs of users, in NumPy: SQL would need a row for each pair of users and each item that they share.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame

from seqrec.ragged import Ragged
from seqrec.retrieval.activity import Sample, sample_size
from seqrec.tables.python_tasks import map_batches

PAIRS_PER_TASK = 10_000_000
BLOCK = 2**20  # pairs of users at a time, for an item
DENSE = 1 / 8  # the share of an item's users from which a product of matrices is faster than the list of pairs
ROWS = 10_000  # of a batch that goes back to Spark, at least

Indices = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """A user weighs 1 / (alpha1 + items)^beta, and a pair of users counts 1 / (alpha2 + items in common)."""

    alpha1: float
    alpha2: float
    beta: float


def user_pairs(max_users_per_item: int | None) -> Column:
    """The number of pairs of users in the sample of an item, see `item_users`."""
    users = sample_size(max_users_per_item)
    return users * (users - 1) / 2


def swing(sample: Sample, *, smoothing: Smoothing) -> DataFrame:
    """item_idx, neighbour, score: the sum of w_u * w_v / (alpha2 + |I_u ∩ I_v|) over the pairs of U_i of whom both have j.

    w_u = 1 / (alpha1 + |I_u|)^beta. If S_i is smaller than U_i, the sum over the pairs of S_i is multiplied by the pairs of U_i
    over those of S_i, |U_i| (|U_i| - 1) / (|S_i| (|S_i| - 1)); its expectation over samples is the sum over the pairs of U_i. An
    item keeps its top_n best neighbours, and those that tie with the last of them.

    Nothing of the sample is shuffled. Each partition is sorted and goes through Python, many items a batch. Users come in the
    order of their numbers, so the sums are the same for any partitioning.
    """
    score = partial(_score_items, smoothing=smoothing, top_n=sample.top_n)
    sized = sample.users.join(sample.items.select("item_idx", "users"), "item_idx")
    return map_batches(sized.sortWithinPartitions("item_idx", "number"), score, "item_idx int, neighbour int, score double")


def pair_sums(users: Ragged, weights: Scores, *, alpha2: float, block: int = BLOCK) -> tuple[Indices, Scores]:
    """The items that at least two of the users (N) have, and of each the sum of w_u * w_v / (alpha2 + |I_u ∩ I_v|) over pairs.

    Items of few users are counted pair by pair. For the others (D) there is a matrix A (N, D), 1 where a user has an item: A·Aᵀ
    adds to |I_u ∩ I_v|, and with the terms T of the pairs u < v as a matrix, the sums are those of the columns of A ∘ (T·A).

    D is at most the length of all lists / (N · DENSE), so A has at most 8 numbers for each that came in; T is worked through in
    blocks of rows, with about `block` pairs each. Cost: N² · D multiplications, and for each other item half the square of its
    number of users.

    >>> items, sums = pair_sums(Ragged.of([[2, 3], [2, 3, 4], [2]]), np.array([1.0, 0.5, 0.25]), alpha2=1.0)
    >>> items.tolist(), sums.round(3).tolist()  # of 2: 1 · 1/2 / 3 + 1 · 1/4 / 2 + 1/2 · 1/4 / 2; of 3 the first of these
    ([2, 3], [0.354, 0.167])
    """
    items, counts, row = _by_item(users)
    column = np.repeat(np.arange(len(items)), counts)
    popular = counts >= DENSE * len(users)
    of_popular = popular[column]
    matrix = np.zeros((len(users), int(popular.sum())))  # (N, D)
    matrix[row[of_popular], (np.cumsum(popular) - 1)[column[of_popular]]] = 1
    row, column = row[~of_popular], column[~of_popular]
    later = np.searchsorted(column, column, side="right") - np.arange(len(column)) - 1  # users after this one who have the item
    sums = np.zeros(len(items))
    work = len(users) + np.bincount(row, weights=later, minlength=len(users)).astype(np.int64)
    for first, last in _blocks(work, block):
        rows = np.arange(first, last)
        entries = np.flatnonzero((row >= first) & (row < last))
        spread = np.repeat(np.arange(len(entries)), later[entries])  # (P,): the entry of each pair's first user
        second = np.arange(len(spread)) + (entries + 1 + later[entries] - np.cumsum(later[entries]))[spread]
        cell = (row[entries] - first)[spread] * len(users) + row[second]
        common = matrix[rows] @ matrix.T  # (n, N)
        common += np.bincount(cell, minlength=common.size).reshape(common.shape)
        products = np.triu(np.outer(weights[rows], weights), first + 1)
        terms = np.divide(products, alpha2 + common, out=np.zeros_like(common), where=common > 0)
        sums += np.bincount(column[entries][spread], weights=terms.ravel()[cell], minlength=len(items))
        sums[popular] += ((terms @ matrix) * matrix[rows]).sum(axis=0)  # (n, N) @ (N, D)
    return items, sums


def _by_item(users: Ragged) -> tuple[Indices, Indices, Indices]:
    """The items that at least two users have, how many users have each, and the rows of these, ascending, item by item."""
    order = np.argsort(users.values, kind="stable")
    items, counts = np.unique(users.values[order], return_counts=True)
    shared = counts > 1
    return items[shared], counts[shared], users.rows[order][np.repeat(shared, counts)]


def _blocks(work: Indices, most: int) -> Iterator[tuple[int, int]]:
    """The first row of each block, and the row after its last; a block's work is at most `most` and that of one row.

    >>> list(_blocks(np.array([2, 2, 9, 1]), 5))
    [(0, 2), (2, 4)]
    """
    number = np.cumsum(work) // most
    yield from pairwise([*np.flatnonzero(np.diff(number, prepend=-1)).tolist(), len(work)])


def stands_for(*, users: int, sampled: int) -> float:
    """How many of the pairs of an item's users a pair of its sample stands for.

    >>> stands_for(users=6, sampled=3), stands_for(users=3, sampled=3), stands_for(users=1, sampled=1)
    (5.0, 1.0, 1.0)
    """
    return users * (users - 1) / (sampled * (sampled - 1)) if sampled > 1 else 1.0


def _best(item: int, users: Ragged, weights: Scores, *, factor: float, alpha2: float, top_n: int) -> tuple[Indices, Scores]:
    """An item's neighbours and their scores, as `swing` says; a pair of the sample stands for `factor` pairs."""
    items, sums = pair_sums(users, weights, alpha2=alpha2)
    others = items != item
    neighbours, scores = items[others], sums[others] * factor
    if len(scores) <= top_n:
        return neighbours, scores
    rounded = scores.astype(np.float32)  # lists are ordered by it
    best = rounded >= np.partition(rounded, -top_n)[-top_n]
    return neighbours[best], scores[best]


def _score_items(batches: Iterator[pa.RecordBatch], *, smoothing: Smoothing, top_n: int) -> Iterator[pa.RecordBatch]:
    """The scores of a partition's items."""
    scored: list[tuple[int, Indices, Scores]] = []
    rows = 0
    for item, total, users, sizes in _items(batches):
        factor, weights = stands_for(users=total, sampled=len(users)), (smoothing.alpha1 + sizes) ** -smoothing.beta
        neighbours, scores = _best(item, users, weights, factor=factor, alpha2=smoothing.alpha2, top_n=top_n)
        scored.append((item, neighbours, scores))
        rows += len(scores)
        if rows >= ROWS:
            yield _batch(scored)
            scored, rows = [], 0
    if scored:
        yield _batch(scored)


def _items(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, int, Ragged, Indices]]:
    """Each item with |U_i|, and the lists and sizes of its sample.

    An item's rows are next to one another, though not always in one batch.
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        item = batch["item_idx"].to_numpy()
        starts = np.flatnonzero(np.diff(item, prepend=-1)).tolist()
        for first, last in pairwise([*starts, len(item)]):
            if held and held[0]["item_idx"][0].as_py() != item[first]:
                yield _joined(held)
                held = []
            held.append(batch.slice(first, last - first))
    if held:
        yield _joined(held)


def _joined(parts: list[pa.RecordBatch]) -> tuple[int, int, Ragged, Indices]:
    """The item of all rows of the parts, |U_i|, the lists and the sizes."""
    lists = pa.concat_arrays([part["items"] for part in parts])
    sizes = np.concatenate([part["size"].to_numpy() for part in parts])
    return parts[0]["item_idx"][0].as_py(), parts[0]["users"][0].as_py(), Ragged.of_arrow(lists), sizes


def _batch(scored: list[tuple[int, Indices, Scores]]) -> pa.RecordBatch:
    """Rows of items, each with its neighbours and scores."""
    items = np.repeat([item for item, _, _ in scored], [len(scores) for _, _, scores in scored])
    neighbours, scores = (np.concatenate(parts) for parts in list(zip(*scored, strict=True))[1:])
    columns = {"item_idx": items.astype(np.int32), "neighbour": neighbours.astype(np.int32), "score": scores}
    return pa.RecordBatch.from_pydict(columns)
