"""Each optimiser setting does to the weights what a loop written by hand says."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seqrec.models.losses import Predictions, cross_entropy
from seqrec.models.transformer import Transformer
from seqrec.settings.train import Train
from seqrec.settings.training import Optimizer
from seqrec.training import checkpoint
from seqrec.training.loader import Batches, Pooling, open_shard
from seqrec.training.optimizer import build_optimizer
from tests.training.conftest import MAX_LEN, RUN_ID, V, train

Weights = dict[str, Tensor]
STEPS = 6  # of 4 an epoch
SHAPE: dict[str, Any] = {"dim": 8, "blocks": 1, "heads": 1, "ffn": 1, "dropout": 0.0}
ADAM: dict[str, Any] = {
    "name": "adamw",
    "lr": 0.02,
    "weight_decay": 0.5,
    "beta1": 0.7,
    "beta2": 0.9,
    "clip_norm": 0.3,
    "warmup_steps": 2,
    "schedule": "inverse_sqrt",
}
SGD: dict[str, Any] = {**ADAM, "name": "sgd", "lr": 0.5, "momentum": 0.6}
CASES = {
    "adamw": ADAM,
    **{
        f"adamw, {key}={value}": {**ADAM, key: value}
        for key, value in [
            ("name", "adam"),
            ("lr", 0.01),
            ("weight_decay", 0.0),
            ("beta1", 0.9),
            ("beta2", 0.98),
            ("clip_norm", None),
            ("warmup_steps", 0),
            ("warmup_steps", None),
            ("schedule", "constant"),
            ("schedule", "cosine"),
            ("schedule", "linear"),
        ]
    },
    "sgd": SGD,
    **{
        f"sgd, {key}={value}": {**SGD, key: value}
        for key, value in [("weight_decay", 0.0), ("momentum", 0.0), ("nesterov", True), ("clip_norm", None)]
    },
}


def rate(step: int, settings: Optimizer) -> float:
    """The learning rate of a step, from 0."""
    warmup = settings.warmup_steps or 0  # null: a twentieth of 6 steps, which is none
    if step < warmup:
        return settings.lr * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.lr
    if settings.schedule == "linear":
        return settings.lr * (STEPS - step) / (STEPS - warmup)
    if settings.schedule == "cosine":
        return settings.lr * (1 + math.cos(math.pi * (step - warmup) / (STEPS - warmup))) / 2
    return settings.lr * math.sqrt(max(1, warmup) / max(1, step))


def by_hand(settings: Train, batches: list[Tensor]) -> Weights:
    """The weights after a step over each batch, by the formulas of the optimisers' papers."""
    torch.manual_seed(settings.seed)
    model = Transformer(vocab_size=V, max_len=MAX_LEN, **SHAPE)
    memory: dict[str, dict[str, Tensor]] = {name: {} for name, _ in model.named_parameters()}
    for step, windows in enumerate(batches):
        real = windows[:, :-1] != 0
        loss = cross_entropy(Predictions(model(windows[:, :-1])[real], windows[:, 1:][real]), model.item_matrix())
        model.zero_grad()
        torch.autograd.backward(loss * (1 / int(real.sum())))
        grads = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        norm = math.sqrt(sum(float(grad.pow(2).sum()) for grad in grads.values()))
        clip = settings.optimizer.clip_norm
        shrink = 1.0 if clip is None or norm <= clip else clip / norm
        with torch.no_grad():
            for name, weight in model.named_parameters():
                weight.copy_(moved(weight, grads[name] * shrink, memory[name], step, settings.optimizer))
    return dict(model.state_dict())


