"""A mixture of experts, against a loop over positions."""

from typing import Any

import pytest
import torch

from seqrec.models.losses import cross_entropy
from seqrec.models.mixture import MixtureMLP, take_balance
from seqrec.models.shape import Shape
from seqrec.models.transformer import Transformer
from seqrec.training.objective import ItemObjective
from seqrec.training.tasks import ItemBatch

E, D = 4, 6


def mixture(active: int) -> MixtureMLP:
    torch.manual_seed(active)
    shape = Shape(dim=D, blocks=1, heads=1, ffn=2, dropout=0.0, mlp="moe", experts=E, experts_active=active)
    return MixtureMLP(shape)


def by_loop(layer: MixtureMLP, x: torch.Tensor) -> torch.Tensor:
    rows = []
    for row in x.view(-1, D):
        probabilities = torch.softmax(layer.router.weight @ row, 0)
        best = sorted(range(E), key=lambda expert: -probabilities[expert].item())[: layer.active]
        total = sum(probabilities[expert] for expert in best) if layer.active > 1 else 1.0
        rows.append(sum(probabilities[expert] / total * layer.experts[expert](row) for expert in best))
    return torch.stack(rows).view(x.shape)


@pytest.mark.parametrize("active", [1, 2, 4])
def test_the_best_experts_compute_a_position(active: int) -> None:
    layer, x = mixture(active), torch.randn(3, 5, D)
    torch.testing.assert_close(layer(x), by_loop(layer, x))
    torch.testing.assert_close(layer.eval()(x), by_loop(layer, x))


def test_gradients_reach_the_router_and_each_chosen_expert() -> None:
    layer, x = mixture(1), torch.randn(3, 5, D)
    with torch.no_grad():
        layer.router.weight[3] = 0.0
        layer.router.weight[:3] = 0.0
        layer.router.weight[1, 0] = layer.router.weight[2, 1] = 9.0
    torch.autograd.backward(layer(x).sum())
    assert layer.router.weight.grad is not None
    assert layer.router.weight.grad.abs().max() > 0
    reached = [bool(expert.expand.weight.grad.abs().max() > 0) for expert in layer.experts]  # type: ignore[union-attr, operator]
    assert layer.routing is not None
    assert [place in layer.routing.chosen for place in range(E)] == reached


@pytest.mark.parametrize("training", [True, False])
def test_a_position_is_the_same_alone_and_in_a_batch(training: bool) -> None:
    layer, x = mixture(2).train(training), torch.randn(7, 5, D)
    torch.testing.assert_close(layer(x[2:3, 1:2]), layer(x)[2:3, 1:2])


def test_the_load_balancing_loss_is_that_of_a_double_loop() -> None:
    layer, x = mixture(2), torch.randn(3, 5, D)
    layer(x)
    real = torch.tensor([[False, True, True, True, True]] * 2 + [[False] * 4 + [True]])
    expected, rows = 0.0, x[real]
    probabilities = torch.softmax(rows @ layer.router.weight.T, -1)
    for expert in range(E):
        chosen = sum(expert in row.topk(2).indices.tolist() for row in probabilities)
        expected += E * chosen / (2 * len(rows)) * probabilities[:, expert].mean().item()
    assert layer.take_balance(real).item() == pytest.approx(expected)
    assert layer.routing is None


@pytest.mark.parametrize(("bias", "expected"), [([0.0, 0.0, 0.0, 0.0], 1.0), ([50.0, 0.0, 0.0, 0.0], 4.0)])
def test_it_is_one_if_even_and_as_large_as_there_are_experts_if_one_is_chosen_alone(bias: list[float], expected: float) -> None:
    layer = mixture(1)
    with torch.no_grad():
        layer.router.weight[:] = 0.0
        layer.router.weight[:, 0] = torch.tensor(bias)
    layer(torch.ones(2, 3, D))
    assert layer.take_balance(torch.ones(2, 3, dtype=torch.bool)).item() == pytest.approx(expected)


def build(**parts: Any) -> Transformer:
    torch.manual_seed(0)
    return Transformer(vocab_size=20, max_len=8, dim=8, blocks=2, heads=2, ffn=2, dropout=0.0, **parts)


def test_the_objective_adds_it_for_each_target() -> None:
    model = build(mlp="moe", experts=4, experts_active=2)
    inputs, targets = torch.tensor([[0, 5, 6], [2, 3, 4]]), torch.tensor([[0, 6, 7], [3, 4, 0]])
    batch = ItemBatch(inputs, targets, torch.zeros(2))
    plain, added = (ItemObjective(model, loss=cross_entropy, sampler=None, balance=weight)(batch) for weight in (0.0, 0.5))
    model(inputs)
    balance = take_balance(model, inputs != 0)
    assert balance is not None
    assert added.extras["balance"].item() == pytest.approx(4 * balance.item())
    assert added.sum.item() == pytest.approx(plain.sum.item() + 0.5 * 4 * balance.item())
    assert not added.extras["balance"].requires_grad
    weighted = batch._replace(weights=torch.tensor([[0.0, 0.5, 1.0], [0.25, 0.25, 9.0]]))
    half = ItemObjective(model, loss=cross_entropy, sampler=None, balance=0.5)(weighted)
    assert half.extras["balance"].item() == pytest.approx(2 * balance.item())


def test_a_model_without_experts_has_none() -> None:
    assert take_balance(build(), torch.ones(1, 1, dtype=torch.bool)) is None
