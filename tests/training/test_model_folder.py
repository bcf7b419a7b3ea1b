"""A model's folder: whose training it holds, one at a time, and what its files must be."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from seqrec.errors import UserError
from seqrec.serving import exports
from seqrec.settings.train import Train
from seqrec.storage import files, versions
from seqrec.storage.lock import hold
from seqrec.training import checkpoint
from seqrec.training.model_folder import LOCK
from tests.training.conftest import RUN_ID, V, train

Make = Callable[..., Train]


def test_starting_over_keeps_the_exports_in_use(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    cfg = settings(max_epochs=1)
    train(cfg)
    meta = checkpoint.load(checkpoint.find(cfg.model, "last")).meta
    versions.write_meta(f"{cfg.model}/exports/{RUN_ID}", {**meta, "files": {}, "max_len": 8, "vocab_size": V})
    versions.commit(f"{cfg.model}/exports", RUN_ID, keep=1)
    train(cfg.model_copy(update={"max_epochs": 2}))
    assert exports.locate(cfg.model).path.endswith(RUN_ID)
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not warnings, "a training that goes on is the same one"
    train(cfg.model_copy(update={"resume": False}))
    assert exports.locate(cfg.model).path.endswith(RUN_ID)
    now = checkpoint.load(checkpoint.find(cfg.model, "last")).meta["run_id"]
    said = f"is an export of the training {meta['run_id']}, and {cfg.model} holds the training {now} now: run export_onnx"
    assert said in caplog.text


def test_a_folder_has_one_training_at_a_time(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_epochs=1)
    said = rf"a training in {cfg.model}: held by process {os.getpid()} .*another model=FOLDER"
    with hold(tmp_path / "model" / LOCK, what="", remedy=""), pytest.raises(UserError, match=said):
        train(cfg)
    assert not (tmp_path / "model" / "checkpoints").exists()
    train(cfg)


def test_a_checkpoint_that_cannot_be_read_keeps_the_training(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no reason to advise resume=false, which would remove the checkpoints."""
    cfg = settings(max_epochs=1)
    train(cfg)
    path = checkpoint.find(cfg.model, "last")
    errors = iter([PermissionError(13, "Permission denied"), TimeoutError("the network is down"), MemoryError()])

    def fail(path: str) -> bytes:
        raise next(errors)

    monkeypatch.setattr(files, "read_bytes", fail)
    for _ in range(3):
        with pytest.raises(UserError, match=r"last.pt can't be read .*(Permission denied|network is down|MemoryError)") as raised:
            checkpoint.load(path)
        assert "resume=false" not in str(raised.value)


def test_a_best_checkpoint_that_is_missing_is_named(settings: Make, tmp_path: Path) -> None:
    """It was there, as last.pt says, so that the last one doesn't stand for it."""
    cfg = settings(max_epochs=2)
    train(cfg)
    best = Path(checkpoint.find(cfg.model, "best"))
    best.unlink()
    lacks = rf"checkpoints/{best.name.partition('_ndcg10')[0]}_\*.pt is missing, .* put it back from a copy, or "
    with pytest.raises(UserError, match=rf"{lacks}take the last one \(checkpoint=last\), or train again with resume=false"):
        checkpoint.find(cfg.model, "best")
    assert checkpoint.find(cfg.model, "last").endswith("/last.pt")
    with pytest.raises(UserError, match=rf"{lacks}start over with resume=false"):
        train(cfg)
    with pytest.raises(UserError, match=rf"{lacks}take the last one \(init={cfg.model}/checkpoints/last.pt\)"):
        train(settings(model=f"{tmp_path}/newer", init=cfg.model))
    train(cfg.model_copy(update={"resume": False}))
    assert checkpoint.find(cfg.model, "best") == str(best)


def test_files_that_follow_from_the_dataset_are_put_back(settings: Make, tmp_path: Path) -> None:
    cfg, folder = settings(max_epochs=1), tmp_path / "model"
    train(cfg)
    made = {name: (folder / name).read_bytes() for name in ("vocabulary.parquet", "meta.json")}
    for name in made:
        (folder / name).unlink()
    train(cfg)
    assert (folder / "vocabulary.parquet").read_bytes() == made["vocabulary.parquet"]
    assert versions.read_meta(cfg.model)["run_id"] == json.loads(made["meta.json"])["run_id"]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_part_of_a_checkpoint_names_the_other_remedies_first(settings: Make, tmp_path: Path, share: float) -> None:
    cfg = settings(max_epochs=1)
    train(cfg)
    path = tmp_path / "model" / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"last.pt is not a checkpoint, or not a whole one.*: put it back from .*resume=false$"):
        train(cfg)
    with pytest.raises(
        UserError, match=r"last.pt is not .*: begin from another model or checkpoint \(init=PATH\), or put it back"
    ):
        train(settings(model=f"{tmp_path}/newer", init=str(path)))
    with pytest.raises(UserError, match=r"last.pt is not .*: take another, checkpoint=best or the path of one, .*resume=false"):
        checkpoint.load(str(path))
    best = Path(checkpoint.find(cfg.model, "best"))
    best.write_bytes(path.read_bytes())
    with pytest.raises(
        UserError, match=r"ndcg10_\S+ is not .*: take another, checkpoint=last or the path of one, .*resume=false"
    ):
        checkpoint.load(str(best))
    best.unlink()
    with pytest.raises(UserError, match=r"last.pt is not .*: take another, the path of one, .*resume=false"):
        checkpoint.find(cfg.model, "best")


@pytest.mark.parametrize("content", [{}, [], None, {"model": {}, "step": 3}])
def test_a_checkpoint_without_keys_is_named(settings: Make, tmp_path: Path, content: Any) -> None:
    cfg = settings(max_epochs=1)
    train(cfg)
    torch.save(content, tmp_path / "model" / "checkpoints" / "last.pt")
    with pytest.raises(UserError, match=r"last.pt is not a checkpoint of seqrec's train: it lacks .*progress; put it back"):
        train(cfg)
