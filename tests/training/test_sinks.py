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
from seqrec.training.curves import PICTURES, draw_curves
from seqrec.training.epochs_file import Record, read_records
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
        **{name: [4, 8] for name in ("train_loss", "lr", "tokens_per_second", "loss", "misses", *REPORTED)},
    }
    lines = (tmp_path / "model" / "epochs.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_the_loss_of_steps_is_the_mean_since_the_last_scalar(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Record] = []
    monkeypatch.setattr(sinks.TensorBoard, "log", lambda board, record: logged.append(record))
    train(settings(max_epochs=2, tensorboard=True, log_every=4))
    records = read_records(settings().model)
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


def test_the_curves_are_drawn_and_go_on(settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[float]] = []

    def draw(records: list[Record]) -> dict[str, bytes]:
        drawn.append([record["epoch"] for record in records])
        return draw_curves(records)

    monkeypatch.setattr(sinks, "draw_curves", draw)
    train(settings(max_epochs=2, plots=True))
    first = {name: (tmp_path / "model" / name).read_bytes() for name in PICTURES}
    assert all(content.startswith(b"\x89PNG") for content in first.values())
    train(settings(max_epochs=3, plots=True))
    assert drawn == [[1, 2], [1, 2, 3]]
    assert all((tmp_path / "model" / name).read_bytes() != content for name, content in first.items())
    train(settings(max_epochs=1, resume=False))
    assert not any((tmp_path / "model" / name).exists() for name in PICTURES)


def test_a_long_training_draws_between_its_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "COPY_S", -1.0)
    pictures = sinks.Pictures(str(tmp_path), step=0)
    pictures.add({"step": 4, "train_loss": 2.0})
    assert [path.name for path in tmp_path.iterdir()] == ["train_loss.png"]


def test_without_matplotlib_the_training_says_so(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sinks, "can_draw", lambda: False)
    with caplog.at_level("INFO", logger="seqrec"):
        train(settings(max_epochs=1, plots=True))
    assert "matplotlib isn't installed" in caplog.text
    assert not any((tmp_path / "model" / name).exists() for name in PICTURES)


def test_tokens_a_second_are_the_events_that_were_read(settings: Make, windows: list[list[int]]) -> None:
    """All windows of an epoch are read, each but for its last item."""
    train(settings(max_epochs=2))
    first, second = read_records(settings().model)
    read = sum(len(window) - 1 for window in windows)
    assert first["tokens_per_second"] * first["seconds"] == pytest.approx(read)
    assert second["tokens_per_second"] * (second["seconds"] - first["seconds"]) == pytest.approx(read)


def test_a_picture_that_fails_is_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    drawn: list[int] = []

    def fail(records: list[Record]) -> dict[str, bytes]:
        drawn.append(len(records))
        raise RuntimeError("freetype is of another release")

    monkeypatch.setattr(sinks, "COPY_S", -1.0)
    monkeypatch.setattr(sinks, "draw_curves", fail)
    pictures = sinks.Pictures(str(tmp_path), step=0)
    for step in (4, 8):
        pictures.add({"step": step, "train_loss": 2.0})
    pictures.close()
    assert drawn == [1]
    assert caplog.text.count("freetype is of another release") == 1


def test_a_picture_that_cannot_be_written_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "train_loss.png").mkdir()
    pictures = sinks.Pictures(str(tmp_path), step=0)
    pictures.add({"step": 4, "train_loss": 2.0})
    pictures.close()
    assert "are not drawn any more, and the training goes on" in caplog.text
