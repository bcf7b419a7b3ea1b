"""How well scores order and predict labels of 0 and 1: AUC, GAUC and log loss."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32] | NDArray[np.float64]
Labels = NDArray[np.float32]
SMALLEST = 1e-7  # probabilities are taken no nearer to 0 and 1


@dataclass(frozen=True, kw_only=True)
class LabelMetrics:
    """Metrics of N rows. `gauc` is over `gauc_rows` rows of the users who have both labels; None where it isn't defined."""

    rows: int
    positives: int
    auc: float | None
    gauc: float | None
    gauc_rows: int
    log_loss: float

    @property
    def values(self) -> dict[str, float | None]:
        """The metrics by name."""
        return asdict(self)


def label_metrics(scores: Scores, labels: Labels, users: NDArray[np.int64]) -> LabelMetrics:
    """The metrics of scores (N,), which are probabilities of label 1; users (N,) say whose row it is."""
    each, both = auc_by_user(scores, labels, users)
    return LabelMetrics(
        rows=len(labels),
        positives=int(labels.sum(dtype=np.float64)),
        auc=auc(scores, labels),
        gauc=float(np.average(each, weights=both)) if len(each) else None,
        gauc_rows=int(both.sum()),
        log_loss=log_loss(scores, labels),
    )


def auc(scores: Scores, labels: Labels) -> float | None:
    """The share of pairs of a row of label 1 and a row of label 0 that the scores order rightly, ties counted half.

    None if there is no such pair.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 1, 0, 1], np.float32))
    0.875
    """
    each, _ = auc_by_user(scores, labels, np.zeros(len(labels), np.int64))
    return float(each[0]) if len(each) else None


def auc_by_user(scores: Scores, labels: Labels, users: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The AUC of each user with both labels, and the user's number of rows, by which GAUC weighs it.

    GAUC is the mean of users' AUCs, weighted by their rows: Zhou et al. 2018, Deep Interest Network, equation 5. The AUC is that
    of the rank sum: Mann and Whitney 1947; ties have their mean rank.
    """
    order = np.lexsort((scores, users))
    whose, values, hits = users[order], scores[order], labels[order].astype(np.float64)
    first = np.flatnonzero(np.append(True, whose[1:] != whose[:-1])[: len(whose)])
    new_value = np.append(True, (values[1:] != values[:-1]) | (whose[1:] != whose[:-1]))[: len(whose)]
    starts = np.flatnonzero(new_value)
    lengths = np.diff(np.append(starts, len(whose)))
    rows = np.diff(np.append(first, len(whose)))
    mean_rank: NDArray[np.float64] = np.repeat(starts + (lengths + 1) / 2, lengths) - np.repeat(
        first, rows
    )  # from 1, within the user
    positives = np.add.reduceat(hits, first) if len(first) else np.zeros(0)
    rank_sums = np.add.reduceat(hits * mean_rank, first) if len(first) else np.zeros(0)
    both = (positives > 0) & (positives < rows)
    pairs = positives[both] * (rows[both] - positives[both])
    return (rank_sums[both] - positives[both] * (positives[both] + 1) / 2) / pairs, rows[both]


def log_loss(scores: Scores, labels: Labels) -> float:
    """The mean of -log of the probability that the scores give to the label; it is at most about 16, see SMALLEST.

    >>> round(log_loss(np.array([0.5, 0.8]), np.array([0, 1], np.float32)), 4)
    0.4581
    """
    sure = np.clip(scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return float(-np.mean(np.where(labels > 0, np.log(sure), np.log1p(-sure))))


@dataclass(frozen=True)
class MeanRating:
    """The baseline: the item's mean rating, made a probability by a logistic regression on the training rows."""

    slope: float
    intercept: float
    missing: float  # the mean rating that stands for an item without one

    @classmethod
    def fit(cls, ratings: NDArray[np.float32], labels: Labels, *, rounds: int = 50) -> "MeanRating | None":
        """Fitted by Newton's method to mean ratings (N,), NaN where there is none; None if they don't differ.

        A small weight on the squares keeps them finite where the ratings separate the labels.
        """
        known = ~np.isnan(ratings)
        if not known.any() or np.ptp(ratings[known]) == 0:
            return None
        missing = float(np.mean(ratings[known], dtype=np.float64))
        values, places = np.unique(np.where(known, ratings, np.float32(missing)), return_inverse=True)
        rows, hits = np.bincount(places), np.bincount(places, weights=labels)
        design = np.stack([values.astype(np.float64) - missing, np.ones(len(values))], axis=1)
        ridge, weights = np.array([1e-6, 1e-9]), np.zeros(2)
        for _ in range(rounds):
            chances = _sigmoid(design @ weights)
            gradient = design.T @ (hits - rows * chances) - ridge * weights
            curvature = (design * (rows * chances * (1 - chances))[:, None]).T @ design + np.diag(ridge)
            step = np.clip(np.linalg.solve(curvature, gradient), -5, 5)
            weights = weights + step
            if np.abs(step).max() < 1e-9:
                break
        return cls(float(weights[0]), float(weights[1]), missing)

    def score(self, ratings: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probabilities (N,) of mean ratings (N,)."""
        values = np.where(np.isnan(ratings), self.missing, ratings).astype(np.float64) - self.missing
        return _sigmoid(self.slope * values + self.intercept)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))
