"""How far chance alone moves the metrics of a method: intervals of 95 % confidence, by resampling users.

The bootstrap draws as many users as there are, with repeats, 2,000 times, and takes the percentiles of the means (Efron and
Tibshirani 1993, chapter 13). Users with the same ranks are the same to it, so the number of users with each rank is
enough where every user has one target. Where some have several, users are put into blocks by a hash of their id, and blocks are
drawn in place of users. On average that gives the same interval.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pyspark.sql import functions as F

from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.verdict import CONFIDENCE, DRAWS
from seqrec.metrics import CUTOFFS, MISS, RankCounts, metric_sums
from seqrec.ragged import Ragged

BLOCKS = 1024  # of users, where some have several targets

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """G kinds of users, or of blocks of them: the sums of M metrics over one of a kind, its users, and how many there are."""

    names: list[str]  # M
    sums: NDArray[np.float64]  # (G, M)
    users: NDArray[np.int64]  # (G,)
    counts: NDArray[np.int64]  # (G,)


def measure_intervals(ranked: Ranked, *, seed: int, cutoffs: Sequence[int] = CUTOFFS) -> dict[str, Interval]:
    """Act: the interval of each metric with a cutoff, without those beyond the end of the lists; nothing without users."""
    depth = ranked.listed or max(*cutoffs, 1)
    known = tuple(cutoff for cutoff in cutoffs if cutoff <= depth)
    several = not ranked.table.where(F.size("ranks") > 1).isEmpty()
    drawn = _blocks(ranked, known) if several else _ranks(ranked, known)
    return resample(drawn, seed=seed) if len(drawn.counts) else {}


def resample(drawn: Drawn, *, seed: int) -> dict[str, Interval]:
    """The percentiles of the means over DRAWS resamples.

    >>> drawn = Drawn(names=["hit_rate@1"], sums=np.array([[0.0], [1.0]]), users=np.array([1, 1]), counts=np.array([50, 50]))
    >>> low, high = resample(drawn, seed=0)["hit_rate@1"]
    >>> 0.38 < low < 0.42 and 0.58 < high < 0.62
    True
    """
    total = int(drawn.counts.sum())
    draws = np.random.default_rng(seed).multinomial(total, drawn.counts / total, size=DRAWS)  # (DRAWS, G)
    means = (draws @ drawn.sums) / (draws @ drawn.users)[:, None]  # (DRAWS, M)
    low, high = np.percentile(means, CONFIDENCE, axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(drawn.names)}


def _ranks(ranked: Ranked, cutoffs: tuple[int, ...]) -> Drawn:
    """Act: users with one target each, by its rank; ranks beyond the last cutoff are one."""
    beyond = max(cutoffs) + 1
    rank = F.get("ranks", F.lit(0))
    bounded = F.when(rank == MISS, beyond).otherwise(F.least(rank, F.lit(beyond)))
    rows = ranked.table.groupBy(bounded.alias("rank")).agg(F.count("*").alias("users")).orderBy("rank").collect()
    each = [sums_of([[row["rank"]]], cutoffs) for row in rows]
    return _drawn(each, counts=[row["users"] for row in rows])


def _blocks(ranked: Ranked, cutoffs: tuple[int, ...]) -> Drawn:
    """Act: blocks of users with any number of targets."""
    block = F.pmod(F.xxhash64("user_id"), F.lit(BLOCKS))
    frame = (
        ranked.table.select(block.alias("block"), "ranks")
        .groupBy("block")
        .applyInPandas(_of_block(cutoffs), "sums map<string,double>")
    )
    each = [row["sums"] for row in frame.collect()]
    return _drawn(each, counts=[1] * len(each))


def _of_block(cutoffs: tuple[int, ...]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The function on the rows of a block."""

    def summed(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"sums": [sums_of(rows["ranks"], cutoffs)]})

    return summed


def sums_of(ranks: Iterable[Iterable[int]], cutoffs: tuple[int, ...]) -> dict[str, float]:
    """The number of users, and the sums of their metrics with a cutoff; see `metrics.metric_sums`."""
    sums = metric_sums(RankCounts.of(Ragged.of([list(of_user) for of_user in ranks])), cutoffs=cutoffs)
    return {name: value for name, value in sums.items() if "@" in name or name == "users"}


def _drawn(each: list[dict[str, float]], *, counts: list[int]) -> Drawn:
    """What is drawn, of the sums of each kind."""
    names = [name for name in (each[0] if each else {}) if name != "users"]
    return Drawn(
        names=names,
        sums=np.array([[sums[name] for name in names] for sums in each]),
        users=np.array([sums["users"] for sums in each], dtype=np.int64),
        counts=np.array(counts, dtype=np.int64),
    )
