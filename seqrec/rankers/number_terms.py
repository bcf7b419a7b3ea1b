"""Numbers into the terms of a linear model: three a feature, so that a weight each can bend, and can say what a gap means.

    features (N, F) -> values (N, F) | logarithms (N, F) | missing (N, F)

A value is standardised by the training rows; so is the logarithm of 1 + its distance to their lowest, since ranks and counts
matter by their order of magnitude. Both are at most LARGEST standard deviations, and 0 where the value is missing. All of it is
float32, step by step as in the ONNX graph of `logistic_graph`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqrec.serving.feature_encoding import Features

LARGEST = np.float32(10)  # standard deviations
ONE = np.float32(1)

Row = NDArray[np.float32]  # (F,)


@dataclass(frozen=True, kw_only=True)
class NumberTerms:
    """How F features become 3 · F terms: the lowest values, means and standard deviations of the training rows, (F,) each."""

    lowest: Row
    mean: Row
    deviation: Row
    log_mean: Row
    log_deviation: Row

    @classmethod
    def of(cls, features: Features) -> "NumberTerms":
        """Of the training rows (N, F); a feature that has no value, or one alone, gets terms of 0."""
        columns = [_column_terms(features[:, place]) for place in range(features.shape[1])]
        lowest, mean, deviation, log_mean, log_deviation = np.array(columns, np.float32).reshape(-1, 5).T
        return cls(lowest=lowest, mean=mean, deviation=deviation, log_mean=log_mean, log_deviation=log_deviation)

    def expand(self, features: Features) -> Features:
        """The terms (N, 3 · F) of features (N, F).

        >>> NumberTerms.of(np.array([[1], [3]], np.float32)).expand(np.array([[3], [np.nan]], np.float32)).tolist()
        [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        """
        missing = np.isnan(features)
        filled = np.where(missing, self.mean, features)
        values = _bounded((filled - self.mean) / self.deviation)
        logarithms = _bounded((_logarithms(filled, self.lowest) - self.log_mean) / self.log_deviation)
        terms: Features = np.concatenate([values, np.where(missing, 0, logarithms), missing], axis=1).astype(np.float32)
        return terms


def _column_terms(column: NDArray[np.float32]) -> tuple[float, float, float, float, float]:
    """The fields of NumberTerms for one feature (N,)."""
    there = column[~np.isnan(column)]
    if not len(there):
        return 0.0, 0.0, 1.0, 0.0, 1.0
    lowest = there.min()
    return float(lowest), *_mean_and_deviation(there), *_mean_and_deviation(_logarithms(there, lowest))


def _mean_and_deviation(values: NDArray[np.float32]) -> tuple[float, float]:
    """Both of N values; 1 stands for a deviation of 0."""
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)) or 1.0


def _logarithms(values: NDArray[np.float32], lowest: Row | np.float32) -> NDArray[np.float32]:
    """log(1 + the distance to the lowest), 0 below it."""
    logarithms: NDArray[np.float32] = np.log(np.maximum(values - lowest, np.float32(0)) + ONE)
    return logarithms


def _bounded(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values between -LARGEST and LARGEST."""
    return np.clip(values, -LARGEST, LARGEST)
