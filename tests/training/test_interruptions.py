"""A training that was stopped, anywhere and however, ends bit by bit as one that never stopped."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs import train as job
from seqrec.settings.train import Train
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.loader import Windows
from seqrec.training.steps import Stepper, StepResult, Stop
from tests.training.conftest import MASKED, train

Make = Callable[..., Train]
TIMES = ("seconds", "tokens_per_second")  # of records, which differ in each run


def ended(folder: str) -> dict[str, Any]:
    """All that a model's folder says of its training, but for seconds and run ids."""
    names = sorted(path.name for path in (Path(folder) / "checkpoints").iterdir())
    contents = {name: asdict(checkpoint.load(f"{folder}/checkpoints/{name}")) for name in names}
    for content in contents.values():
        content["meta"] = {key: value for key, value in content["meta"].items() if key not in ("run_id", "settings")}
        (content["progress"] or {}).pop("seconds", None)
    records = [{key: value for key, value in record.items() if key not in TIMES} for record in read_records(folder)]
    return {"checkpoints": contents, "records": records}


def require_equal(one: Any, other: Any, where: str = "") -> None:
    """Equal bit by bit, whatever is nested in it."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            require_equal(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            require_equal(left, right, f"{where}/{place}")
    else:
        assert one == other, where


@contextmanager
def falling_at(falls: int, fall: Callable[[], None]) -> Iterator[None]:
    """Within, `fall` is called when the step of that number, from 0, begins."""
    step = Stepper.step

    def broken(self: Stepper, windows: Windows, *, number: int, stop: Stop) -> StepResult:
        if number == falls:
            fall()
        return step(self, windows, number=number, stop=stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "step", broken)
        yield


def killed() -> None:
    raise RuntimeError("killed")


def run_until(settings: Train, stop: str | int) -> None:
    """Run a training, which has some steps left, until it is stopped: at a step, by the time after one step, or by a signal."""
    if isinstance(stop, int):
        train(settings.model_copy(update={"max_steps": stop}))
    elif stop == "minutes":
        train(settings.model_copy(update={"max_minutes": 1e-9}))
    else:
        number = signal.Signals[stop]
        taken = checkpoint.load(checkpoint.find(settings.model, "last")).step
        with falling_at(taken, lambda: os.kill(os.getpid(), number)), pytest.raises((SystemExit, KeyboardInterrupt)) as ending:
            train(settings)
        assert getattr(ending.value, "code", None) == (143 if number == signal.SIGTERM else None)


@pytest.mark.parametrize(
    ("keys", "stops"),
    [
        ({}, [3, 4, 7]),
        ({}, [1, "minutes", "SIGTERM", "minutes", "SIGINT"]),
        ({"validate_every": 5}, [2, 5, "SIGTERM", "minutes", 10]),
        ({"validate_every": 1, "metric": "loss"}, [1, "SIGINT", "minutes", 9]),
        ({"patience": 1, "optimizer": {"lr": 1e-9, "warmup_steps": 0}}, [1, 2, "minutes", "SIGTERM"]),
        ({"loss": {"name": "bce", "negatives": 3}}, [3, "minutes"]),
        ({"precision": "bf16"}, [3, "minutes", 8]),
        ({**MASKED, "masking": {"dupe_factor": 1, "mask_prob": 0.5, "short_seq_prob": 0.5}}, [3, "minutes", 8, 13]),
        ({"batch_size": 4, "accumulate_steps": 4}, [3, "minutes", "SIGTERM"]),
    ],
)
def test_a_stopped_training_ends_as_one_that_never_stopped(
    settings: Make, tmp_path: Path, keys: dict[str, Any], stops: list[str | int]
) -> None:
    whole, parts = (settings(model=str(tmp_path / name), **keys) for name in ("whole", "parts"))
    train(whole)
    for stop in stops:
        before = checkpoint.load(checkpoint.find(parts.model, "last")).step if Path(parts.model).exists() else 0
        run_until(parts, stop)
        state = checkpoint.load(checkpoint.find(parts.model, "last"))
        assert state.step > before
    train(parts)
    require_equal(ended(parts.model), ended(whole.model))


def test_a_training_killed_between_checkpoints_ends_as_one_that_never_stopped(settings: Make, tmp_path: Path) -> None:
    whole, parts = (settings(model=str(tmp_path / name), checkpoint_every=2) for name in ("whole", "parts"))
    train(whole)
    with falling_at(7, killed), pytest.raises(RuntimeError, match="killed"):
        train(parts)
    assert checkpoint.load(checkpoint.find(parts.model, "last")).step == 6
    train(parts)
    require_equal(ended(parts.model), ended(whole.model))


def test_interruptions_spend_no_patience_and_crown_no_best(settings: Make) -> None:
    """Patience 1, 4 steps an epoch, no improvement after the first: it ends at step 8, however often it is stopped before."""
    cfg = settings(patience=1, max_epochs=50, optimizer={"lr": 1e-9, "warmup_steps": 0})
    for stop in (1, 2, 3):
        train(cfg.model_copy(update={"max_steps": stop}))
        assert read_records(cfg.model) == []
        assert checkpoint.find(cfg.model, "best") == checkpoint.find(cfg.model, "last")
    train(cfg)
    assert checkpoint.load(checkpoint.find(cfg.model, "last")).step == 8
    assert [record["step"] for record in read_records(cfg.model)] == [4, 8]
    assert checkpoint.load(checkpoint.find(cfg.model, "best")).step == 4


def test_a_training_that_ends_between_validations_shows_its_model(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    early = settings(max_steps=2)
    metrics = train(early)
    assert f"{metrics['ndcg@10']:.4f}" in caplog.messages[-2]
    assert train(settings(max_steps=6))["ndcg@10"] == read_records(early.model)[0]["ndcg@10"]
    last = checkpoint.load(checkpoint.find(early.model, "last"))
    assert (last.step, last.metrics) == (6, {})


def test_a_signal_ends_the_job_with_its_status(settings: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cfg = settings()
    conf = tmp_path / "train.yaml"
    conf.write_text(cfg.model_dump_json())
    handler = signal.getsignal(signal.SIGINT)
    with falling_at(5, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(SystemExit) as ending:
        job.main(["--conf", str(conf)])
    assert ending.value.code == 130
    assert checkpoint.load(checkpoint.find(cfg.model, "last")).step in (6, 7)
    assert "the same command goes on from there" in caplog.text
    assert signal.getsignal(signal.SIGINT) is handler