def moved(weight: Tensor, grad: Tensor, memory: dict[str, Tensor], step: int, settings: Optimizer) -> Tensor:
    """A weight after a step: SGD with momentum, Adam (L2) or AdamW (decoupled); only matrices decay."""
    decay = settings.weight_decay if weight.dim() > 1 else 0.0
    pace = rate(step, settings)
    if settings.name == "adamw":
        weight = weight * (1 - pace * decay)
    else:
        grad = grad + decay * weight
    if settings.name == "sgd":
        memory["velocity"] = velocity = settings.momentum * memory["velocity"] + grad if memory else grad
        return weight - pace * (grad + settings.momentum * velocity if settings.nesterov else velocity)
    first, second = (memory.get(kind, torch.zeros_like(grad)) for kind in ("first", "second"))
    memory["first"] = first = settings.beta1 * first + (1 - settings.beta1) * grad
    memory["second"] = second = settings.beta2 * second + (1 - settings.beta2) * grad**2
    first, second = first / (1 - settings.beta1 ** (step + 1)), second / (1 - settings.beta2 ** (step + 1))
    return weight - pace * first / (second.sqrt() + 1e-8)


def distance(one: Weights, other: Weights) -> float:
    """The largest difference of two models' weights, but for the keys' biases: attention doesn't depend on them."""
    return max(float((one[name] - other[name]).abs().max()) for name in one if not name.endswith("key_value.bias"))


@pytest.fixture
def batches(tmp_path: Path, windows: list[list[int]]) -> list[Tensor]:
    """The windows of the first STEPS steps."""
    shard = open_shard(str(tmp_path / "data" / RUN_ID / "windows"), rank=0, world=1, cache=tmp_path / "cache")
    pooling = Pooling(pool_batches=2, seed=42, workers=1)
    source = Batches(shard=shard, user_hashes=None, width=MAX_LEN + 1, steps=4, rank=0, pooling=pooling)
    return [batch.items for epoch in (0, 1) for batch in source.epoch(epoch)][:STEPS]


@pytest.fixture
def make(settings: Callable[..., Train]) -> Callable[[dict[str, Any]], Train]:
    def make(optimizer: dict[str, Any]) -> Train:
        return settings(encoder=SHAPE, optimizer=optimizer, max_steps=STEPS, patience=None)

    return make


@pytest.mark.parametrize("case", CASES)
def test_each_setting_moves_the_weights_as_a_loop_by_hand_says(
    make: Callable[[dict[str, Any]], Train], batches: list[Tensor], case: str
) -> None:
    cfg = make(CASES[case])
    train(cfg)
    trained = checkpoint.load(checkpoint.find(cfg.model, "last")).model
    assert distance(trained, by_hand(cfg, batches)) < 2e-5


def test_each_setting_matters(make: Callable[[dict[str, Any]], Train], batches: list[Tensor]) -> None:
    """Otherwise the comparison above would say nothing."""
    weights = {name: by_hand(make(case), batches) for name, case in CASES.items()}
    for name in CASES:
        base = name.partition(",")[0]
        assert name == base or distance(weights[name], weights[base]) > 1e-3


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        ("adamw", torch.optim.AdamW, {"lr": 0.3, "betas": (0.7, 0.8)}),
        ("adam", torch.optim.Adam, {"lr": 0.3, "betas": (0.7, 0.8)}),
        ("sgd", torch.optim.SGD, {"lr": 0.3, "momentum": 0.5, "nesterov": True}),
    ],
)
def test_matrices_decay_and_vectors_do_not(name: str, kind: type, values: dict[str, Any]) -> None:
    model = nn.Linear(3, 2)
    shared = {"lr": 0.3, "weight_decay": 0.1, "beta1": 0.7, "beta2": 0.8, "momentum": 0.5}
    optimizer = build_optimizer(model, Optimizer.model_validate({"name": name, "nesterov": name == "sgd", **shared}))
    assert type(optimizer) is kind
    matrices, vectors = optimizer.param_groups
    assert (matrices["params"], matrices["weight_decay"]) == ([model.weight], 0.1)
    assert (vectors["params"], vectors["weight_decay"]) == ([model.bias], 0.0)
    assert all(group[key] == value for group in optimizer.param_groups for key, value in values.items())
