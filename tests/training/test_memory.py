"""The estimate of memory counts what a step keeps, whatever the model's parts are."""

from functools import partial
from typing import Any

import pytest
import torch

from seqrec.models.losses import CHUNK_FLOATS
from seqrec.models.simplex import SimpleX
from seqrec.models.transformer import Transformer
from seqrec.training.frozen import freeze
from seqrec.training.memory import estimate_gb

V, L, D, B = 1600, 200, 64, 64


def sasrec(*, dim: int = D, blocks: int = 2, heads: int = 2, ffn: int = 4, **parts: Any) -> Transformer:
    return Transformer(vocab_size=V, max_len=L, dim=dim, blocks=blocks, heads=heads, ffn=ffn, dropout=0.2, **parts)


def by_formula(*, dim: int = D, blocks: int = 2, heads: int = 2, ffn: int = 4) -> float:
    """Of SASRec, written out: a block keeps 8 + 3·ffn activations of width dim a position, and a row of attention a head."""
    matrix = (V + 2) * dim
    parameters = matrix + L * dim + blocks * (4 + 2 * ffn) * dim**2
    activations = B * L * blocks * (dim * (8 + 3 * ffn) + heads * L)
    return 4 * (parameters * 4 + 2 * matrix + activations + 3 * CHUNK_FLOATS) / 2**30


@pytest.mark.parametrize("shape", [{}, {"dim": 128, "blocks": 3, "heads": 4}, {"dim": 32, "ffn": 1}, {"heads": 1, "blocks": 6}])
def test_it_is_near_the_sum_by_hand_and_above_it(shape: dict[str, int]) -> None:
    estimate = estimate_gb(lambda: sasrec(**shape), windows=B, length=L, states=2)
    assert 1.0 < estimate / by_formula(**shape) < 1.35


@pytest.mark.parametrize(
    ("parts", "of_positions", "weights"),
    [
        ({"dropout_weights": 0.2}, 2 * 2 * L, 0),  # a head's weights as they are, and those that stay
        ({"mlp": "gated"}, 2 * 4 * D, 4 * D * D),  # a gate beside the value, and their product
        ({"mlp": "moe", "experts": 4, "experts_active": 2}, 3 * 4 * D + 2 * 2 * D, 3 * 8 * D * D),  # a second expert, two gathers
        ({"mlp": "moe", "experts": 4, "experts_active": 1}, 2 * D, 3 * 8 * D * D),
        ({"output": "separate"}, 0, (V + 2) * D / 2),
    ],
)
def test_other_parts_need_what_they_keep(parts: dict[str, Any], of_positions: int, weights: float) -> None:
    """More than the plain parts: numbers a position and block, and weights a block, each with a gradient and two states."""
    plain, other = (estimate_gb(partial(sasrec, **kept), windows=B, length=L, states=2) for kept in ({}, parts))
    assert 0.999 < (other - plain) * 2**30 / (4 * 2 * (B * L * of_positions + 4 * weights)) < 1.35


def test_weights_gradients_and_states_are_counted() -> None:
    """Without windows to speak of, an optimiser with one number a weight more needs one number a weight more."""
    one, two = (estimate_gb(sasrec, windows=1, length=1, states=states) for states in (1, 2))
    weights = sum(weight.numel() for weight in sasrec().parameters())
    assert (two - one) * 2**30 == pytest.approx(4 * weights)


def test_copies_are_of_frozen_weights_too() -> None:
    none, one = (
        estimate_gb(lambda: freeze(sasrec(), ["items"]), windows=1, length=1, states=2, copies=copies) for copies in (0, 1)
    )
    weights = sum(weight.numel() for weight in sasrec().parameters())
    assert (one - none) * 2**30 == pytest.approx(4 * weights)


def test_towers_need_a_matrix_of_length_one_and_embeddings_of_users() -> None:
    def towers(users: int) -> float:
        build = partial(SimpleX, vocab_size=V, max_len=L, dim=D, dropout=0.1, users=users, user_weight=0.5)
        return estimate_gb(build, windows=B, length=L, states=2)

    few, many = towers(10), towers(1010)
    assert (many - few) * 2**30 == pytest.approx(4 * 4 * 1000 * D)
    assert few * 2**30 > 4 * (4 * (V + 2) * D * 2 + 5 * B * L * D)


def test_counting_draws_nothing_and_leaves_no_model() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    estimate_gb(sasrec, windows=B, length=L, states=2)
    assert torch.equal(torch.get_rng_state(), before)
