"""A job's first and last lines."""

import logging
from pathlib import Path

import pytest

from seqrec.command import story
from seqrec.command.config import load_config
from seqrec.command.story import Next
from seqrec.settings.build_sequences import BuildSequences
from seqrec.settings.train import Train

ROOT = Path(__file__).parents[2]


def begin(*overrides: str) -> None:
    story.begin(Train, load_config(Train, str(ROOT / "conf" / "train.yaml"), list(overrides)))


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/seq")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("SEQREC_STEP", raising=False)
    caplog.set_level(logging.INFO, logger="seqrec")


def test_a_job_begins_with_what_differs_from_its_template(caplog: pytest.LogCaptureFixture) -> None:
    begin("max_epochs=3", "encoder.blocks=2", "model=/my model", "patience=5", "optimizer.lr=1e-4")
    assert caplog.messages == [
        "train: windows into checkpoints\n  data=/seq/dataset  model=/my model  optimizer.lr=0.0001\n  max_epochs=3  patience=5"
    ]


def test_of_a_preset_only_its_name_is_said(caplog: pytest.LogCaptureFixture) -> None:
    begin("preset=gsasrec", "seed=7")
    assert caplog.messages[0].endswith("  data=/seq/dataset  model=/seq/model  seed=7\n  preset=gsasrec")


def test_the_path_of_a_template_is_not_shown_where_a_table_of_spark_is_read(caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(BuildSequences, str(ROOT / "conf" / "build_sequences.yaml"), ["input.table=shop.ratings"])
    story.begin(BuildSequences, config)
    assert caplog.messages[0].splitlines()[1:] == ["  input.table=shop.ratings  data=/seq/dataset"]


def test_a_job_ends_with_what_it_made_and_the_next_command(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin("model=/my model", "seed=7")
    later = story._run.started + 75
    monkeypatch.setattr("time.monotonic", lambda: later)
    story.end(made="the model m", path="/my model", then=Next("export_onnx", ("data", "model")))
    assert (
        caplog.messages[-1]
        == "made the model m in 1 min 15 s\n  /my model\nnext: ./spark-submit.sh export_onnx 'model=/my model'"
    )


def test_in_a_chain_a_job_is_short(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_STEP", "2")
    begin("seed=7")
    story.end(made="m", then=Next("export_onnx"))
    assert caplog.messages[0] == "  windows into checkpoints\n  seed=7"
    assert "next" not in caplog.messages[1]
