"""method=lightgbm: gradient-boosted trees on samples in memory, by LightGBM (Ke et al. 2017).

The same samples and settings give the same trees on any number of threads (LightGBM's `deterministic`). Categories are codes by
frequency, which trees split as numbers: ONNX has no exact form of LightGBM's splits of categories.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import lightgbm
import numpy as np
from numpy.typing import NDArray

from seqrec.command.bars import Bar
from seqrec.errors import UserError
from seqrec.rankers.label_metrics import auc_by_user
from seqrec.rankers.sample_matrix import SampleMatrix

log = logging.getLogger("seqrec")

Metric = Literal["auc", "gauc", "log_loss"]
OWN_NAMES = {"auc": "auc", "log_loss": "binary_logloss", "gauc": "None"}  # None: LightGBM computes none of its own


@dataclass(frozen=True, kw_only=True)
class Boosting:
    """LightGBM's parameters by its own names, the most trees, and when to stop: `patience` rounds without a better metric."""

    parameters: dict[str, Any]
    num_rounds: int
    metric: Metric
    patience: int | None
    seed: int

    def of_lightgbm(self) -> dict[str, Any]:
        """All parameters of a training."""
        return {
            **self.parameters,
            "objective": "binary",
            "metric": OWN_NAMES[self.metric],
            "bagging_freq": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Trained trees: the booster, of which `rounds` trees count, and the metric on the valid rows after these."""

    booster: lightgbm.Booster
    rounds: int
    reached: float

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """LightGBM's own probabilities (N,) of features (N, F)."""
        predicted = np.asarray(self.booster.predict(features, num_iteration=self.rounds))
        return predicted.astype(np.float32)

    @property
    def tree_info(self) -> list[dict[str, Any]]:
        """The trees that count, as LightGBM dumps them."""
        trees: list[dict[str, Any]] = self.booster.dump_model(num_iteration=self.rounds)["tree_info"]
        return trees


def train_trees(
    train: SampleMatrix, valid: SampleMatrix, boosting: Boosting, *, names: list[str], network: dict[str, Any] | None = None
) -> Trees:
    """Add trees until the metric of the valid rows stops improving.

    `network` are LightGBM's parameters of a worker among several, which have parts of the training rows and the same valid rows.
    """
    lightgbm.register_logger(log, info_method_name="debug", warning_method_name="debug")
    parameters = boosting.of_lightgbm() | (network or {})
    rows = lightgbm.Dataset(train.features, train.labels, feature_name=names_for_lightgbm(names), params=parameters)
    held_out = lightgbm.Dataset(valid.features, valid.labels, reference=rows, params=parameters)
    record: dict[str, dict[str, list[float]]] = {}
    with Bar("trees", total=boosting.num_rounds, unit="trees") as bar:
        callbacks = [lightgbm.record_evaluation(record), _shown(bar)]
        if boosting.patience is not None:
            callbacks.append(lightgbm.early_stopping(boosting.patience, verbose=False))
        booster = lightgbm.train(
            parameters,
            rows,
            num_boost_round=boosting.num_rounds,
            valid_sets=[held_out],
            valid_names=["valid"],
            feval=_gauc(valid.users) if boosting.metric == "gauc" else None,
            callbacks=callbacks,
        )
    (values,) = record["valid"].values()
    rounds = booster.best_iteration if booster.best_iteration > 0 else len(values)
    return Trees(booster=booster, rounds=rounds, reached=values[rounds - 1])


def require_splits(trees: Trees) -> None:
    """Raise UserError if none of the trees has a split."""
    if not any("split_index" in tree["tree_structure"] for tree in trees.tree_info):
        raise UserError(
            "the trees have no split, so all rows would get the same score: lower lightgbm.min_data_in_leaf, or give more samples"
        )


def names_for_lightgbm(names: list[str]) -> list[str]:
    """The features' names as LightGBM takes them: without the marks of JSON, and numbered so that no two are equal.

    >>> names_for_lightgbm(["age", "user_genre_shares[Sci-Fi]"])
    ['0_age', '1_user_genre_shares_Sci_Fi_']
    """
    return [f"{place}_{''.join(mark if mark.isalnum() else '_' for mark in name)}" for place, name in enumerate(names)]


def _gauc(users: NDArray[np.int64]) -> Callable[[NDArray[np.float64], lightgbm.Dataset], tuple[str, float, bool]]:
    """GAUC as LightGBM wants a metric: its name, its value, and that more is better."""

    def evaluate(scores: NDArray[np.float64], rows: lightgbm.Dataset) -> tuple[str, float, bool]:
        each, weights = auc_by_user(scores, np.asarray(rows.get_label(), np.float32), users)
        return "gauc", float(np.average(each, weights=weights)) if len(each) else 0.5, True

    return evaluate


def _shown(bar: Bar) -> Callable[[Any], None]:
    """What LightGBM calls after each tree: the bar shows how many there are, and the metric."""

    def show_round(environment: Any) -> None:
        ((_, name, value, *_),) = environment.evaluation_result_list
        bar.reach(environment.iteration + 1, note=f"{name} {value:.4f}")

    return show_round
