"""Wide & Deep by hand, and its crosses against hashes in Python's integers."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from seqrec.models.onnx_graph import GraphInput, write_module
from seqrec.models.wide_deep import PRIME, HashedCrosses, Probability, QuantileRanks, WideDeep

CODES = [3, 0, 4, 0]  # two discrete columns, of 3 and 4 codes, and two continuous ones
NAN = float("nan")
ROWS = torch.tensor([[0.0, 1.5, 3.0, NAN], [2.0, NAN, 1.0, 7.0], [1.0, -4.0, 0.0, 2.0]])


def network(**changed: Any) -> WideDeep:
    """A network over CODES, with drawn weights everywhere."""
    torch.manual_seed(3)
    shape: dict[str, Any] = {
        "codes": CODES,
        "crosses": [(0, 2)],
        "cross_buckets": 50,
        "use_wide": True,
        "embedding_size": 2,
        "hidden_units": (5, 3),
        "dropout": 0.0,
    }
    found = WideDeep(**{**shape, **changed})
    for parameter in found.parameters():
        nn.init.normal_(parameter)
    if found.quantiles is not None:
        found.quantiles.fit(ROWS[:, found.continuous])
    return found.eval()


def test_codes_of_unknown_values_begin_as_nothing() -> None:
    """A column without unknown values in training leaves them so: a new user scores as one without the column's embedding."""
    drawn = WideDeep(codes=CODES, crosses=[], cross_buckets=50, use_wide=True, embedding_size=2, hidden_units=(5,), dropout=0.0)
    assert drawn.embeddings is not None
    rows = drawn.embeddings.weight.detach().abs().sum(1)
    assert (rows == 0).tolist() == [True, False, False, True, False, False, False]


def test_quantiles_are_places_among_the_numbers_of_training() -> None:
    """Of the numbers 0 to 63 each is a quantile of its own; -9 and 99 lie outside, and a missing one is in the middle."""
    ranks = QuantileRanks(2)
    rows = torch.stack([torch.arange(64.0), torch.full((64,), NAN)], dim=1)[torch.randperm(64)]
    ranks.fit(rows)
    found = ranks(torch.tensor([[0.0, 5.0], [21.0, -5.0], [63.0, NAN], [-9.0, 0.0], [99.0, 0.0], [NAN, 0.0]]))
    assert found[:, 0].tolist() == pytest.approx([0.0, 21 / 63, 1.0, 0.0, 1.0, 0.5])
    assert found[:, 2].tolist() == [0, 0, 0, 0, 0, 1]
    assert found[:, 1].tolist() == [1.0, 0.0, 0.5, 1.0, 1.0, 1.0], "a column that was always missing is split at 0"
    assert found[:, 3].tolist() == [0, 0, 1, 0, 0, 0]


def test_crosses_are_hashed_as_integers_are() -> None:
    crosses = HashedCrosses([(0, 2), (2, 0, 1)], buckets=1000)
    rows = torch.randint(0, 2**24, (200, 3)).float()
    expected = []
    for row in rows.long().tolist():
        hashes = [
            sum((row[column] + 1) * a for column, a in zip(columns, multipliers.tolist(), strict=False)) % PRIME % 1000
            for columns, multipliers in zip(crosses.columns, crosses.multipliers, strict=True)
        ]
        expected.append([hashes[0], 1000 + hashes[1]])
    assert crosses.hashed(rows).tolist() == expected


def test_crosses_meet_in_a_bucket_no_more_often_than_drawn_ones() -> None:
    """60 · 60 combinations in 10000 buckets: of B buckets, n drawn ones are B (1 - (1 - 1/B)^n) different ones."""
    codes = torch.cartesian_prod(torch.arange(60.0), torch.arange(60.0))
    taken = len({*HashedCrosses([(0, 1)], buckets=10_000).hashed(codes)[:, 0].tolist()})
    assert taken > 0.97 * 10_000 * (1 - (1 - 1e-4) ** 3600)


def test_the_logit_by_hand() -> None:
    """wide + deep + bias, from the weights, a row at a time."""
    model = network()
    weights = {name: weight.double().numpy() for name, weight in model.state_dict().items()}
    assert model.quantiles is not None
    assert model.crosses is not None
    for row, found in zip(ROWS, model(ROWS).tolist(), strict=True):
        first, second = int(row[0]), 3 + int(row[2])
        numbers = model.quantiles(row[[1, 3]][None])[0].double().numpy()
        values = np.concatenate([*weights["embeddings.weight"][[first, second]], numbers])
        for layer in ("deep.0", "deep.3"):
            values = np.maximum(0, weights[f"{layer}.weight"] @ values + weights[f"{layer}.bias"])
        deep = (weights["deep.6.weight"] @ values + weights["deep.6.bias"])[0]
        bucket = int(model.crosses.hashed(row[None])[0, 0])
        wide = weights["code_weights.weight"][[first, second], 0].sum() + weights["crosses.weights.weight"][bucket, 0]
        assert found == pytest.approx(deep + wide, rel=1e-5)


@pytest.mark.parametrize(
    ("changed", "absent"),
    [
        ({}, set()),
        ({"use_wide": False}, {"code_weights", "crosses"}),
        ({"crosses": []}, {"crosses"}),
        ({"codes": [0, 0, 0, 0], "crosses": []}, {"embeddings", "code_weights", "crosses"}),
        ({"codes": [3, 9, 4, 9], "rows": torch.tensor([[1.0, 8.0, 3.0, 0.0]])}, {"quantiles"}),
        ({"hidden_units": ()}, set()),
    ],
)
def test_each_part_may_be_absent(changed: dict[str, Any], absent: set[str]) -> None:
    rows = changed.pop("rows", ROWS)
    model = network(**changed)
    parts = {"embeddings", "code_weights", "crosses", "quantiles"}
    assert {part for part in parts if getattr(model, part) is None} == absent
    logits = model(rows)
    assert logits.shape == (len(rows),)
    assert logits.isfinite().all()


def test_dropout_drops_in_training_alone() -> None:
    model = network(dropout=0.5)
    assert torch.equal(model(ROWS), model(ROWS))
    model.train()
    assert not torch.equal(model(ROWS.repeat(20, 1)), model(ROWS.repeat(20, 1)))


@pytest.mark.parametrize("changed", [{}, {"use_wide": False}, {"codes": [0] * 4, "crosses": []}, {"crosses": [(0, 2), (2, 0)]}])
def test_the_graph_gives_the_probabilities(changed: dict[str, Any], tmp_path: Path) -> None:
    model = network(**changed)
    rows = torch.cat([ROWS, torch.tensor([[2.0, NAN, 3.0, NAN], [0.0, float("inf"), 0.0, float("-inf")]])]).repeat(7, 1)
    batch = torch.export.Dim("rows")
    features = GraphInput("features", rows[:2], {0: batch})
    write_module(Probability(model), tmp_path / "ranker.onnx", inputs=[features], output="score", opset=18)
    session = ort.InferenceSession(tmp_path / "ranker.onnx")
    (found,) = session.run(["score"], {"features": rows.numpy()})
    assert found.shape == (35,)
    np.testing.assert_allclose(found, torch.sigmoid(model(rows)).detach().numpy(), rtol=1e-5, atol=1e-7)
    (alone,) = session.run(["score"], {"features": rows[:1].numpy()})
    assert alone.tolist() == pytest.approx(found[:1].tolist(), rel=1e-6)
