"""seqrec.metrics against a double loop over users and items."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seqrec import metrics


def naive(ranks: list[int], cutoff: int) -> dict[str, float]:
    ndcg = hits = reciprocal = 0.0
    for rank in ranks:
        if 1 <= rank <= cutoff:
            ndcg += 1 / math.log2(1 + rank)
            hits += 1
            reciprocal += 1 / rank
    users = len(ranks)
    return {f"ndcg@{cutoff}": ndcg / users, f"hit_rate@{cutoff}": hits / users, f"mrr@{cutoff}": reciprocal / users}


def naive_rank(scores: NDArray[np.float32], target: int, allowed: NDArray[np.bool_]) -> int:
    rank = 1
    for item, score in enumerate(scores):
        if item != target and allowed[item] and score >= scores[target]:
            rank += 1
    return rank


@pytest.mark.parametrize("cutoff", metrics.CUTOFFS)
def test_metrics_equal_a_loop_over_users(cutoff: int) -> None:
    ranks = np.random.default_rng(0).integers(0, 150, 500)
    found = metrics.summarise(ranks)
    for name, value in naive(ranks.tolist(), cutoff).items():
        assert found[name] == pytest.approx(value, rel=1e-12)


def test_rank100_counts_users_up_to_the_hundredth_place() -> None:
    found = metrics.summarise(np.array([1, 100, 101, 0]))
    assert (found["users"], found["misses"], found["rank100"], found["rank100_share"]) == (4, 1, 2, 0.5)


def test_sums_of_groups_are_the_sums_of_all() -> None:
    ranks = np.random.default_rng(1).integers(0, 150, 100)
    left, right = metrics.totals(ranks[:33]), metrics.totals(ranks[33:])
    added = {name: left[name] + right[name] for name in left}
    assert list(left) == list(right)
    assert metrics.averages(added) == pytest.approx(metrics.summarise(ranks))


def test_a_histogram_of_ranks_counts_as_its_users() -> None:
    ranks = np.array([0, 1, 1, 7, 7, 7, 300])
    distinct, counts = np.unique(ranks, return_counts=True)
    assert metrics.summarise(distinct, counts=counts) == pytest.approx(metrics.summarise(ranks))


def test_no_users_have_no_metrics() -> None:
    found = metrics.summarise(np.array([], dtype=np.int64))
    assert found["users"] == 0
    assert math.isnan(found["ndcg@10"])
    assert math.isnan(found["rank100_share"])


def test_a_negative_rank_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank -1 is negative"):
        metrics.totals(np.array([3, -1]))


def test_ranks_equal_a_loop_over_items_with_ties_against_us() -> None:
    generator = np.random.default_rng(2)
    scores = generator.integers(0, 5, (40, 12)).astype(np.float32)
    allowed = generator.random((40, 12)) < 0.7
    targets = generator.integers(0, 12, 40)
    expected = [naive_rank(*row) for row in zip(scores, targets.tolist(), allowed, strict=True)]
    assert metrics.rank_of(scores, targets, allowed).tolist() == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_where_it_could_be_ranked(bad: float) -> None:
    scores = np.array([[0.5, bad]], dtype=np.float32)
    with pytest.raises(ValueError, match="1 scores aren't finite"):
        metrics.rank_of(scores, np.array([0]), np.array([[True, True]]))
    assert metrics.rank_of(scores, np.array([0]), np.array([[True, False]])).tolist() == [1]
