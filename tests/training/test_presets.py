"""Presets state their whole recipe, have the shapes of their papers, and train, resume and export."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from pydantic import BaseModel, ValidationError

from seqrec.export.graph import Query, write_graph
from seqrec.export.parity import largest_difference
from seqrec.models.transformer import Transformer
from seqrec.ragged import Ragged
from seqrec.settings.sequence_shape import SequenceShape
from seqrec.settings.train import Masking, SequenceLoss, Train
from seqrec.settings.training import Optimizer
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.fingerprint import SHAPING
from tests.training.conftest import train

Make = Callable[..., Train]
Shapes = dict[str, tuple[int, ...]]

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "conf" / "presets").glob("*.yaml"))
LASTING = {"precision", "max_epochs", "patience"}  # what else a recipe says: how it is computed, and how long
RATES = {name for name in SequenceShape.model_fields if "dropout" in name}
SIZES = {"dim", "blocks", "heads", "ffn", "max_len", "init_range", "embedding_scale", "output"} | RATES  # they change no graph


def recipe_of(preset: str) -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load((ROOT / "conf" / "presets" / f"{preset}.yaml").read_text())
    return recipe


def encoder_of(preset: str, *, vocab_size: int, max_len: int, **sizes: int) -> Transformer:
    shape = SequenceShape.model_validate({**recipe_of(preset)["encoder"], **sizes})
    return Transformer(**{**shape.model_dump(), "vocab_size": vocab_size, "max_len": max_len})


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_states_every_key_that_shapes_its_weights(path: Path) -> None:
    recipe = recipe_of(path.stem)
    parts: dict[str, type[BaseModel]] = {"encoder": SequenceShape, "loss": SequenceLoss, "optimizer": Optimizer}
    if recipe["objective"] == "masked_items":
        parts["masking"] = Masking
    assert set(recipe) == set(SHAPING) - {"seed", "masking"} | LASTING | set(parts)
    for name, part in parts.items():
        assert set(recipe[name]) == set(part.model_fields), name
    Train.model_validate({"data": "d", "model": "m", **recipe})


@pytest.mark.parametrize(("preset", "beta2", "patience"), [("sasrec", 0.98, 20), ("gsasrec_authors", 0.999, 200)])
def test_the_papers_clip_nothing_and_decay_nothing(preset: str, beta2: float, patience: int) -> None:
    recipe = recipe_of(preset)
    optimizer = recipe["optimizer"]
    assert (optimizer["name"], optimizer["lr"], optimizer["beta1"], optimizer["beta2"]) == ("adam", 0.001, 0.9, beta2)
    assert (optimizer["clip_norm"], optimizer["weight_decay"], optimizer["schedule"]) == (None, 0.0, "constant")
    assert recipe["patience"] == patience


def authors_shapes(dim: int, blocks: int, *, after_heads: bool = False, separate: bool = False) -> Shapes:
    """SASRec's weights on MovieLens-1M, 3416 items and 200 positions; ours has a row for the padding and one for the mask."""
    norm: Shapes = {"weight": (dim,), "bias": (dim,)}
    linear: Shapes = {"weight": (dim, dim), "bias": (dim,)}
    block: dict[str, Shapes] = {
        "attention_norm": norm,
        "attention.query": linear,
        "attention.key_value": {"weight": (2 * dim, dim), "bias": (2 * dim,)},  # two layers of the authors
        **({"attention.output": linear} if after_heads else {}),
        "ffn_norm": norm,
        "feed_forward.expand": linear,
        "feed_forward.contract": linear,
    }
    inside = {f"blocks.{n}.{part}.{kind}": shape for n in range(blocks) for part in block for kind, shape in block[part].items()}
    outside: Shapes = {"items.weight": (3418, dim), "positions.weight": (200, dim), "norm.weight": (dim,), "norm.bias": (dim,)}
    return {**outside, **inside, **({"head.items.weight": (3418, dim)} if separate else {})}


@pytest.mark.parametrize(
    ("preset", "shapes", "parameters"),
    [
        # kang205/SASRec: 3417 rows, positions, 2 blocks of 5 layers and 2 norms, a norm; and our row of the mask
        ("sasrec", authors_shapes(50, 2), 3417 * 50 + 200 * 50 + 2 * (5 * 2550 + 4 * 50) + 2 * 50 + 50),
        # asash/gSASRec-pytorch has 3418 rows, twice
        *(
            (name, authors_shapes(256, 3, separate=True), 2 * 3418 * 256 + 200 * 256 + 3 * (5 * 65_792 + 4 * 256) + 2 * 256)
            for name in ("gsasrec", "gsasrec_authors")
        ),
        (
            "gsasrec_d128",
            authors_shapes(128, 2, separate=True),
            2 * 3418 * 128 + 200 * 128 + 2 * (5 * 16_512 + 4 * 128) + 2 * 128,
        ),
        # antklen/sasrec-bert4rec-recsys23, on torch's MultiheadAttention, which has a sixth layer; and our row of the mask
        ("sasrec_ce", authors_shapes(64, 2, after_heads=True), 3417 * 64 + 200 * 64 + 2 * (6 * 4160 + 4 * 64) + 2 * 64 + 64),
    ],
)
def test_a_papers_preset_has_the_weights_of_the_paper(preset: str, shapes: Shapes, parameters: int) -> None:
    with torch.device("meta"):
        weights = dict(encoder_of(preset, vocab_size=3416, max_len=200).named_parameters())
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == shapes
    assert sum(weight.numel() for weight in weights.values()) == parameters


