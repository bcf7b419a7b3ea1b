"""method=logistic: the weights are those of the minimum, the graph gives their scores, and keys take effect."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from jobs.train_ranker import run
from seqrec.errors import UserError
from seqrec.rankers import logistic
from seqrec.rankers.logistic import LogisticModel, fit_logistic, train_logistic
from seqrec.rankers.logistic_graph import write_logistic_graph
from seqrec.rankers.number_terms import NumberTerms
from seqrec.rankers.sample_matrix import SampleMatrix
from seqrec.serving.queries import open_encoder
from seqrec.serving.ranker import Ranker
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from tests.rankers.toy import sample_table, write_samples


def drawn(*, rows: int = 300, seed: int = 0) -> SampleMatrix:
    """Rows of three features, the first of which is missing in a fifth of them; the label follows it, and its absence."""
    draw = np.random.default_rng(seed)
    features = np.stack([draw.normal(size=rows), draw.integers(1, 100, rows), draw.random(rows)], axis=1).astype(np.float32)
    features[draw.random(rows) < 0.2, 0] = np.nan
    log_odds = np.nan_to_num(features[:, 0], nan=-2) - np.log(features[:, 1]) / 2
    labels = (draw.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(np.float32)
    return SampleMatrix(features=features, labels=labels, users=np.arange(rows) // 10)


def gradient(model: LogisticModel, train: SampleMatrix) -> NDArray[np.float64]:
    """The derivative of the loss by each weight and the intercept, row by row."""
    sums = np.append(model.lambda_l2 * model.weights, 0.0)
    for row, label in zip(model.terms.expand(train.features), train.labels, strict=True):
        missed = 1 / (1 + np.exp(-(row @ model.weights + model.intercept))) - label
        sums += missed * np.append(row, 1.0)
    return sums


def test_terms_are_those_of_hand() -> None:
    """Of 1, 3 and a gap: mean 2, deviation 1; logarithms 0 and log 3, whose mean is half of log 3, as is their deviation."""
    column = np.array([[1], [3], [np.nan], [9], [1000]], np.float32)
    expanded = NumberTerms.of(column[:3]).expand(column)
    np.testing.assert_allclose(expanded[:3], [[-1, -1, 0], [1, 1, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(expanded[3:], [[7, 3, 0], [10, 10, 0]], rtol=1e-5)


@pytest.mark.parametrize("lambda_l2", [0.5, 50.0])
def test_the_weights_are_at_the_minimum_in_blocks_of_any_size(lambda_l2: float, monkeypatch: pytest.MonkeyPatch) -> None:
    train = drawn()
    terms = NumberTerms.of(train.features)
    model = fit_logistic(train, terms, lambda_l2=lambda_l2)
    assert np.abs(model.weights).max() > 0.01
    np.testing.assert_allclose(gradient(model, train), 0, atol=1e-5)
    monkeypatch.setattr(logistic, "BLOCK_ROWS", 7)
    in_blocks = fit_logistic(train, terms, lambda_l2=lambda_l2)
    np.testing.assert_allclose(in_blocks.weights, model.weights, atol=1e-7)
    np.testing.assert_allclose(in_blocks.predict(train.features), model.predict(train.features), atol=1e-6)


def test_weights_that_separate_the_labels_settle() -> None:
    features = np.arange(20, dtype=np.float32)[:, None]
    train = SampleMatrix(features=features, labels=(features[:, 0] > 9).astype(np.float32), users=np.zeros(20, np.int64))
    model = fit_logistic(train, NumberTerms.of(features), lambda_l2=1e-6)
    assert model.predict(features)[10] > 0.9 > 0.1 > model.predict(features)[9]


def test_the_best_on_valid_is_chosen_and_of_equals_the_most_regular() -> None:
    train, valid = drawn(), drawn(seed=1)
    lambdas = [0.1, 1000.0]
    for metric in ("auc", "gauc", "log_loss"):
        model, reached = train_logistic(train, valid, lambdas=lambdas, metric=metric)
        each = {one: train_logistic(train, valid, lambdas=[one], metric=metric)[1] for one in lambdas}
        assert reached == (min if metric == "log_loss" else max)(each.values())
        assert each[model.lambda_l2] == reached
    constant = SampleMatrix(features=np.ones((300, 1), np.float32), labels=train.labels, users=train.users)
    assert train_logistic(constant, constant, lambdas=lambdas, metric="auc")[0].lambda_l2 == 1000


@pytest.mark.parametrize("opset", [9, 18])
def test_the_graph_gives_the_scores(tmp_path: Path, opset: int) -> None:
    """At values beyond all of training, at gaps where training had none, and at very large ones too."""
    train = drawn()
    model = fit_logistic(train, NumberTerms.of(train.features), lambda_l2=1.0)
    odd = np.array([[np.nan] * 3, [1e30, -1e30, np.nan], [-5, 0, 2], [1e9, 1e-9, -1]], np.float32)
    rows = np.concatenate([train.features, odd])
    write_logistic_graph(model, tmp_path / "ranker.onnx", opset=opset)
    (scores,) = open_encoder(str(tmp_path / "ranker.onnx"), 1).run(["score"], {"features": rows})
    assert scores.shape == (len(rows),)
    np.testing.assert_allclose(scores, model.predict(rows), atol=1e-6)
    assert np.isfinite(scores).all()


def settings(tmp_path: Path, **changed: Any) -> TrainRanker:
    folders = {"samples": str(tmp_path / "samples"), "output": str(tmp_path / "ranker")}
    return TrainRanker.model_validate({**folders, "method": "logistic", **changed})


def test_a_ranker_of_numbers_is_written(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table())
    hashes = []
    for _ in range(2):
        run(settings(tmp_path, logistic={"lambda_l2": [3.0]}, metric="log_loss"))
        meta = locate_ranker(str(tmp_path / "ranker")).meta
        hashes.append(meta.files["ranker.onnx"])
    assert hashes[0] == hashes[1]
    assert (meta.method, meta.columns) == ("logistic", ["age", "user_genre_shares", "item_mean_rating"])
    ranker, baseline = (meta.metrics["test"][who]["auc"] for who in ("ranker", "item_mean"))
    assert ranker is not None
    assert baseline is not None
    assert ranker > baseline
    assert meta.parity["largest_difference"] < 1e-6
    assert Ranker.open(str(tmp_path / "ranker")).score(sample_table(seed=3)).std() > 0.1
    run(settings(tmp_path, columns={"continuous": ["age"]}, logistic={"lambda_l2": [1e6]}))
    assert Ranker.open(str(tmp_path / "ranker")).score(sample_table()).std() < 0.01


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"logistic": {"lambda_l2": [0]}}, "logistic.lambda_l2"),
        ({"columns": {"discrete": ["genre"]}}, "method=logistic reads numbers alone: leave genre out"),
        ({"patience": 3}, "patience=3 is of method=lightgbm: leave it out"),
        ({"distributor": "spark", "processes": 2}, "method=logistic trains on one machine"),
        ({"lightgbm": {"num_leaves": 7}}, "lightgbm.num_leaves is of method=lightgbm, and this is method=logistic"),
        ({"method": "lightgbm", "logistic": {"lambda_l2": [3]}}, "logistic.lambda_l2 is of method=logistic"),
    ],
)
def test_keys_that_do_not_belong_to_it_are_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(tmp_path, **given)


def test_torchrun_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="method=logistic in each of 2 processes of torchrun: leave torchrun out"):
        run(settings(tmp_path))
