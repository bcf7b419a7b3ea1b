"""Ranking metrics over the held-out targets of each user, as sums that add up over processes and partitions.

A user has one list: the whole catalogue without what the user has had before the targets, best first. All targets are ranked in
it, from 1; the other targets stay in it as ordinary items, because a list is evaluated as it would be shown (so do Liang et al.
2018, Mult-VAE, section 4.2, and RecBole's full ranking). An item that scores the same as a target stands before it. Rank 0 is a
miss whatever the cutoff: a target that had no training event.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.ragged import Ragged

CUTOFFS = (1, 5, 10, 100)
MISS = 0

Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RankCounts:
    """How often a target of a user has which rank: N rows, each for a target of one user or of as many as `users` says.

    ranks     (N,) from 1, a rank once a user; 0 is a miss
    places    (N,) the target's place among its user's targets, from 1: the best rank first, misses last
    targets   (N,) how many targets its user has
    users     (N,) how many users have such a target
    """

    ranks: Counts
    places: Counts
    targets: Counts
    users: Counts

    @classmethod
    def of(cls, ranks: Ragged) -> "RankCounts":
        """Of the ranks of each user's targets, in any order; equal ranks of a user are of targets that tie, see `part_ties`.

        Raises ValueError for a negative rank.

        >>> counts = RankCounts.of(Ragged.of([[7, 0, 2], [5, 5]]))
        >>> counts.ranks.tolist(), counts.places.tolist(), counts.targets.tolist()
        ([2, 7, 0, 4, 5], [1, 2, 3, 1, 2], [3, 3, 3, 2, 2])
        """
        values, rows = ranks.values, ranks.rows
        if values.size and int(values.min()) < MISS:
            raise ValueError(f"rank {values.min()} is negative: ranks count from 1, and {MISS} is a miss")
        order = np.lexsort((values, values == MISS, rows))
        values = part_ties(values[order], rows)
        places = np.arange(len(values)) - ranks.offsets[rows] + 1
        return cls(ranks=values, places=places, targets=ranks.lengths[rows], users=np.ones_like(values))


def part_ties(ranks: Counts, rows: Counts) -> Counts:
    """The ranks of targets that tie, one after another: of n equal ranks r of a user, r - n + 1 to r.

    Each of them was ranked behind the others; in the list they stand side by side behind all other items of their score. Ranks
    of a user (an element of `rows`) are sorted; misses stay as they are.

    >>> part_ties(np.array([3, 3, 6, 0, 0]), np.zeros(5, dtype=np.int64)).tolist()
    [2, 3, 6, 0, 0]
    """
    starts = np.flatnonzero(np.diff(ranks, prepend=-1).astype(bool) | np.diff(rows, prepend=-1).astype(bool))
    ends = np.append(starts, len(ranks))[1:]
    last = np.repeat(ends, ends - starts) - 1
    parted: Counts = np.where(ranks > MISS, ranks - (last - np.arange(len(ranks))), MISS)
    return parted


def metric_sums(counts: RankCounts, *, cutoffs: tuple[int, ...] = CUTOFFS) -> dict[str, float]:
    """Sums over users, in an order that depends on the cutoffs alone; add those of two groups, and they are those of both.

    A user with n targets, of which those with rank <= K have the ranks r_1 < r_2 < … r_h, adds

    ndcg@K        Σ 1 / log2(1 + r_j), divided by the same sum for the ideal list, whose first min(n, K) items are targets
                  (Järvelin and Kekäläinen 2002, with gains of 1)
    hit_rate@K    1 if h > 0
    mrr@K         1 / r_1: the first hit counts (Voorhees 1999)
    recall@K      h / n
    precision@K   h / K
    map@K         Σ j / r_j (the precision at each hit), divided by min(n, K)

    With one target the recall is the hit rate, and the average precision the reciprocal rank. rank100 counts the ranks up to 100.

    >>> sums = metric_sums(RankCounts.of(Ragged.of([[1, 4], [3]])), cutoffs=(3,))
    >>> sums["hit_rate@3"], sums["recall@3"], round(sums["precision@3"], 4), round(sums["map@3"], 4), round(sums["ndcg@3"], 4)
    (2.0, 1.5, 0.6667, 0.8333, 1.1131)
    """
    ranked, first = counts.ranks > MISS, counts.users * (counts.places == 1)
    safe = np.where(ranked, counts.ranks, 1)
    sums = {
        "users": first.sum(),
        "targets": counts.users.sum(),
        "misses": counts.users[~ranked].sum(),
        "rank100": counts.users[ranked & (counts.ranks <= 100)].sum(),
    }
    for cutoff in cutoffs:
        among = ranked & (counts.ranks <= cutoff)
        hits, first_hits, most = counts.users * among, first * among, np.minimum(counts.targets, cutoff)
        ideal = np.cumsum(1 / np.log2(1 + np.arange(1, cutoff + 1)))
        sums[f"ndcg@{cutoff}"] = (hits / np.log2(1 + safe) / ideal[most - 1]).sum()
        sums[f"hit_rate@{cutoff}"] = first_hits.sum()
        sums[f"mrr@{cutoff}"] = (first_hits / safe).sum()
        sums[f"recall@{cutoff}"] = (hits / counts.targets).sum()
        sums[f"precision@{cutoff}"] = (hits / cutoff).sum()
        sums[f"map@{cutoff}"] = (hits * counts.places / safe / most).sum()
    return {name: float(value) for name, value in sums.items()}


def metric_means(sums: Mapping[str, float]) -> dict[str, float]:
    """Sums of `metric_sums` as means over users; the others stay counts, and rank100_share, of the targets, is added.

    Without users every mean is NaN, so that an empty evaluation is never taken for a bad one.

    >>> metric_means({"users": 4.0, "targets": 8.0, "misses": 0.0, "rank100": 2.0, "mrr@5": 3.0})
    {'users': 4.0, 'targets': 8.0, 'misses': 0.0, 'rank100': 2.0, 'rank100_share': 0.25, 'mrr@5': 0.75}
    """
    users, targets = sums["users"], sums["targets"]
    counted = {name: sums[name] for name in ("users", "targets", "misses", "rank100")}
    means = {name: value / users if users else math.nan for name, value in sums.items() if "@" in name}
    return {**counted, "rank100_share": sums["rank100"] / targets if targets else math.nan, **means}
