"""A model's name tells its training from every other, and says what isn't the default."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqrec.command.config import load_config
from seqrec.settings.train import Train
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint
from tests.training.conftest import train

Make = Callable[..., Train]
CHANGES: list[dict[str, Any]] = [
    {},
    {"seed": 7},
    {"metric": "recall@10"},
    {"loss": {"name": "gbce", "negatives": 4}},
    {"loss": {"name": "gbce", "negatives": 4, "t": 0.5}},
    {"loss": {"name": "sampled_ce", "sampling": "popularity", "log_q": False}},
    {"encoder": {"dim": 8, "heads": 1, "dropout": 0.5}},
    {"encoder": {"dim": 8, "norm": "rms", "norm_place": "post", "position": "rope", "output_bias": True, "dropout_weights": 0.1}},
    {"encoder": {"dim": 8, "mlp": "moe", "experts": 2, "experts_active": 1, "head": "cosine"}, "loss": {"balance": 0.5}},
]


def trained(cfg: Train) -> Checkpoint:
    """The last checkpoint of a training of one step."""
    train(cfg)
    return checkpoint.load(checkpoint.find(cfg.model, "last"))


def test_names_say_what_differs_and_are_unique(settings: Make, tmp_path: Path) -> None:
    tails = []
    for number, change in enumerate(CHANGES):
        content = trained(settings(model=str(tmp_path / str(number)), max_steps=1, **change))
        name, _, digits = content.meta["name"].rpartition("-")
        assert re.fullmatch("[0-9a-f]{8}", digits)
        tails.append((name, digits))
    assert [name for name, _ in tails] == [
        "sasrec-ce-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2",
        "sasrec-ce-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2-s7",
        "sasrec-ce-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2-recall10",
        "gsasrec-k4-t0.75-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2",
        "gsasrec-k4-t0.5-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2",
        "sasrec-sampled_ce-k256-d8-l8-ffn2-do0.1-popularity-logqoff-lr0.01-warm2-constant-bs16-pool2",
        "sasrec-ce-d8-l8-h1-do0.5-lr0.01-warm2-constant-bs16-pool2",
        "sasrec-ce-d8-l8-posrope-rms-post-bias-dow0.1-lr0.01-warm2-constant-bs16-pool2",
        "sasrec-ce-d8-l8-moe-experts2-top1-cosine-balance0.5-lr0.01-warm2-constant-bs16-pool2",
    ]
    assert len({digits for _, digits in tails}) == len(CHANGES)


def test_the_config_beside_a_model_gives_the_same_training(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_steps=1, loss={"name": "gbce", "negatives": 4}, seed=7, memory_gb=3.5)
    first = trained(cfg)
    again = load_config(Train, f"{cfg.model}/config.yaml", [f"model={tmp_path / 'again'}"])
    assert again == cfg.model_copy(update={"model": str(tmp_path / "again")})
    second = trained(again)
    assert (second.fingerprint, second.meta["name"]) == (first.fingerprint, first.meta["name"])


@pytest.mark.parametrize("named", [None, "mine"])
def test_a_training_that_goes_on_keeps_its_name_unless_another_is_given(settings: Make, named: str | None) -> None:
    first = trained(settings(max_steps=1)).meta["name"]
    assert trained(settings(max_steps=2, name=named)).meta["name"] == (named or first)
