"""method=logistic: a logistic regression on the terms of numbers, fitted by Newton's method.

It has three weights a feature and no choice to make but the weight of their squares. So it learns from a few hundred rows of
label 1, where trees fit chance: candidates have one a user. What is the same for all rows of a user doesn't change their order;
what orders lists are the weights of the sources' ranks and scores, and of the items' features.

Rows are taken in blocks, in order: memory is that of the features (4 bytes each) and of one block's terms.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.rankers.boosting import Metric
from seqrec.rankers.label_metrics import auc, auc_by_user, log_loss
from seqrec.rankers.number_terms import NumberTerms
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.serving.feature_encoding import Features

log = logging.getLogger("seqrec")

BLOCK_ROWS = 65536
MOST_STEPS = 50
SETTLED = 1e-8  # the largest change of a weight that ends Newton's method
FREE = 1e-9  # the weight of the intercept's square: rows of one class only would send it to infinity


@dataclass(frozen=True, kw_only=True)
class LogisticModel:
    """The terms, a weight each (3 · F,), the intercept, and the weight of the squares with which they were fitted."""

    terms: NumberTerms
    weights: NDArray[np.float64]
    intercept: float
    lambda_l2: float

    def log_odds(self, features: Features) -> NDArray[np.float64]:
        """The logarithms (N,) of the odds of label 1."""
        blocks = [np.zeros(0), *(block.astype(np.float64) @ self.weights for block in _blocks(self.terms, features))]
        log_odds: NDArray[np.float64] = np.concatenate(blocks) + self.intercept
        return log_odds

    def predict(self, features: Features) -> NDArray[np.float32]:
        """The probabilities (N,) of label 1 for features (N, F)."""
        return _chances(self.log_odds(features)).astype(np.float32)

    def contributions(self, features: Features) -> NDArray[np.float64]:
        """How far each feature moves the log odds among N rows: the standard deviations (F,) of what its terms add."""
        sums, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
        for block in _blocks(self.terms, features):
            added = (block * self.weights).reshape(len(block), 3, -1).sum(axis=1)  # (N, 3 · F) -> (N, F)
            sums += added.sum(axis=0)
            squares += (added**2).sum(axis=0)
        variance: NDArray[np.float64] = squares / len(features) - (sums / len(features)) ** 2
        deviations: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0))
        return deviations


def train_logistic(
    train: SampleMatrix, valid: SampleMatrix, *, lambdas: Sequence[float], metric: Metric
) -> tuple[LogisticModel, float]:
    """The best model on the valid rows among those of several weights of squares, and its metric; of equals the most regular."""
    terms, best = NumberTerms.of(train.features), None
    for lambda_l2 in sorted(lambdas, reverse=True):
        model = fit_logistic(train, terms, lambda_l2=lambda_l2)
        reached = _measure(metric, model.predict(valid.features), valid)
        log.debug("lambda_l2=%g: %s %.4f on valid", lambda_l2, metric, reached)
        worth = -reached if metric == "log_loss" else reached
        if best is None or worth > best[0]:
            best = worth, model, reached
    assert best is not None
    return best[1:]


def fit_logistic(train: SampleMatrix, terms: NumberTerms, *, lambda_l2: float) -> LogisticModel:
    """Minimise the sum of the rows' log losses and λ/2 of the weights' squares (Bishop 2006, section 4.3.3).

    A step that makes the sum larger is halved. Raises UserError if it doesn't settle.
    """
    size = 3 * train.features.shape[1] + 1
    ridge, weights = np.append(np.full(size - 1, lambda_l2), FREE), np.zeros(size)
    weights[-1] = np.log(train.labels.mean(dtype=np.float64) / (1 - train.labels.mean(dtype=np.float64)))
    loss = _loss(train, terms, weights, ridge)
    for _ in range(MOST_STEPS):
        step = _newton_step(train, terms, weights, ridge)
        while (reached := _loss(train, terms, weights + step, ridge)) > loss and np.abs(step).max() > SETTLED:
            step /= 2
        if reached <= loss:
            weights, loss = weights + step, reached
        if np.abs(step).max() <= SETTLED:
            return LogisticModel(terms=terms, weights=weights[:-1], intercept=float(weights[-1]), lambda_l2=lambda_l2)
    raise UserError(f"logistic.lambda_l2={lambda_l2:g}: the weights don't settle in {MOST_STEPS} steps: set a larger one")


def _newton_step(
    train: SampleMatrix, terms: NumberTerms, weights: NDArray[np.float64], ridge: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The step (3 · F + 1,) to the minimum of the loss's quadratic approximation."""
    gradient, curvature, first = ridge * weights, np.diag(ridge), 0
    for block in _blocks(terms, train.features):
        labels = train.labels[first : first + len(block)]
        design = np.column_stack([block, np.ones(len(block))])
        chances = _chances(design @ weights)
        gradient += design.T @ (chances - labels)
        curvature += (design * (chances * (1 - chances))[:, None]).T @ design
        first += len(block)
    return np.linalg.solve(curvature, -gradient)


def _loss(train: SampleMatrix, terms: NumberTerms, weights: NDArray[np.float64], ridge: NDArray[np.float64]) -> float:
    """The sum of the rows' log losses, and half the weighted squares."""
    total, first = float(ridge @ weights**2) / 2, 0
    for block in _blocks(terms, train.features):
        log_odds = block.astype(np.float64) @ weights[:-1] + weights[-1]
        labels = train.labels[first : first + len(block)]
        total += float(np.sum(np.logaddexp(0, log_odds) - labels * log_odds))
        first += len(block)
    return total


def _blocks(terms: NumberTerms, features: Features) -> Iterator[Features]:
    """The terms of the features' rows, in blocks."""
    for first in range(0, len(features), BLOCK_ROWS):
        yield terms.expand(features[first : first + BLOCK_ROWS])


def _measure(metric: Metric, scores: NDArray[np.float32], valid: SampleMatrix) -> float:
    """A metric of the valid rows, which have both labels; GAUC is 0.5 where no user has both."""
    if metric == "log_loss":
        return log_loss(scores, valid.labels)
    if metric == "auc":
        return auc(scores, valid.labels) or 0.0
    each, rows = auc_by_user(scores, valid.labels, valid.users)
    return float(np.average(each, weights=rows)) if len(each) else 0.5


def _chances(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of log odds: 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-np.clip(log_odds, -500, 500)))
