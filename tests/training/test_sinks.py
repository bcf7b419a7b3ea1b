"""Where the records of a training go."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seqrec.settings.train import Train
from seqrec.storage import files
from seqrec.training import sinks
from seqrec.training.validation import REPORTED
from tests.training.conftest import train

Make = Callable[..., Train]


def scalars(folder: Path) -> dict[str, list[int]]:
    """The steps of each scalar in TensorBoard's files."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"] if name != "seconds"}


def test_scalars_of_steps_and_of_validations(settings: Make, tmp_path: Path) -> None:
    """A training of 4 steps an epoch, which is stopped after 5 steps and goes on."""
    train(settings(max_steps=5, tensorboard=True, log_every=2))
    train(settings(max_epochs=2, tensorboard=True, log_every=2))
    folder = tmp_path / "model" / "tensorboard"
    assert scalars(folder) == {
        **{name: [2, 4, 6, 8] for name in ("step/train_loss", "step/lr")},
        **{name: [4, 8] for name in ("train_loss", "lr", "loss", "misses", *REPORTED)},
    }
    lines = (tmp_path / "model" / "epochs.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_the_loss_of_steps_is_the_mean_since_the_last_scalar(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[sinks.Record] = []
    monkeypatch.setattr(sinks.TensorBoard, "log", lambda board, record: logged.append(record))
    train(settings(max_epochs=2, tensorboard=True, log_every=4))
    records = sinks.read_records(settings().model)
    assert [record["step"] for record in logged] == [record["step"] for record in records]
    assert [record["train_loss"] for record in logged] == pytest.approx([record["train_loss"] for record in records])
    train(settings(max_epochs=3, tensorboard=True, log_every=None))
    train(settings(max_epochs=4, tensorboard=False, log_every=4))
    assert len(logged) == 2


def test_a_remote_folder_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs: each has a file of its own there."""
    remote = SimpleNamespace(is_local=lambda path: False, join=files.join, put=files.put)
    monkeypatch.setattr(sinks, "files", remote)
    for step in (0, 4):
        board = sinks.TensorBoard(str(tmp_path), step=step)
        board.log({"step": step + 2, "train_loss": 2.0})
        board.add({"step": step + 4, "train_loss": 1.5, "best": True})
        assert scalars(tmp_path / "tensorboard")["train_loss"][-1] == step + 4
        monkeypatch.setattr(sinks, "COPY_S", 0.0)
        board.log({"step": step + 5, "train_loss": 1.0})
        assert scalars(tmp_path / "tensorboard")["step/train_loss"][-1] == step + 5
        board.close()
        assert not Path(board.writer.log_dir).exists()
        monkeypatch.setattr(sinks, "COPY_S", 60.0)
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2
