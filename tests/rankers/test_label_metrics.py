"""AUC, GAUC and log loss against double loops."""

import numpy as np
import pytest

from seqrec.rankers.label_metrics import MeanRating, auc, auc_by_user, label_metrics, log_loss


def pairs(scores: list[float], labels: list[int]) -> float | None:
    """The share of pairs in the right order, one by one."""
    won = [
        (good > bad) + (good == bad) / 2
        for good, hit in zip(scores, labels, strict=True)
        for bad, other in zip(scores, labels, strict=True)
        if hit and not other
    ]
    return sum(won) / len(won) if won else None


@pytest.mark.parametrize("seed", range(3))
def test_auc_and_gauc_count_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    users, labels = draw.integers(0, 9, 60), draw.integers(0, 2, 60).astype(np.float32)
    scores = draw.integers(0, 6, 60) / 6  # with ties
    labels[users == 3], labels[users == 4] = 0, 1  # users of one class
    assert auc(scores, labels) == pytest.approx(pairs(scores.tolist(), labels.astype(int).tolist()))
    expected, rows = {}, {}
    for user in range(9):
        mine = users == user
        value = pairs(scores[mine].tolist(), labels[mine].astype(int).tolist())
        if value is not None:
            expected[user], rows[user] = value, int(mine.sum())
    each, weights = auc_by_user(scores, labels, users)
    assert each.tolist() == pytest.approx(list(expected.values()))
    assert weights.tolist() == list(rows.values())
    metrics = label_metrics(scores, labels, users)
    mean = sum(expected[user] * rows[user] for user in expected) / sum(rows.values())
    assert metrics.gauc == pytest.approx(mean)
    assert (metrics.gauc_rows, metrics.positives) == (sum(rows.values()), int(labels.sum()))


def test_metrics_that_are_not_defined_are_none() -> None:
    ones = np.ones(3, np.float32)
    metrics = label_metrics(ones / 2, ones, np.zeros(3, np.int64))
    assert (metrics.auc, metrics.gauc, metrics.gauc_rows) == (None, None, 0)


def test_a_wrong_certainty_costs_a_finite_loss() -> None:
    assert log_loss(np.array([1.0, 0.0]), np.array([0, 1], np.float32)) == pytest.approx(-np.log(1e-7))


def test_the_mean_ratings_chances_are_those_of_the_rows() -> None:
    """With two distinct ratings a logistic regression gives each its share of ones; a missing one is the mean, between both."""
    ratings = np.array([2, 2, 2, 2, 4, 4, 4, 4], np.float32)
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 1], np.float32)
    fitted = MeanRating.fit(ratings, labels)
    assert fitted is not None
    assert fitted.score(np.array([2, 4, np.nan], np.float32)).tolist() == pytest.approx([0.25, 0.75, 0.5], abs=1e-4)
    assert MeanRating.fit(np.full(8, np.nan, np.float32), labels) is None


def test_ratings_that_separate_the_labels_have_a_finite_fit() -> None:
    fitted = MeanRating.fit(np.array([1, 1, 5, 5], np.float32), np.array([0, 0, 1, 1], np.float32))
    assert fitted is not None
    low, high = fitted.score(np.array([1, 5], np.float32))
    assert low < 0.01 < 0.99 < high
