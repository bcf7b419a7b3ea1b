"""seqrec.metrics against a loop over users."""

import math

import numpy as np
import pytest

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


@pytest.mark.parametrize("cutoff", metrics.CUTOFFS)
def test_metrics_equal_a_loop_over_users(cutoff: int) -> None:
    ranks = np.random.default_rng(0).integers(0, 150, 500)
    found = metrics.rank_metrics(ranks)
    for name, value in naive(ranks.tolist(), cutoff).items():
        assert found[name] == pytest.approx(value, rel=1e-12)


def test_rank100_counts_users_up_to_the_hundredth_place() -> None:
    found = metrics.rank_metrics(np.array([1, 100, 101, 0]))
    assert (found["users"], found["misses"], found["rank100"], found["rank100_share"]) == (4, 1, 2, 0.5)


def test_sums_of_groups_are_the_sums_of_all() -> None:
    ranks = np.random.default_rng(1).integers(0, 150, 100)
    left, right = metrics.metric_sums(ranks[:33]), metrics.metric_sums(ranks[33:])
    added = {name: left[name] + right[name] for name in left}
    assert list(left) == list(right)
    assert metrics.metric_means(added) == pytest.approx(metrics.rank_metrics(ranks))


def test_a_histogram_of_ranks_counts_as_its_users() -> None:
    ranks = np.array([0, 1, 1, 7, 7, 7, 300])
    distinct, counts = np.unique(ranks, return_counts=True)
    assert metrics.rank_metrics(distinct, counts=counts) == pytest.approx(metrics.rank_metrics(ranks))


def test_no_users_have_no_metrics() -> None:
    found = metrics.rank_metrics(np.array([], dtype=np.int64))
    assert found["users"] == 0
    assert math.isnan(found["ndcg@10"])
    assert math.isnan(found["rank100_share"])


def test_a_negative_rank_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank -1 is negative"):
        metrics.metric_sums(np.array([3, -1]))