def test_bert4rec_has_the_weights_of_the_paper() -> None:
    """FeiSun/BERT4Rec, without its kinds of tokens: 2 special items, a position more for the mask, a bias for each item."""
    with torch.device("meta"):
        weights = dict(encoder_of("bert4rec", vocab_size=3416, max_len=200).named_parameters())
    block = 4 * (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64) + 2 * 2 * 64
    output = (64 * 64 + 64) + 2 * 64 + 3418
    assert sum(weight.numel() for weight in weights.values()) == 3418 * 64 + 201 * 64 + 2 * 64 + 2 * block + output
    shapes = {name: tuple(weight.shape) for name, weight in weights.items() if not name.startswith("blocks.1.")}
    norm: Shapes = {"weight": (64,), "bias": (64,)}
    layers: dict[str, Shapes] = {
        "embedding_norm": norm,
        "blocks.0.attention_norm": norm,
        "blocks.0.attention.query": {"weight": (64, 64), "bias": (64,)},
        "blocks.0.attention.key_value": {"weight": (128, 64), "bias": (128,)},
        "blocks.0.attention.output": {"weight": (64, 64), "bias": (64,)},
        "blocks.0.ffn_norm": norm,
        "blocks.0.feed_forward.expand": {"weight": (256, 64), "bias": (256,)},
        "blocks.0.feed_forward.contract": {"weight": (64, 256), "bias": (64,)},
        "head.layer": {"weight": (64, 64), "bias": (64,)},
        "head.norm": norm,
    }
    inside = {f"{layer}.{kind}": shape for layer, kinds in layers.items() for kind, shape in kinds.items()}
    assert shapes == {**inside, "items.weight": (3418, 64), "positions.weight": (201, 64), "head.bias": (3418,)}


@pytest.mark.parametrize(("preset", "members"), [*((path.stem, 1) for path in PRESETS), ("best", 2)])
def test_a_preset_trains_and_resumes_to_the_same_bits(settings: Make, tmp_path: Path, preset: str, members: int) -> None:
    recipe = recipe_of(preset) | {"members": members}
    recipe["encoder"] |= {"dim": 16, "blocks": 1, "max_len": recipe["encoder"]["max_len"] and 6}
    recipe["windows"] |= {"overlap": min(2, recipe["windows"]["overlap"])}
    recipe |= {"batch_size": 16, "pool_batches": 2, "precision": "fp32"}
    recipe |= {"max_steps": 3, "validate_every": 3}
    whole, parts = (settings(model=str(tmp_path / name), **recipe) for name in ("whole", "parts"))
    train(whole)
    for minutes in (1e-9, None):  # a step, and the other two
        train(parts.model_copy(update={"max_minutes": minutes}))
    one, other = (checkpoint.load(checkpoint.find(cfg.model, "last")).model for cfg in (whole, parts))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    [record] = read_records(whole.model)
    assert ("balance" in record) == (recipe["encoder"]["mlp"] == "moe")


def distinct_parts() -> list[str]:
    """A preset for each graph but the template's, which other tests export."""
    recipes = {path.stem: recipe_of(path.stem)["encoder"] for path in PRESETS} | {"": SequenceShape().model_dump()}
    graphs = {str({key: recipe[key] for key in sorted(recipe.keys() - SIZES)}): name for name, recipe in recipes.items()}
    return sorted(set(graphs.values()) - {""})


@pytest.mark.parametrize("preset", distinct_parts())
def test_a_preset_exports_what_torch_computes(tmp_path: Path, preset: str) -> None:
    """Parity compares torch's query of a history alone with that of ONNX Runtime in batches, with more and with less padding."""
    torch.manual_seed(1)
    encoder = encoder_of(preset, vocab_size=20, max_len=8, dim=16, blocks=1).eval()
    write_graph(Query(encoder), tmp_path / "encoder.onnx", max_len=8, opset=18)
    histories = Ragged.of([[], [2, 3], [4, 5, 6, 7, 8, 9, 10, 11, 12], [9] * 5, [20]])
    assert largest_difference(Query(encoder), tmp_path / "encoder.onnx", histories, max_len=8) < 1e-5


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"dim": 10, "heads": 3}, r"encoder.dim=10 is not a multiple of encoder.heads=3"),
        ({"dim": 100, "heads": None}, r"encoder.dim=100 is not a multiple of encoder.heads=3: set another number of heads"),
        ({"dim": None, "heads": 3}, r"encoder.dim=256 is not a multiple of encoder.heads=3"),
        ({"dim": None, "heads": 256}, r"encoder.dim=128 is not a multiple of encoder.heads=256"),
        ({"attention_conv": 3, "norm_place": "query"}, r"encoder.attention_conv=3 is of causal .* these are causal and query"),
        ({"attention_conv": 3, "attention": "bidirectional"}, r"encoder.attention_conv=3 .* these are bidirectional and pre"),
        ({"dim": 10, "heads": 2, "position": "rope"}, r"encoder.position=rope turns pairs of numbers, .* = 5: make that even"),
        (
            {"experts": 4},
            r"experts=4 and encoder.experts_active=None are of encoder.mlp=moe, which is plain: set both to null",
        ),
        ({"mlp": "moe", "experts": 4}, r"mlp=moe needs both, .*encoder.experts=4 and encoder.experts_active=None"),
        ({"mlp": "moe", "experts": 2, "experts_active": 3}, r"the second at most the first: encoder.experts=2 and"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SequenceShape.model_validate(parts)


def test_nesterov_is_of_sgd() -> None:
    with pytest.raises(ValidationError, match="nesterov=true needs a momentum above 0, and name=sgd"):
        Optimizer.model_validate({"name": "adam", "nesterov": True})
