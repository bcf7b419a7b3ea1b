"""Trees and when they stop: every key of LightGBM's takes effect, and early stopping goes by the metric that is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.train_ranker import run
from seqrec.rankers.boosting import Boosting, Metric, Trees, train_trees
from seqrec.rankers.label_metrics import label_metrics
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from tests.rankers.toy import sample_table, write_samples


def matrix(seed: int) -> SampleMatrix:
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(300, 3)).astype(np.float32)
    labels = (features[:, 0] + draw.normal(size=300) > 0).astype(np.float32)
    return SampleMatrix(features=features, labels=labels, users=draw.integers(0, 20, 300))


def train(metric: Metric, *, patience: int | None = 5, num_rounds: int = 100, seed: int = 3) -> Trees:
    parameters = {"num_leaves": 7, "min_data_in_leaf": 3, "num_threads": 1, "bagging_fraction": 0.5}
    boosting = Boosting(parameters=parameters, num_rounds=num_rounds, metric=metric, patience=patience, seed=seed)
    return train_trees(matrix(1), matrix(2), boosting, names=["a", "b", "c"])


@pytest.mark.parametrize("metric", ["auc", "gauc", "log_loss"])
def test_the_best_round_by_the_metric_is_kept(metric: Metric) -> None:
    trees, valid = train(metric), matrix(2)

    def measured(rounds: int) -> float:
        scores = np.asarray(trees.booster.predict(valid.features, num_iteration=rounds))
        value = getattr(label_metrics(scores, valid.labels, valid.users), metric)
        return -float(value) if metric == "log_loss" else float(value)

    values = [measured(rounds) for rounds in range(1, trees.rounds + 6)]
    assert trees.rounds < 95
    assert np.argmax(np.round(values, 12)) == trees.rounds - 1
    assert abs(trees.reached) == pytest.approx(abs(values[trees.rounds - 1]))
    assert trees.predict(valid.features) == pytest.approx(
        np.asarray(trees.booster.predict(valid.features, num_iteration=trees.rounds)), abs=1e-7
    )


def test_without_patience_all_rounds_count() -> None:
    assert train("auc", patience=None, num_rounds=12).rounds == 12


def test_the_seed_draws_the_rows() -> None:
    one, same, other = (train("auc", patience=None, num_rounds=4, seed=seed).tree_info for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_every_key_reaches_lightgbm(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table())
    keys: dict[str, Any] = {
        "num_leaves": 5,
        "max_depth": 3,
        "learning_rate": 0.25,
        "min_data_in_leaf": 7,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.625,
        "lambda_l2": 2,
        "max_bin": 63,
    }
    places = {"samples": str(tmp_path / "samples"), "output": str(tmp_path / "ranker")}
    run(TrainRanker.model_validate({**places, "patience": None, "seed": 9, "lightgbm": {**keys, "num_rounds": 3}}))
    written = (Path(locate_ranker(str(tmp_path / "ranker")).path) / "booster.txt").read_text()
    for key, value in {**keys, "seed": 9, "bagging_freq": 1, "num_iterations": 3}.items():
        assert f"[{key}: {value}]" in written
    assert set(keys) | {"num_rounds"} == set(TrainRanker.model_fields["lightgbm"].default.model_dump())
