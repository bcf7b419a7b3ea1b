"""Ranking metrics where each user has one held-out target, as sums that add up over processes and partitions.

A rank counts from 1, over the whole catalogue without what the user has had; an item that scores the same as the target counts
against it. Rank 0 is a miss whatever the cutoff: a target that had no training event.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CUTOFFS = (1, 5, 10, 100)
MISS = 0


def rank_metrics(
    ranks: NDArray[np.int64], *, counts: NDArray[np.int64] | None = None, cutoffs: tuple[int, ...] = CUTOFFS
) -> dict[str, float]:
    """Metrics of the users with these ranks: `metric_means` of `metric_sums`.

    >>> metrics = rank_metrics(np.array([1, 3, 40, 0]))
    >>> metrics["ndcg@10"], metrics["hit_rate@10"], metrics["rank100"], metrics["rank100_share"]
    (0.375, 0.5, 3.0, 0.75)
    """
    return metric_means(metric_sums(ranks, counts=counts, cutoffs=cutoffs))


def metric_sums(
    ranks: NDArray[np.int64], *, counts: NDArray[np.int64] | None = None, cutoffs: tuple[int, ...] = CUTOFFS
) -> dict[str, float]:
    """Sums over users, in an order that depends on the cutoffs alone; add those of two groups, and they are those of both.

    Each rank (N,) is that of one user, or of as many users as `counts` (N,) says. A user whose target has rank r <= K adds
    1 / log2(1 + r) to ndcg@K (the ideal list has it first, so the normaliser is 1), 1 to hit_rate@K (with one target also the
    recall), 1 / r to mrr@K; rank100 counts the ranks up to 100. Raises ValueError for a negative rank.

    >>> metric_sums(np.array([1, 3, 0]), cutoffs=(2, 5))  # doctest: +NORMALIZE_WHITESPACE
    {'users': 3.0, 'misses': 1.0, 'rank100': 2.0, 'ndcg@2': 1.0, 'hit_rate@2': 1.0, 'mrr@2': 1.0,
     'ndcg@5': 1.5, 'hit_rate@5': 2.0, 'mrr@5': 1.3333333333333333}
    """
    if ranks.size and int(ranks.min()) < MISS:
        raise ValueError(f"rank {ranks.min()} is negative: ranks count from 1, and {MISS} is a miss")
    users = np.ones_like(ranks) if counts is None else counts
    ranked = ranks > MISS
    safe = np.where(ranked, ranks, 1)
    sums = {"users": users.sum(), "misses": users[~ranked].sum(), "rank100": users[ranked & (ranks <= 100)].sum()}
    for cutoff in cutoffs:
        hits = users * (ranked & (ranks <= cutoff))
        sums[f"ndcg@{cutoff}"] = (hits / np.log2(1 + safe)).sum()
        sums[f"hit_rate@{cutoff}"] = hits.sum()
        sums[f"mrr@{cutoff}"] = (hits / safe).sum()
    return {name: float(value) for name, value in sums.items()}


def metric_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Sums of `metric_sums` as means over users; users, misses and rank100 stay counts, and rank100_share is added.

    Without users every mean is NaN, so that an empty evaluation is never taken for a bad one.

    >>> metric_means({"users": 4.0, "misses": 0.0, "rank100": 1.0, "mrr@5": 3.0})
    {'users': 4.0, 'misses': 0.0, 'rank100': 1.0, 'rank100_share': 0.25, 'mrr@5': 0.75}
    """
    users = sums["users"]
    means = {name: value / users if users else math.nan for name, value in sums.items() if "@" in name}
    share = sums["rank100"] / users if users else math.nan
    return {"users": users, "misses": sums["misses"], "rank100": sums["rank100"], "rank100_share": share, **means}
