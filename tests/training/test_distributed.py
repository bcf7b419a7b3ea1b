"""Two real processes over gloo: by torchrun, and by Spark's TorchDistributor."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.models.encoder import SASRec
from seqrec.settings.training import Train
from seqrec.training import checkpoint
from seqrec.training.distributed import train_on_spark
from seqrec.training.report import read_records
from seqrec.training.train import train
from seqrec.training.validation import validate
from tests.training.conftest import ALONE, held_out, write_dataset

Make = Callable[..., Train]
ROOT = Path(__file__).parents[2]


def torchrun(settings: Train, tmp_path: Path, *overrides: str, status: int = 0) -> str:
    """What two processes print; with another status than 0, what they say of the error."""
    conf = tmp_path / "train.yaml"
    conf.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "jobs/train.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--conf", str(conf), *overrides], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def test_torchrun_trains_validates_and_goes_on(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_epochs=3, batch_size=8)
    torchrun(cfg, tmp_path, "max_steps=5")
    shown = torchrun(cfg, tmp_path)
    records = read_records(cfg.model)
    assert [record["step"] for record in records] == [4, 8, 12]
    assert shown.count("train_loss") == 1, "rank 0 alone reports"
    state = checkpoint.load(checkpoint.find(cfg.model, "last"))
    model = SASRec(**state["arguments"])
    model.load_state_dict(state["model"])
    alone = validate(model, held_out(tmp_path / "data"), batch_size=8, bf16=False, process=ALONE)
    assert {name: records[-1][name] for name in alone} == pytest.approx(alone, rel=1e-5)

    whole = cfg.model_copy(update={"model": str(tmp_path / "whole")})
    torchrun(whole, tmp_path)
    uninterrupted = checkpoint.load(checkpoint.find(whole.model, "last"))["model"]
    assert all(torch.equal(uninterrupted[name], weight) for name, weight in state["model"].items())
    assert [record["train_loss"] for record in read_records(whole.model)] == [record["train_loss"] for record in records]


def test_two_processes_step_as_one_with_both_batches(settings: Make, tmp_path: Path) -> None:
    """Without dropout, full softmax: the sum of both ranks' gradients is that of the windows together."""
    plain = {
        "encoder": {"dim": 8, "heads": 2, "ffn": 2, "dropout": 0.0},
        "optimizer": {"name": "sgd", "lr": 0.1, "warmup_steps": 0},
    }
    one = settings(model=str(tmp_path / "one"), batch_size=60, max_steps=1, **plain)
    train(one)
    two = settings(model=str(tmp_path / "two"), batch_size=30, max_steps=1, **plain)
    torchrun(two, tmp_path)
    alone, both = (checkpoint.load(checkpoint.find(cfg.model, "last"))["model"] for cfg in (one, two))
    for name, weight in alone.items():
        torch.testing.assert_close(both[name], weight, rtol=1e-4, atol=1e-6)


def test_a_process_with_fewer_windows_than_steps_is_refused(settings: Make, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    write_dataset(tmp_path / "data", files=3)
    said = torchrun(settings(batch_size=1), tmp_path, status=1)
    assert "an epoch has 40 steps of batch_size=1, but one of 2 processes has 20 windows: run build_sequences" in said
    assert not (tmp_path / "model").exists()


def test_spark_starts_the_same_training(settings: Make, tmp_path: Path, spark: SparkSession) -> None:
    cfg = settings(max_epochs=2, batch_size=8, processes=2, distributor="spark")
    metrics = train_on_spark(spark, cfg)
    run = cfg.model_copy(update={"model": str(tmp_path / "torchrun")})
    torchrun(run, tmp_path)
    by_spark, by_torchrun = (checkpoint.load(checkpoint.find(c.model, "last"))["model"] for c in (cfg, run))
    assert all(torch.equal(by_spark[name], weight) for name, weight in by_torchrun.items())
    assert metrics["ndcg@10"] == max(record["ndcg@10"] for record in read_records(cfg.model))


def test_an_error_of_a_process_is_one_message(settings: Make, spark: SparkSession) -> None:
    train(settings(max_epochs=1))
    with pytest.raises(UserError, match=r"processes=1 there, 2 now"):
        train_on_spark(spark, settings(max_epochs=1, processes=2, distributor="spark"))
