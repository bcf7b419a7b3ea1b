"""The estimate of a network's memory: weights and their copies, what autograd keeps, and the largest tensor on the way."""

import numpy as np
import pytest
import torch
from torch import nn

from seqrec.settings.training import Optimizer
from seqrec.training.network_memory import LIVING, NetworkPasses, estimate_network_gb

ROWS, WIDE, INNER = 500, 40, 300
WEIGHTS = WIDE * INNER + INNER


def network() -> nn.Module:
    """A layer, of which autograd keeps the inputs, and a ReLU, of which it keeps the outputs; its buffer comes from numpy."""
    layers = nn.Sequential(nn.Linear(WIDE, INNER), nn.ReLU())
    layers.register_buffer("factors", torch.from_numpy(np.ones(INNER, np.float32)))
    return layers


def estimate_bytes(*, rows: int = ROWS, judged: int = 1, transient: int = 0, **optimizer: object) -> float:
    def learn(layers: nn.Module) -> torch.Tensor:
        torch.zeros(transient)  # what no gradient needs
        loss: torch.Tensor = layers(torch.zeros(rows, WIDE))
        return loss + layers.get_buffer("factors")

    def judge(layers: nn.Module) -> torch.Tensor:
        vectors: torch.Tensor = layers(torch.zeros(judged, WIDE))
        return vectors

    passes = NetworkPasses(build=network, learn=learn, judge=judge)
    return estimate_network_gb(passes, Optimizer.model_validate(optimizer)) * 2**30


def test_a_step_is_what_it_is_by_hand() -> None:
    """Weights, gradients and two moments; the inputs and outputs that are kept; and the outputs are the largest tensor."""
    by_hand = 4 * (4 * WEIGHTS + ROWS * (WIDE + INNER) + LIVING * ROWS * INNER)
    assert estimate_bytes() == pytest.approx(by_hand)


def test_the_optimiser_and_the_average_add_numbers_of_each_weight() -> None:
    plain = estimate_bytes()
    assert estimate_bytes(name="sgd") == pytest.approx(plain - 4 * WEIGHTS)
    assert estimate_bytes(ema_decay=0.9) == pytest.approx(plain + 4 * WEIGHTS)


def test_a_tensor_that_no_gradient_needs_counts_while_it_lives() -> None:
    assert estimate_bytes(transient=10**6) == pytest.approx(estimate_bytes() + 4 * LIVING * (10**6 - ROWS * INNER))


def test_a_validation_that_needs_more_than_a_step_counts_in_its_place() -> None:
    """It holds its vectors, and keeps nothing for a gradient."""
    assert estimate_bytes(rows=1, judged=ROWS) == pytest.approx(4 * (4 * WEIGHTS + (1 + LIVING) * ROWS * INNER))
