"""Parts that are frozen, and trainings that follow each other by one command."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from jobs import train as job
from seqrec.errors import UserError
from seqrec.models.ensemble import Ensemble
from seqrec.models.transformer import Transformer
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.frozen import freeze
from seqrec.training.memory import estimate_gb
from seqrec.training.setup import TrainingSetup
from seqrec.training.train import Trained, run_training
from tests.training.conftest import train
from tests.training.test_interruptions import ended, falling_at, killed, require_equal
from tests.training.test_item_vectors import CIRCLE, write_vectors
from tests.training.test_preferences import write_pairs

Make = Callable[..., Train]
STAGES: list[dict[str, Any]] = [
    {"name": "head", "max_epochs": 1, "freeze": ["items", "blocks.0"], "optimizer": {"lr": 0.02}},
    {"name": "middle", "max_epochs": 2, "optimizer": {"schedule": "cosine"}, "seed": 5},
    {"name": "all", "init_optimizer": "carried", "loss": {"name": "bce", "negatives": 3}},
]


def last(folder: str) -> Checkpoint:
    return checkpoint.load(checkpoint.find(folder, "last"))


def tiny() -> Transformer:
    return Transformer(vocab_size=400, max_len=4, dim=8, blocks=2, heads=2, ffn=2, dropout=0.0)


@pytest.mark.parametrize("loss", [{"name": "ce"}, {"name": "gbce", "negatives": 3}])
def test_frozen_parts_stay_and_the_others_learn(settings: Make, tmp_path: Path, loss: dict[str, Any]) -> None:
    frozen = ("items", "positions", "blocks.0.feed_forward")
    cfg = settings(freeze=frozen, max_epochs=2, loss=loss, optimizer={"lr": 0.05, "warmup_steps": 0, "ema_decay": 0.5})
    train(cfg)
    one = settings(model=f"{tmp_path}/one", freeze=frozen, max_steps=1, loss=loss, optimizer={"lr": 1e-9, "warmup_steps": 0})
    train(one)
    drawn, state = last(one.model).model, last(cfg.model)
    for name, weight in state.model.items():
        still = name.startswith(frozen)
        assert torch.allclose(weight, drawn[name], rtol=0, atol=1e-6) == still, name
        assert weight.equal(drawn[name]) or not still
    assert state.optimizer is not None
    assert len(state.optimizer["state"]) == sum(not name.startswith(frozen) for name in state.model)
    assert state.fingerprint["freeze"] == list(frozen)
    with pytest.raises(UserError, match=r"other settings \(freeze="):
        train(cfg.model_copy(update={"freeze": ()}))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            ["item"],
            r"freeze: the model has no part 'item': it has positions, items, blocks, norm, and parts of these, such as bl",
        ),
        (["blocks.2"], r"no part 'blocks\.2'"),
        (["items", "positions", "blocks", "norm"], r"freeze=\[items, positions, blocks, norm\] leaves nothing to learn"),
    ],
)
def test_parts_that_are_none_are_refused(settings: Make, parts: list[str], said: str) -> None:
    cfg = settings(freeze=parts)
    with pytest.raises(UserError, match=said):
        train(cfg)
    assert not Path(cfg.model).exists()


def test_frozen_weights_need_no_gradient_and_no_moments() -> None:
    """402 rows of 8 floats of 4 bytes: a gradient and two moments less."""
    whole, frozen = (
        estimate_gb(lambda parts=parts: freeze(tiny(), parts), windows=2, length=4, states=2)  # type: ignore[misc]
        for parts in ((), ("items",))
    )
    assert whole - frozen == pytest.approx(402 * 8 * 4 * 3 / 2**30, rel=0.01)


def test_stages_begin_from_each_other(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    cfg = settings(stages=STAGES, max_epochs=3, name="mine")
    job.run(cfg)
    folders = [f"{cfg.model}/stages/head", f"{cfg.model}/stages/middle", cfg.model]
    states = [last(folder) for folder in folders]
    assert [state.epoch for state in states] == [1, 2, 3]
    assert [state.fingerprint["optimizer.lr"] for state in states] == [0.02, 0.01, 0.01]
    assert [state.fingerprint["optimizer.schedule"] for state in states] == ["constant", "cosine", "constant"]
    assert [state.fingerprint["loss.name"] for state in states] == ["ce", "ce", "bce"]
    assert "init" not in states[0].meta
    begun = checkpoint.load(checkpoint.find(folders[0], "best"))
    assert states[1].meta["init"]["weights_sha256"] == begun.weights_sha256
    assert states[2].meta["init"]["step"] == states[1].step, "moments are those of the last step"
    assert states[2].meta["name"] == "mine"
    assert states[2].meta["settings"]["stages"][0]["name"] == "head"
    assert [record["stage"] for folder in folders for record in read_records(folder)] == [1, 2, 2, 2, 3, 3, 3, 3]
    assert [message for message in caplog.messages if message.startswith("stage ")] == [
        "stage 1 of 3: head",
        "stage 2 of 3: middle",
        "stage 3 of 3: all",
    ]
    drawn = checkpoint.rebuild(begun, path="").state_dict()
    assert drawn["items.weight"].std() < 0.03, "frozen as drawn"


@pytest.mark.parametrize("stop", [2, 5, 14])
def test_a_command_killed_in_any_stage_goes_on_there(settings: Make, tmp_path: Path, stop: int) -> None:
    """The stages have 4, 8 and 12 steps; the kill comes in the first, in the second or in the third."""
    whole, parts = (
        settings(model=str(tmp_path / name), stages=STAGES, max_epochs=3, checkpoint_every=3) for name in ("whole", "parts")
    )
    job.run(whole)
    step = {2: 2, 5: 5, 14: 10}[stop]
    with falling_at(step, killed), pytest.raises(RuntimeError, match="killed"):
        job.run(parts)
    started = [(Path(parts.model) / "stages" / name).exists() for name in ("head", "middle")]
    assert started == [True, stop > 2]
    job.run(parts)
    for folder in ("stages/head", "stages/middle", "."):
        one, two = ended(f"{parts.model}/{folder}"), ended(f"{whole.model}/{folder}")
        for state in [*one["checkpoints"].values(), *two["checkpoints"].values()]:
            state["fingerprint"].pop("init", None)
            state["meta"].pop("init", None)
            state["meta"].pop("name", None)
        require_equal(one, two)


def test_the_time_of_a_run_ends_in_a_stage(settings: Make) -> None:
    cfg = settings(stages=STAGES, max_epochs=3, max_minutes=1e-9)
    for stage, number in (("head", 1), ("head", 1)):
        with pytest.raises(
            UserError, match=rf"ended in the stage {stage}, {number} of 3, so there is no model of these stages in .* yet"
        ):
            job.run(cfg)
    assert last(f"{cfg.model}/stages/head").step == 2
    job.run(cfg.model_copy(update={"max_minutes": None}))
    assert last(cfg.model).step == 12


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([{"name": "a", "data": "x"}], "stages: a sets data, which a stage can't: it has encoder, windows"),
        ([{"name": "a"}, {"name": "a"}], "stages: two are called a"),
        ([{"name": "a", "optimizer": {"lrr": 1}}], r"stages: a: optimizer\.lrr: Extra inputs are not permitted"),
        ([{"name": "a", "max_epochs": 0}], "stages: a: max_epochs: Input should be greater than or equal to 1"),
        ([{"name": "../a"}], "String should match pattern"),
        ([{"name": "a", "init_optimizer": "carried"}], "stages: a: init_optimizer=carried takes"),
    ],
)
def test_stages_that_are_no_trainings_are_refused(settings: Make, stages: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(stages=stages)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([{"name": "a"}, {"name": "b", "freeze": ["itemz"]}], "stages: b: freeze: the model has no part 'itemz'"),
        (
            [{"name": "a"}, {"name": "b", "encoder": {"max_len": 500}}],
            r"stages: b: encoder.max_len=500 is above the max_len of 8 of",
        ),
        (
            [{"name": "a", "encoder": {"dim": 16}}, {"name": "b"}],
            "stages: b: encoder.dim=8, and its weights begin from those of the stage a, which are 16 wide: give both the same",
        ),
        (
            [{"name": "a"}, {"name": "b", "init_optimizer": "carried", "optimizer": {"name": "sgd"}}],
            r"stages: b: init=.*/stages/a was trained by optimizer.name=adamw, and it is sgd now",
        ),
        ([{"name": "a"}, {"name": "b", "item_vectors": {"path": "nowhere"}}], "stages: b: .*nowhere"),
    ],
)
def test_a_stage_that_cannot_be_trained_is_refused_before_the_first(
    settings: Make, stages: list[dict[str, Any]], said: str
) -> None:
    cfg = settings(stages=stages)
    with pytest.raises(UserError, match=said):
        job.run(cfg)
    assert not Path(cfg.model).exists()


def test_preferences_of_a_stage_need_the_shape_of_the_one_before(
    settings: Make, windows: list[list[int]], tmp_path: Path
) -> None:
    write_pairs(tmp_path / "pairs", windows)
    preferring = {"name": "b", "objective": "preferences", "dpo": {"path": f"{tmp_path}/pairs"}, "encoder": {"max_len": 4}}
    cfg = settings(stages=[{"name": "a"}, preferring])
    with pytest.raises(UserError, match=r"stages: b: init=.*/stages/a is of another shape .*: set encoder.max_len=8"):
        job.run(cfg)
    assert not Path(cfg.model).exists()


def test_stages_do_not_begin_from_what_they_replace(settings: Make, tmp_path: Path) -> None:
    model = f"{tmp_path}/model"
    with pytest.raises(ValidationError, match=r"init=.*model/checkpoints/last.pt lies in model=.*which the last stage replaces"):
        settings(model=model, init=f"{model}/checkpoints/last.pt", stages=STAGES)


def test_stages_learn_the_version_of_the_dataset_that_they_began_with(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg, run = settings(stages=STAGES, max_epochs=1), run_training

    def run_and_rebuild(setup: TrainingSetup) -> Trained:
        trained = run(setup)
        (Path(cfg.data) / "CURRENT").write_text("20990101T000000Z-0000")
        return trained

    monkeypatch.setattr(job, "run_training", run_and_rebuild)
    before = versions.resolve(cfg.data)
    job.run(cfg)
    assert last(cfg.model).meta["dataset"] == before.rpartition("/")[2]


def test_vectors_are_frozen_in_a_first_stage(settings: Make, tmp_path: Path) -> None:
    """The rows begin at the vectors, and only the second stage moves them."""
    path = write_vectors(tmp_path / "v.parquet", [f"i{place}" for place in range(12)], CIRCLE.tolist())
    vectors = {"path": path, "use": "initialise"}
    stages = [{"name": "around", "max_epochs": 1, "freeze": ["items"]}, {"name": "all", "max_epochs": 2}]
    cfg = settings(item_vectors=vectors, stages=stages)
    job.run(cfg)
    alone = settings(item_vectors=vectors, model=f"{tmp_path}/alone", freeze=["items"], max_steps=1)
    train(alone)
    first, second, begun = (
        last(folder).model["items.free.weight"] for folder in (f"{cfg.model}/stages/around", cfg.model, alone.model)
    )
    assert first.equal(begun)
    assert not second.equal(begun)


def test_each_member_of_an_ensemble_is_frozen() -> None:
    model = freeze(Ensemble(members=2, vocab_size=4, max_len=4, dim=8, blocks=1, heads=2, ffn=2, dropout=0.0), ["items"])
    assert [name for name, weight in model.named_parameters() if not weight.requires_grad] == [
        "members.0.items.weight",
        "members.1.items.weight",
    ]
