"""Presets state their whole recipe."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from seqrec.settings.train import Masking, Optimizer, SequenceLoss, SequenceShape, Train
from seqrec.training.fingerprint import SHAPING

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "conf" / "presets").glob("*.yaml"))
LASTING = {"precision", "max_epochs", "patience"}  # what else a recipe says: how it is computed, and how long


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_states_every_key_that_shapes_its_weights(path: Path) -> None:
    recipe = yaml.safe_load(path.read_text())
    parts: dict[str, type[BaseModel]] = {"encoder": SequenceShape, "loss": SequenceLoss, "optimizer": Optimizer}
    if recipe["objective"] == "masked_items":
        parts["masking"] = Masking
    assert set(recipe) == set(SHAPING) - {"seed", "masking"} | LASTING | set(parts)
    for name, part in parts.items():
        assert set(recipe[name]) == set(part.model_fields), name
    Train.model_validate({"data": "d", "model": "m", **recipe})


@pytest.mark.parametrize(("preset", "beta2", "patience"), [("sasrec", 0.98, 20), ("gsasrec", 0.999, 200)])
def test_the_papers_clip_nothing_and_decay_nothing(preset: str, beta2: float, patience: int) -> None:
    recipe = yaml.safe_load((ROOT / "conf" / "presets" / f"{preset}.yaml").read_text())
    optimizer = recipe["optimizer"]
    assert (optimizer["name"], optimizer["lr"], optimizer["beta1"], optimizer["beta2"]) == ("adam", 0.001, 0.9, beta2)
    assert (optimizer["clip_norm"], optimizer["weight_decay"], optimizer["schedule"]) == (None, 0.0, "constant")
    assert recipe["patience"] == patience


def test_nesterov_is_of_sgd() -> None:
    with pytest.raises(ValidationError, match="nesterov=true needs a momentum above 0, and name=sgd"):
        Optimizer.model_validate({"name": "adam", "nesterov": True})
