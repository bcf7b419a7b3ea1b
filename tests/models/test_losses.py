"""Losses and their gradients against naive formulas."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seqrec.models import losses
from seqrec.models.losses import Predictions
from seqrec.models.negatives import OutsideWindows, Popularity, Uniform

V, D, N = 30, 4, 9
COUNTS = torch.arange(V)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(3)
    hidden = torch.randn(N, D, requires_grad=True)
    matrix = torch.randn(V + 2, D, requires_grad=True)
    return hidden, matrix, torch.randint(2, V + 2, (N,))


def same(actual: Tensor, expected: Tensor, leaves: list[Tensor], tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(actual.double(), expected.double(), rtol=tolerance, atol=tolerance)
    for own, naive in zip(torch.autograd.grad(3 * actual, leaves), torch.autograd.grad(3 * expected, leaves), strict=True):
        torch.testing.assert_close(own, naive, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("chunk", [1 << 23, 2 * V])
def test_cross_entropy_is_torchs_over_the_real_items(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    hidden, matrix, targets = inputs()
    expected = torch.nn.functional.cross_entropy(hidden @ matrix[2:].T, targets - 2, reduction="sum")
    same(losses.cross_entropy(Predictions(hidden, targets), matrix), expected, [hidden, matrix])


def test_cross_entropy_in_bf16_is_near() -> None:
    hidden, matrix, targets = inputs()
    exact = losses.cross_entropy(Predictions(hidden, targets), matrix)
    near = losses.cross_entropy(Predictions(hidden, targets), matrix, bf16=True)
    assert near.item() == pytest.approx(exact.item(), rel=0.02)
    assert near.item() != exact.item()


@pytest.mark.parametrize("dense_rows", [0, 1000])
@pytest.mark.parametrize("chunk", [1 << 23, 100])
@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_gbce_is_the_papers_formula(monkeypatch: pytest.MonkeyPatch, chunk: int, dense_rows: int, t: float) -> None:
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    monkeypatch.setattr(losses, "DENSE_ROWS", dense_rows)
    hidden, matrix, targets = inputs()
    sampler, negatives = Uniform(vocab_size=V), 5
    torch.manual_seed(9)
    actual = losses.gbce(Predictions(hidden, targets), matrix, sampler=sampler, negatives=negatives, t=t)
    torch.manual_seed(9)
    drawn = sampler((N, negatives), torch.device("cpu"))
    alpha = negatives / (V - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    own = (hidden * matrix[targets]).sum(-1).double()
    other = (hidden[:, None] * matrix[drawn]).sum(-1).double()
    expected = -(own.sigmoid().pow(beta).log().sum() + (1 - other.sigmoid()).log().sum()) / (1 + negatives)
    same(actual, expected, [hidden, matrix], tolerance=1e-4)


def test_bce_is_gbce_without_calibration() -> None:
    hidden, matrix, targets = inputs()
    sampler = Uniform(vocab_size=V)
    torch.manual_seed(9)
    plain = losses.bce(Predictions(hidden, targets), matrix, sampler=sampler, negatives=3)
    torch.manual_seed(9)
    assert plain.item() == losses.gbce(Predictions(hidden, targets), matrix, sampler=sampler, negatives=3, t=0.0).item()


def test_gbce_stays_finite_for_extreme_scores() -> None:
    hidden = torch.full((1, 1), 200.0, requires_grad=True)
    matrix = torch.tensor([[0.0], [0.0], [-1.0], [1.0]], requires_grad=True)
    loss = losses.gbce(Predictions(hidden, torch.tensor([2])), matrix, sampler=Uniform(vocab_size=2), negatives=1, t=0.75)
    assert math.isfinite(loss.item())
    assert all(torch.isfinite(grad).all() for grad in torch.autograd.grad(loss, [hidden, matrix]))


@pytest.mark.parametrize("chunk", [1 << 23, 20])
@pytest.mark.parametrize("log_q", [True, False])
@pytest.mark.parametrize(
    ("make", "power"), [(lambda: Uniform(vocab_size=V), 0), (lambda: Popularity(counts=COUNTS, power=0.75), 0.75)]
)
def test_sampled_cross_entropy_against_a_double_loop(
    monkeypatch: pytest.MonkeyPatch, chunk: int, log_q: bool, make: Callable[[], losses.Sampler], power: float
) -> None:
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    hidden, matrix, targets = inputs()
    sampler = make()
    torch.manual_seed(9)
    actual = losses.sampled_cross_entropy(Predictions(hidden, targets), matrix, sampler=sampler, negatives=12, log_q=log_q)
    torch.manual_seed(9)
    shared = sampler((12,), torch.device("cpu")).tolist()
    weights = COUNTS.double().clamp(min=1) ** power
    probabilities = (weights / weights.sum()).log().float()
    expected = torch.zeros(())
    for row, target in enumerate(targets.tolist()):
        kept = [target] + [item for item in shared if item != target]
        scores = torch.stack([hidden[row] @ matrix[item] for item in kept])
        if log_q:
            scores = scores - torch.stack([torch.zeros(()), *(probabilities[item - 2] + math.log(12) for item in kept[1:])])
        expected = expected + scores.logsumexp(0) - scores[0]
    same(actual, expected, [hidden, matrix])


@pytest.mark.parametrize("make", [lambda: Uniform(vocab_size=V), lambda: Popularity(counts=COUNTS, power=1.0)])
def test_log_q_makes_a_sampled_softmax_agree_with_the_full_one(make: Callable[[], losses.Sampler]) -> None:
    hidden, matrix, targets = inputs()
    torch.manual_seed(4)
    full = losses.cross_entropy(Predictions(hidden, targets), matrix)
    sampled = losses.sampled_cross_entropy(Predictions(hidden, targets), matrix, sampler=make(), negatives=200_000, log_q=True)
    grad, expected = (torch.autograd.grad(loss, hidden)[0] for loss in (sampled, full))
    torch.testing.assert_close(grad, expected, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("power", [None, 0.0, 1.0])
def test_the_gradient_of_few_negatives_is_near_the_full_softmaxs(power: float | None) -> None:
    """2000 items, 256 of them drawn, a loss of about 2: corrected, the gradient is about that of all items; else half of it."""
    torch.manual_seed(6)
    matrix = torch.nn.functional.normalize(torch.randn(2002, 64), dim=1)
    targets = torch.randint(2, 2002, (64,))
    hidden = (6 * matrix[targets]).requires_grad_()
    full = losses.cross_entropy(Predictions(hidden, targets), matrix)
    assert full.item() / 64 == pytest.approx(2.0, abs=0.1)
    (expected,) = torch.autograd.grad(full, hidden)
    sampler = Uniform(vocab_size=2000) if power is None else Popularity(counts=torch.arange(2000) % 50 + 1, power=power)
    apart = {}
    for log_q in (True, False):
        sampled = losses.sampled_cross_entropy(Predictions(hidden, targets), matrix, sampler=sampler, negatives=256, log_q=log_q)
        (grad,) = torch.autograd.grad(sampled, hidden)
        apart[log_q] = ((grad - expected).norm() / expected.norm()).item()
    assert apart[True] < 0.15
    assert apart[False] > 0.4


@pytest.mark.parametrize("chunk", [1 << 23, 20])
@pytest.mark.parametrize("name", ["cross_entropy", "bce", "gbce", "sampled_cross_entropy", "cosine_contrastive"])
def test_a_weight_of_two_counts_a_query_twice_and_one_of_zero_not_at_all(
    monkeypatch: pytest.MonkeyPatch, chunk: int, name: str
) -> None:
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    options: dict[str, dict[str, Any]] = {
        "cross_entropy": {},
        "bce": {"negatives": 3},
        "gbce": {"negatives": 3, "t": 0.5},
        "sampled_cross_entropy": {"negatives": 5, "log_q": True},
        "cosine_contrastive": {"negatives": 5, "margin": 0.1, "weight": 2.0},
    }
    hidden, matrix, targets = inputs()
    weights = torch.tensor([2.0, 0.0, 1.0] * 3)
    shared, own = torch.randint(2, V + 2, (5,)), torch.randint(2, V + 2, (N, 3))

    class Fixed(Uniform):
        def forward(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
            return shared if len(shape) == 1 else drawn

    sampler = {} if name == "cross_entropy" else {"sampler": Fixed(vocab_size=V)}
    loss, keywords = getattr(losses, name), {**options[name], **sampler}
    drawn = own
    actual = loss(Predictions(hidden, targets, weights), matrix, **keywords)
    repeated = torch.tensor([0, 0, 2, 3, 3, 5, 6, 6, 8])
    drawn = own[repeated]
    same(actual, loss(Predictions(hidden[repeated], targets[repeated]), matrix, **keywords), [hidden, matrix])


@pytest.mark.parametrize("chunk", [1 << 23, 2 * V])
def test_excluded_items_are_left_out_of_the_softmax(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """The padding is no item, a target is never left out, and an item may be named twice."""
    monkeypatch.setattr(losses, "CHUNK_FLOATS", chunk)
    hidden, matrix, targets = inputs()
    excluded = torch.randint(2, V + 2, (N, 6))
    excluded[:, 0], excluded[:, 1], excluded[:, 2] = 0, targets, excluded[:, 3]
    actual = losses.cross_entropy(Predictions(hidden, targets, None, excluded), matrix)
    expected = torch.zeros(())
    for row, target in enumerate(targets.tolist()):
        left = [item for item in range(2, V + 2) if item == target or item not in excluded[row]]
        expected = expected + (matrix[left] @ hidden[row]).logsumexp(0) - matrix[target] @ hidden[row]
    same(actual, expected, [hidden, matrix])


def test_negatives_outside_windows_are_of_no_window_item() -> None:
    torch.manual_seed(7)
    windows = torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5], [0, 2, 2, 7]])
    owners = torch.tensor([0, 1, 1, 1, 2, 2])
    sampler = Uniform(vocab_size=6)  # 2 to 7
    drawn = OutsideWindows(sampler, windows, owners)((6, 3000), torch.device("cpu"))
    for row, owner in enumerate(owners.tolist()):
        left = {2, 3, 4, 5, 6, 7} - set(windows[owner].tolist())
        counts = torch.bincount(drawn[row], minlength=8)
        assert {item for item in range(8) if counts[item]} == left
        assert (counts[sorted(left)] / 3000).tolist() == pytest.approx([1 / len(left)] * len(left), abs=0.05)


def test_a_window_of_the_whole_vocabulary_keeps_its_draws() -> None:
    drawn = OutsideWindows(Uniform(vocab_size=2), torch.tensor([[2, 3]]), torch.tensor([0]))((1, 9), torch.device("cpu"))
    assert set(drawn.flatten().tolist()) <= {2, 3}


def test_samplers_draw_by_their_weights() -> None:
    torch.manual_seed(5)
    counts = torch.tensor([0, 1, 3, 16])
    drawn = Popularity(counts=counts, power=0.5)((40_000,), torch.device("cpu"))
    share = torch.bincount(drawn, minlength=6)[2:] / len(drawn)
    weights = torch.tensor([1.0, 1.0, math.sqrt(3), 4.0])
    torch.testing.assert_close(share, weights / weights.sum(), atol=0.01, rtol=0)
    uniform = Uniform(vocab_size=4)((40_000,), torch.device("cpu"))
    assert set(uniform.tolist()) == {2, 3, 4, 5}
