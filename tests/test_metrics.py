"""seqrec.metrics against loops over users."""

import math

import numpy as np
import pytest

from seqrec.metrics import CUTOFFS, RankCounts, metric_means, metric_sums
from seqrec.ragged import Ragged
from tests.single_target import single_target_metrics

Ranks = list[list[int]]


def sums(ranks: Ranks) -> dict[str, float]:
    return metric_sums(RankCounts.of(Ragged.of(ranks)))


def naive(ranks: Ranks, cutoff: int) -> dict[str, float]:
    """Means over users of metrics of whole lists, in which 1 marks a target; the ideal list has all targets first."""
    totals = dict.fromkeys(("ndcg", "hit_rate", "mrr", "recall", "precision", "map"), 0.0)
    for of_user in ranks:
        listed = [int(place in of_user) for place in range(1, cutoff + 1)]
        ideal = [1] * min(len(of_user), cutoff)
        precisions = [sum(listed[:place]) / place for place in range(1, cutoff + 1)]
        totals["ndcg"] += gain(listed) / gain(ideal)
        totals["hit_rate"] += any(listed)
        totals["mrr"] += 1 / (1 + listed.index(1)) if any(listed) else 0
        totals["recall"] += sum(listed) / len(of_user)
        totals["precision"] += precisions[-1]
        totals["map"] += sum(at for at, hit in zip(precisions, listed, strict=True) if hit) / len(ideal)
    return {f"{name}@{cutoff}": total / len(ranks) for name, total in totals.items()}


def gain(listed: list[int]) -> float:
    return sum(hit / math.log2(1 + place) for place, hit in enumerate(listed, start=1))


def drawn(users: int, *, most: int) -> Ranks:
    """Distinct ranks below 150 of up to `most` targets a user; 0 is a miss, of which a user may have several."""
    draw = np.random.default_rng(0)
    ranks = [draw.permutation(150)[: draw.integers(1, most + 1)].tolist() for _ in range(users)]
    return [[*of_user, *[0] * (user % 3 if most > 1 else 0)] for user, of_user in enumerate(ranks)]


@pytest.mark.parametrize("cutoff", CUTOFFS)
@pytest.mark.parametrize("most", [1, 3, 150])
def test_metrics_equal_a_loop_over_users(cutoff: int, most: int) -> None:
    ranks = drawn(200, most=most)
    found = metric_means(sums(ranks))
    for name, value in naive(ranks, cutoff).items():
        assert found[name] == pytest.approx(value, rel=1e-12)
    assert (found["users"], found["targets"]) == (200, sum(map(len, ranks)))
    assert found["misses"] == sum(of_user.count(0) for of_user in ranks)


def test_with_one_target_the_metrics_are_those_of_one_target() -> None:
    ranks = drawn(500, most=1)
    found = metric_means(sums(ranks))
    expected = single_target_metrics([rank for (rank,) in ranks])
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    for cutoff in CUTOFFS:
        assert found[f"recall@{cutoff}"] == found[f"hit_rate@{cutoff}"]
        assert found[f"map@{cutoff}"] == found[f"mrr@{cutoff}"]


@pytest.mark.parametrize("targets", [3, 10, 12])
def test_an_ideal_list_has_the_best_metrics(targets: int) -> None:
    found = metric_means(sums([list(range(1, targets + 1))] * 2))
    assert [found[f"{name}@10"] for name in ("ndcg", "map", "mrr")] == pytest.approx([1, 1, 1])
    assert found["recall@10"] == pytest.approx(min(targets, 10) / targets)
    assert found["precision@10"] == pytest.approx(min(targets, 10) / 10)


def test_targets_that_tie_stand_side_by_side_behind_the_others() -> None:
    """Three targets and an item score the same, a fourth target less: ranks 2, 3, 4 and 7."""
    assert sums([[4, 7, 4, 4]]) == sums([[2, 3, 4, 7]])
    assert sums([[4], [4], [0, 0]]) == {**sums([[4], [4]]), "users": 3, "targets": 4, "misses": 2}


def test_rank100_counts_targets_up_to_the_hundredth_place() -> None:
    found = metric_means(sums([[1], [100], [101], [0]]))
    assert (found["users"], found["misses"], found["rank100"], found["rank100_share"]) == (4, 1, 2, 0.5)
    assert metric_means(sums([[1, 100, 3], [101]]))["rank100_share"] == 0.75


def test_sums_of_groups_are_the_sums_of_all() -> None:
    ranks = drawn(100, most=5)
    left, right = sums(ranks[:33]), sums(ranks[33:])
    added = {name: left[name] + right[name] for name in left}
    assert list(left) == list(right)
    assert metric_means(added) == pytest.approx(metric_means(sums(ranks)))


def test_counts_count_as_their_users() -> None:
    ranks = [[0], [1], [1], [7, 2], [7, 2], [7, 2], [300]]
    counts = RankCounts.of(Ragged.of([[0], [1], [7, 2], [300]]))
    many = RankCounts(ranks=counts.ranks, places=counts.places, targets=counts.targets, users=np.array([1, 2, 3, 3, 1]))
    assert metric_sums(many) == pytest.approx(sums(ranks))


def test_no_users_have_no_metrics() -> None:
    found = metric_means(sums([]))
    assert found["users"] == 0
    assert math.isnan(found["ndcg@10"])
    assert math.isnan(found["rank100_share"])


def test_a_negative_rank_is_an_error() -> None:
    with pytest.raises(ValueError, match="rank -1 is negative"):
        RankCounts.of(Ragged.of([[3, -1]]))
