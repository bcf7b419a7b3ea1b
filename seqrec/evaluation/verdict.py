"""Whether a model is worth using: its NDCG against that of the baselines, user by user, and what chance alone explains.

    sasrec is worth using: its NDCG@10 of 0.1431 is 38 % above that of markov (0.1037, the better baseline); over 6,034 users the
    difference lies between 33 % and 43 % (95 % confidence)

Users are the same for both methods, so their differences are what is resampled (a paired bootstrap, Efron and Tibshirani 1993,
chapter 16). All that it needs is a table of groups of users, made in Spark: those of a group have the same best ranks by both
methods, one of 12 × 12 pairs, and the same difference, to a hundredth where they have several targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column
from pyspark.sql import functions as F

from seqrec.evaluation.ranked import Ranked
from seqrec.evaluation.significance import randomisation_p
from seqrec.metrics import MISS

DEPTH = 10  # of the NDCG that is compared
DRAWS = 2000
CONFIDENCE = (2.5, 97.5)  # percentiles of the draws
FEW = 30  # users whose two ranks count differently: with fewer, the bootstrap is too sure


class UserGroups(NamedTuple):
    """Groups (N,) of users: the mean NDCG by our method and by theirs, how many users, and of how many the two differ."""

    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    users: NDArray[np.int64]
    changed: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A measure of a model and of a baseline, the interval of 95 % confidence of the difference, and its p (see `significance`).

    For `changed` users the two differ. The depth is that of NDCG or recall, or how many items of the lists are measured.
    """

    baseline: str
    depth: int
    users: int
    changed: int
    ours: float
    theirs: float
    low: float
    high: float
    p: float
    measure: str = "ndcg"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A sentence, and what it is drawn from."""

    sentence: str
    comparisons: tuple[Comparison, ...]


def compare(ours: Ranked, theirs: Ranked, *, seed: int, measure: str = "ndcg", depth: int = DEPTH) -> Comparison:
    """Act: a model against a baseline by a measure, ndcg or recall, over the users that both rank.

    The depth is smaller where the lists of one are shorter.
    """
    depth = min(depth, *(ranked.listed or depth for ranked in (ours, theirs)))
    outcome = _outcome(MEASURES[measure](depth), depth)
    joined = ours.table.select("user_id", outcome.alias("ours")).join(
        theirs.table.select("user_id", outcome.alias("theirs")), "user_id"
    )
    difference = F.round(F.col("ours.value") - F.col("theirs.value"), 2).alias("difference")
    key = [F.col("ours.best").alias("our_best"), F.col("theirs.best").alias("their_best"), difference]
    groups = joined.groupBy(*key).agg(
        F.avg("ours.value").alias("ours"),
        F.avg("theirs.value").alias("theirs"),
        F.count("*").alias("users"),
        F.count_if(F.col("ours.value") != F.col("theirs.value")).alias("changed"),
    )
    rows = groups.orderBy("our_best", "their_best", "difference").collect()
    groups_of_users = UserGroups(*(np.array([row[name] for row in rows]) for name in UserGroups._fields))
    return replace(compare_groups(groups_of_users, baseline=theirs.name, depth=depth, seed=seed), measure=measure)


def compare_groups(groups: UserGroups, *, baseline: str, depth: int, seed: int) -> Comparison:
    """The comparison of two methods by groups of users; there is at least one user.

    >>> groups = UserGroups(np.array([1.0, 1.0]), np.array([0.5, 1.0]), np.array([40, 10]), np.array([40, 0]))
    >>> found = compare_groups(groups, baseline="popularity", depth=10, seed=0)
    >>> found.users, found.changed, found.ours, found.theirs, 0.3 < found.low < 0.4 < found.high < 0.5
    (50, 40, 1.0, 0.6, True)
    """
    users = int(groups.users.sum())
    draws = np.random.default_rng(seed).multinomial(users, groups.users / users, size=DRAWS)  # (DRAWS, N)
    low, high = np.percentile(draws @ (groups.ours - groups.theirs) / users, CONFIDENCE)
    return Comparison(
        baseline=baseline,
        depth=depth,
        users=users,
        changed=int(groups.changed.sum()),
        ours=float(groups.users @ groups.ours / users),
        theirs=float(groups.users @ groups.theirs / users),
        low=float(low),
        high=float(high),
        p=randomisation_p(groups.ours - groups.theirs, groups.users, seed=seed),
    )


def judge(model: str, comparisons: Sequence[Comparison]) -> Verdict:
    """Whether a model is worth using, in one sentence, by its comparison with the better of the baselines.

    >>> ndcg = {"ours": 0.15, "theirs": 0.12, "low": 0.024, "high": 0.036, "p": 0.0005}
    >>> one = Comparison(baseline="markov", depth=10, users=6034, changed=900, **ndcg)
    >>> print(judge("sasrec", [one]).sentence)
    sasrec is worth using: its NDCG@10 of 0.1500 is 25 % above that of markov (0.1200); over 6,034 users the difference lies \
