"""Swing (Yang et al., 2020, "Large Scale Product Graph Construction for Recommendation in E-commerce").

Two users who have both items speak for them, the more the fewer other items the two have in common.
"""

from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame

from seqrec.retrieval.activity import sampled
from seqrec.scoring.ragged import Ragged

PAIRS_PER_TASK = 2_000_000
BLOCK = 1024  # users, or items, at a time

Scores = NDArray[np.float64]


def user_pairs(max_users_per_item: int | None) -> Column:
    """The number of pairs of users in the sample of an item, see `item_users`."""
    kept = sampled(max_users_per_item)
    return kept * (kept - 1) / 2


def swing(samples: DataFrame, *, alpha1: float, alpha2: float, beta: float, top_n: int) -> DataFrame:
    """item_idx, neighbour, score: the sum of w_u * w_v / (alpha2 + |I_u ∩ I_v|) over the pairs of S_i of whom both have j.

    w_u = 1 / (alpha1 + |I_u|)^beta; samples are those of `sample_users`. Of an item the top_n best are left, and what ties with
    the last of them.

    A sampled user's items go to the item, once: where the samples are partitioned by item_idx nothing is shuffled. There the sums
    are products of matrices (see `pair_sums`), which SQL could only say by a row for every pair of users and item they share.
    """
    score = partial(_neighbours, alpha1=alpha1, alpha2=alpha2, beta=beta, top_n=top_n)
    return samples.groupBy("item_idx").applyInArrow(score, "item_idx int, neighbour int, score double")


def pair_sums(users: Ragged, weights: Scores, *, alpha2: float) -> tuple[NDArray[np.int64], Scores]:
    """The items that at least two of the users (N) have, and of each the sum of w_u * w_v / (alpha2 + |I_u ∩ I_v|) over pairs.

    With A (N, items), 1 where a user has an item, A·Aᵀ counts what users have in common, so that the terms are a matrix T (N, N),
    and the sums are those of the columns of A ∘ (T·A) / 2. N² · items multiplications; A is held in float32, T in blocks of rows.

    Of item 2 below the sum is 1 · 1/2 / 3 + 1 · 1/4 / 2 + 1/2 · 1/4 / 2, of item 3 the first of these.

    >>> items, sums = pair_sums(Ragged.of([[2, 3], [2, 3, 4], [2]]), np.array([1.0, 0.5, 0.25]), alpha2=1.0)
    >>> items.tolist(), sums.round(3).tolist()
    ([2, 3], [0.354, 0.167])
    """
    items, column, counts = np.unique(users.values, return_inverse=True, return_counts=True)
    shared = counts > 1
    kept = shared[column]
    matrix = np.zeros((len(users), int(shared.sum())), np.float32)  # (N, items); counts up to 2^24 are exact
    matrix[users.rows[kept], (np.cumsum(shared) - 1)[column[kept]]] = 1
    sums = np.zeros(matrix.shape[1])
    for first in range(0, len(users), BLOCK):
        rows = np.arange(first, min(first + BLOCK, len(users)))
        common = (matrix[rows] @ matrix.T).astype(np.float64)  # (n, N)
        terms = np.divide(np.outer(weights[rows], weights), alpha2 + common, out=np.zeros_like(common), where=common > 0)
        terms[np.arange(len(rows)), rows] = 0
        for start in range(0, len(sums), BLOCK):
            part = matrix[:, start : start + BLOCK].astype(np.float64)
            sums[start : start + BLOCK] += ((terms @ part) * part[rows]).sum(axis=0) / 2  # (n, N) @ (N, items)
    return items[shared], sums


def _neighbours(sample: pa.Table, *, alpha1: float, alpha2: float, beta: float, top_n: int) -> pa.Table:
    """The scores of one item, from the rows of its sample."""
    sample = sample.sort_by("place").combine_chunks()
    item = sample["item_idx"][0].as_py()
    weights = (alpha1 + sample["size"].to_numpy()) ** -beta
    neighbours, scores = pair_sums(Ragged.of_arrow(sample["items"].chunk(0)), weights, alpha2=alpha2)
    others = neighbours != item
    neighbours, scores = neighbours[others], scores[others]
    rounded = scores.astype(np.float32)  # what lists go by
    if len(rounded) > top_n:
        best = rounded >= np.partition(rounded, -top_n)[-top_n]
        neighbours, scores = neighbours[best], scores[best]
    columns = {"item_idx": np.full(len(scores), item, np.int32), "neighbour": neighbours.astype(np.int32), "score": scores}
    return pa.table({name: pa.array(values) for name, values in columns.items()})
