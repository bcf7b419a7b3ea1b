"""Intervals of metrics: against the textbook's interval of a mean, for users with one target and with several."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.evaluation.intervals import measure_intervals
from seqrec.evaluation.ranked import Ranked
from seqrec.metrics import RankCounts, metric_sums
from seqrec.ragged import Ragged

USERS = 3000


def drawn_ranks(*, several: bool) -> list[list[int]]:
    """Of each user's targets; some are misses."""
    rng = np.random.default_rng(4)
    return [[int(rank) for rank in rng.permutation(30)[: 1 + (user % 4 if several else 0)]] for user in range(USERS)]


def ranked(spark: SparkSession, ranks: list[list[int]], *, listed: int | None = None) -> Ranked:
    table = spark.createDataFrame(list(enumerate(ranks)), "user_id long, ranks array<long>")
    return Ranked(name="m", table=table, listed=listed)


@pytest.mark.parametrize("several", [False, True])
def test_intervals_are_those_of_a_mean(spark: SparkSession, *, several: bool) -> None:
    ranks = drawn_ranks(several=several)
    found = measure_intervals(ranked(spark, ranks), seed=1, cutoffs=(1, 10))
    each = [metric_sums(RankCounts.of(Ragged.of([of_user])), cutoffs=(1, 10)) for of_user in ranks]
    assert set(found) == {name for name in each[0] if "@" in name}
    for name, (low, high) in found.items():
        values = np.array([sums[name] for sums in each])
        error = values.std() / np.sqrt(USERS)
        assert (low + high) / 2 == pytest.approx(values.mean(), abs=error / 5)
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_intervals_repeat_and_end_with_the_lists(spark: SparkSession) -> None:
    ranks = drawn_ranks(several=False)
    full, short = (measure_intervals(ranked(spark, ranks, listed=listed), seed=1, cutoffs=(5, 10)) for listed in (None, 5))
    assert {name.partition("@")[2] for name in short} == {"5"}
    assert measure_intervals(ranked(spark, ranks), seed=1, cutoffs=(5, 10)) == full
    assert measure_intervals(ranked(spark, ranks), seed=2, cutoffs=(5, 10)) != full
    assert measure_intervals(ranked(spark, []), seed=1) == {}
