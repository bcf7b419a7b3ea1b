"""Two real processes over gloo: forked, by torchrun, and by Spark's TorchDistributor."""

import contextlib
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

from jobs import train as job
from jobs import train_two_tower
from seqrec.errors import UserError
from seqrec.models.transformer import Transformer
from seqrec.settings.train import Train
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.training import checkpoint
from seqrec.training.distributed import train_on_spark
from seqrec.training.epochs_file import read_records
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.validation import validate
from tests.training.conftest import ALONE, RUN_ID, train, validation_users, write_dataset
from tests.training.meeting import meet, meet_again
from tests.training.ranks import run_ranks

Make = Callable[..., Train]
ROOT = Path(__file__).parents[2]


def written(settings: Train, tmp_path: Path) -> str:
    """The settings as a file for --conf."""
    conf = tmp_path / "train.yaml"
    conf.write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    return str(conf)


def torchrun(settings: Train, tmp_path: Path) -> None:
    """The job as users start two processes of it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "jobs/train.py"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--conf", written(settings, tmp_path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def in_two(settings: Train, tmp_path: Path, *overrides: str, status: int = 0) -> str:
    """What two processes of the job say."""
    ended = run_ranks(job.main, ["--conf", written(settings, tmp_path), *overrides], folder=tmp_path)
    assert ended.statuses == [status, status], ended.said
    return "".join(ended.said)


def on_spark(spark: SparkSession, settings: Train) -> dict[str, float]:
    """What the job does with distributor=spark."""
    return train_on_spark(spark, sequence_setup(settings), processes=settings.processes).metrics


def test_torchrun_trains_validates_and_goes_on(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_epochs=3, batch_size=8)
    in_two(cfg, tmp_path, "max_steps=5")
    shown = in_two(cfg, tmp_path)
    records = read_records(cfg.model)
    assert [record["step"] for record in records] == [4, 8, 12]
    assert shown.count("train_loss") == 1, "rank 0 alone reports"
    state = checkpoint.load(checkpoint.find(cfg.model, "last"))
    model = Transformer(**state.arguments)
    model.load_state_dict(state.model)
    alone = validate(model, validation_users(tmp_path / "data"), batch_size=8, bf16=False, process=ALONE)
    assert {name: records[-1][name] for name in alone} == pytest.approx(alone, rel=1e-5)

    whole = cfg.model_copy(update={"model": str(tmp_path / "whole")})
    torchrun(whole, tmp_path)
    uninterrupted = checkpoint.load(checkpoint.find(whole.model, "last")).model
    assert all(torch.equal(uninterrupted[name], weight) for name, weight in state.model.items())
    assert [record["train_loss"] for record in read_records(whole.model)] == [record["train_loss"] for record in records]


@pytest.mark.parametrize(("batch_size", "accumulate_steps"), [(30, 1), (10, 3)])
def test_two_processes_step_as_one_with_both_batches(
    settings: Make, tmp_path: Path, batch_size: int, accumulate_steps: int
) -> None:
    """Without dropout, full softmax: the sum of both ranks' gradients, of all parts, is that of the windows together."""
    plain = {
        "encoder": {"dim": 8, "heads": 2, "ffn": 2, "dropout": 0.0},
        "optimizer": {"name": "sgd", "lr": 0.1, "warmup_steps": 0},
    }
    one = settings(model=str(tmp_path / "one"), batch_size=60, max_steps=1, **plain)
    train(one)
    shares = {"batch_size": batch_size, "accumulate_steps": accumulate_steps}
    two = settings(model=str(tmp_path / "two"), max_steps=1, **shares, **plain)
    in_two(two, tmp_path)
    alone, both = (checkpoint.load(checkpoint.find(cfg.model, "last")).model for cfg in (one, two))
    for name, weight in alone.items():
        torch.testing.assert_close(both[name], weight, rtol=1e-4, atol=1e-6)


def test_a_process_with_fewer_windows_than_steps_is_refused(settings: Make, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "data")
    write_dataset(tmp_path / "data", files=3)
    said = in_two(settings(batch_size=1), tmp_path, status=1)
    assert (
        "an epoch has 40 steps of 1 windows (batch_size · accumulate_steps), but one of 2 processes has 20 windows: run" in said
    )
    assert not (tmp_path / "model").exists()


def test_spark_starts_the_same_training(settings: Make, tmp_path: Path, spark: SparkSession) -> None:
    cfg = settings(max_epochs=2, batch_size=8, processes=2, distributor="spark")
    metrics = on_spark(spark, cfg)
    run = cfg.model_copy(update={"model": str(tmp_path / "forked"), "distributor": "none", "processes": 1})
    in_two(run, tmp_path)
    by_spark, forked = (checkpoint.load(checkpoint.find(c.model, "last")).model for c in (cfg, run))
    assert all(torch.equal(by_spark[name], weight) for name, weight in forked.items())
    assert metrics["ndcg@10"] == max(record["ndcg@10"] for record in read_records(cfg.model))


def test_a_process_may_be_early_for_the_next_stage(tmp_path: Path) -> None:
    ended = run_ranks(meet_again, folder=tmp_path, limit_s=60)
    assert ended.statuses == [0, 0], ended.said