between 20 % and 30 % (95 % confidence)
    """
    best = max(comparisons, key=lambda comparison: comparison.theirs)
    other = f"{best.baseline} ({best.theirs:.4f}{', the better baseline' if len(comparisons) > 1 else ''})"
    own = f"its NDCG@{best.depth} of {best.ours:.4f}"
    span = f"over {best.users:,} users the difference lies between {_span(best)}"
    measured = f"{own} is {_difference(best)} that of {other}; {span}"
    remedy = f"train longer or on more data, and until then take {best.baseline}"
    if best.changed < FEW:
        known = f"{own} stands against that of {other}, but the two differ for {best.changed:,} of {best.users:,} users alone"
        sentence = f"whether {model} is worth using can't be told: {known}; hold out more users"
    elif best.low > 0:
        sentence = f"{model} is worth using: {measured}"
    elif best.high < 0:
        sentence = f"{model} isn't worth using: {measured}; {remedy}"
    else:
        sentence = f"{model} isn't shown to be better than {best.baseline}: {measured}; {remedy}"
    return Verdict(sentence=sentence, comparisons=tuple(comparisons))


def _difference(comparison: Comparison) -> str:
    """The difference in words, relative to the baseline where that isn't 0."""
    difference = comparison.ours - comparison.theirs
    return f"{_relative(abs(difference), comparison.theirs)} {'below' if difference < 0 else 'above'}"


def _span(comparison: Comparison) -> str:
    """The interval of the difference in words."""
    low, high = (_relative(value, comparison.theirs) for value in (comparison.low, comparison.high))
    return f"{low} and {high} (95 % confidence)"


def _relative(value: float, base: float) -> str:
    """A difference as a percentage of what it is measured by; as it is where that is 0."""
    if not base:
        return f"{value:.4f}"
    percent = 100 * value / base
    return f"{percent:.1f} %" if abs(percent) < 10 else f"{percent:,.0f} %"


def _outcome(value: Column, depth: int) -> Column:
    """Of ranks: the value of a measure, and the best rank, none above depth + 1, 0 if all are misses."""
    best = F.coalesce(F.array_min(F.filter("ranks", lambda rank: rank > MISS)), F.lit(MISS))
    return F.struct(value.alias("value"), F.least(best, F.lit(depth + 1)).alias("best"))


def _ndcg(depth: int) -> Column:
    """The NDCG@depth of ranks (see `metrics.metric_sums`)."""
    discounts = 1 / np.log2(1 + np.arange(1, depth + 1))
    discount, ideal = (F.array(*map(F.lit, values.tolist())) for values in (discounts, np.cumsum(discounts)))
    gain = F.aggregate(_hits(depth), F.lit(0.0), lambda total, rank: total + F.get(discount, (rank - 1).cast("int")))
    return gain / F.get(ideal, F.least(F.size("ranks"), F.lit(depth)) - 1)


def _recall(depth: int) -> Column:
    """The share of the targets whose ranks are among the first `depth`."""
    return F.size(_hits(depth)) / F.size("ranks")


def _hit_rate(depth: int) -> Column:
    """1 if a rank is among the first `depth`, else 0."""
    return (F.size(_hits(depth)) > 0).cast("double")


def _hits(depth: int) -> Column:
    """The ranks among the first `depth`."""
    return F.filter("ranks", lambda rank: (rank > MISS) & (rank <= depth))


MEASURES: dict[str, Callable[[int], Column]] = {"ndcg": _ndcg, "recall": _recall, "hit_rate": _hit_rate}
