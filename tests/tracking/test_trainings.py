"""A training as a run of MLflow, on a real server: one curve, however often the training is stopped and goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from jobs import train
from seqrec.command.config import public
from seqrec.settings.train import Train
from tests.tracking.conftest import Runs
from tests.training.conftest import settings, windows

__all__ = ["settings", "windows"]

Make = Callable[..., Train]
CURVES = ("train_loss", "loss", "lr", "tokens_per_second", "recall_at_1", "recall_at_10", "ndcg_at_10", "epoch")


@pytest.fixture
def run_train(settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The job with the settings of a tiny training, of 4 steps an epoch, and these keys."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str) -> None:
        (tmp_path / "train.yaml").write_text(yaml.safe_dump(public(settings())))
        train.main(["--conf", str(tmp_path / "train.yaml"), *overrides])

    return run


def test_a_training_goes_on_in_its_run(
    run_train: Callable[..., None],
    tracked: Runs,
    settings: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_PARENT_RUN_ID", "a-chain")
    run_train("max_steps=6")
    model = Path(settings().model)
    [first] = tracked.all()
    assert json.loads((model / "meta.json").read_text())["mlflow_run_id"] == first.info.run_id
    run_train()
    [run] = tracked.all()
    assert (run.info.run_id, run.info.run_name, run.info.status) == (first.info.run_id, "train", "FINISHED")
    for name in CURVES:
        assert tracked.steps(run.info.run_id, name) == [4, 8, 12], name
    assert run.data.params["encoder.dim"] == "8"
    assert run.data.params["max_steps"] == "6"
    assert run.data.tags["seqrec.changed"] == "max_steps=null"
    assert run.data.tags["mlflow.parentRunId"] == "a-chain"
    assert run.data.tags["seqrec.dataset"] == "20260101T000000Z-0000"
    kept = {f"model/{name}" for name in ("config.yaml", "epochs.jsonl", "meta.json", "vocabulary.parquet")}
    assert kept <= tracked.files(run.info.run_id)
    run_train()  # nothing is left to do
    [again] = tracked.all()
    assert again.info.end_time == run.info.end_time

    run_train("max_epochs=1", "resume=false")
    assert [tracked.steps(one.info.run_id, "epoch") for one in tracked.all()] == [[4, 8, 12], [4]]
    assert json.loads((model / "meta.json").read_text())["mlflow_run_id"] == tracked.all()[1].info.run_id


def test_a_run_gets_the_validations_that_nobody_tracked(run_train: Callable[..., None], tracked: Runs, settings: Make) -> None:
    run_train("max_epochs=1", "track=none")
    assert tracked.all() == []
    run_train("max_epochs=2")
    [run] = tracked.all()
    assert tracked.steps(run.info.run_id, "ndcg_at_10") == [4, 8]
    assert json.loads(Path(settings().model, "meta.json").read_text())["mlflow_run_id"] == run.info.run_id


def test_stages_are_curves_of_one_run(run_train: Callable[..., None], tracked: Runs) -> None:
    run_train("max_epochs=1", "stages=[{name: body}, {name: head, freeze: [blocks], max_epochs: 2}]")
    [run] = tracked.all()
    assert tracked.steps(run.info.run_id, "stage_1/ndcg_at_10") == [4]
    assert tracked.steps(run.info.run_id, "stage_2/ndcg_at_10")[-1] == 8