@pytest.mark.parametrize("kind", ["fails before", "fails in a step"])
def test_what_fails_in_one_process_ends_all_with_its_message(kind: str, tmp_path: Path) -> None:
    ended = run_ranks(meet, kind, folder=tmp_path)
    assert ended.statuses == [1, 1]
    assert [lines.splitlines()[-1] for lines in ended.said] == ["error: rank 1 has no disk"] * 2


@pytest.mark.parametrize(("kind", "said"), [("is killed", "Connection (closed|reset)"), ("hangs", "Timed out")])
def test_a_process_that_is_gone_ends_the_others(kind: str, said: str, tmp_path: Path) -> None:
    """The one that hangs is waited for as long as `join_processes` says; then the test kills it."""
    started = time.monotonic()
    ended = run_ranks(meet, kind, folder=tmp_path, grace_s=0.0)
    assert ended.statuses == [1, -signal.SIGKILL]
    assert re.search(
        rf"error: process 0 of 2 lost the others .*{said}.*the same command goes on from the last one", ended.said[0]
    )
    assert time.monotonic() - started < 40


def test_an_error_that_is_no_users_ends_all_with_one_line(settings: Make, tmp_path: Path) -> None:
    """Rank 1 alone reads the second file of windows."""
    (tmp_path / "data" / RUN_ID / "windows" / "part-00001.parquet").write_bytes(b"no Parquet at all")
    said = in_two(settings(), tmp_path, status=1)
    assert re.search(r"^error: process 1 of 2 ended with ArrowInvalid: Parquet magic bytes not found", said, re.MULTILINE)
    assert "Connection closed" not in said
    assert not (tmp_path / "model").exists()


def test_a_killed_process_ends_the_training_that_spark_started(settings: Make, spark: SparkSession) -> None:
    cfg = settings(max_epochs=5000, patience=None, batch_size=8, processes=2, distributor="spark")
    killer = threading.Thread(target=kill_rank_1, args=(Path(cfg.model) / "checkpoints" / "last.pt",))
    killer.start()
    with pytest.raises(
        UserError, match=r"(process 0 of 2 lost the others|a process of the training on local).*the same command goes on"
    ):
        on_spark(spark, cfg)
    killer.join()
    assert checkpoint.load(checkpoint.find(cfg.model, "last")).step > 0


def kill_rank_1(after: Path) -> None:
    """Kill the training process of rank 1 below this one, once the file is there."""
    while not after.exists():
        time.sleep(0.1)
    below = {str(os.getpid())}
    for place in sorted(Path("/proc").glob("[0-9]*"), key=lambda place: int(place.name)):
        with contextlib.suppress(OSError):
            parent = place.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if parent in below:
                below.add(place.name)
                if b"\0RANK=1\0" in place.joinpath("environ").read_bytes():
                    os.kill(int(place.name), signal.SIGKILL)


def test_no_secret_reaches_a_process(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """What TorchDistributor gets is pickled to a file."""
    stores = {"mongodb_uri": "mongodb://me:sesame@host", "milvus_uri": "http://host", "milvus_token": "sesame"}
    cfg = TrainTwoTower.model_validate({"data": "d", "model": "m", "output": "o", "stores": stores})
    pickled = []

    def run(self: TorchDistributor, function: object, *arguments: object) -> dict[str, float]:
        pickled.append(pickle.dumps(arguments))
        return {}

    monkeypatch.setattr(TorchDistributor, "run", run)
    assert train_on_spark(spark, train_two_tower.tower_setup(cfg), processes=cfg.processes).metrics == {}
    assert b"sesame" in pickle.dumps(cfg)
    assert b"sesame" not in pickled[0]


def test_torchrun_and_spark_do_not_both_start_processes(
    settings: Make, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="distributor=spark in each of 2 processes of torchrun"):
        on_spark(spark, settings(processes=2, distributor="spark"))


def test_processes_do_not_share_a_gpu(settings: Make, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="2 processes on a machine with 1 GPUs: each needs one of its own"):
        on_spark(spark, settings(processes=2, distributor="spark"))


def test_an_error_of_a_process_is_one_message(settings: Make, spark: SparkSession) -> None:
    train(settings(max_epochs=1))
    with pytest.raises(UserError, match=r"processes=1 there, 2 now"):
        on_spark(spark, settings(max_epochs=1, processes=2, distributor="spark"))


def test_stages_of_two_processes_follow_each_other(settings: Make, tmp_path: Path) -> None:
    """Each stage joins the processes anew; in the last one the ranks hold the same weights, which a rank of its own resumes."""
    stages = [{"name": "around", "max_epochs": 1, "freeze": ["items"]}, {"name": "all", "max_epochs": 2}]
    cfg = settings(stages=stages, batch_size=8)
    said = in_two(cfg, tmp_path)
    assert said.count("stage 1 of 2: around") == said.count("stage 2 of 2: all") == 1, "rank 0 alone reports"
    first, second = (checkpoint.load(checkpoint.find(folder, "best")) for folder in (f"{cfg.model}/stages/around", cfg.model))
    records = read_records(cfg.model)
    assert [(record["stage"], record["step"]) for record in records] == [(2, 0), (2, 4), (2, 8)]
    assert records[0]["ndcg@10"] == first.metrics["ndcg@10"]
    assert second.meta["init"]["weights_sha256"] == first.weights_sha256
