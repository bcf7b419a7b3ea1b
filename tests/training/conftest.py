"""A tiny dataset as build_sequences writes it, without Spark: users walk along a circle of items."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from seqrec.ragged import Ragged
from seqrec.settings.train import Train
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.processes import Process
from seqrec.training.train import run_training
from seqrec.training.training_data import open_training_data
from seqrec.training.validation import UserSample, ValidationUsers, read_validation_users
from seqrec.user_hashes import hash_ids
from tests.metas import dataset_meta

ALONE = Process(rank=0, world=1, device=torch.device("cpu"))
RUN_ID = "20260101T000000Z-0000"
V, USERS, MAX_LEN = 12, 60, 8
INDICES = pa.list_(pa.int32())
MASKED: dict[str, Any] = {  # keys of a tiny BERT4Rec
    "objective": "masked_items",
    "encoder": {"dim": 8, "blocks": 2, "heads": 2, "ffn": 2, "dropout": 0.1, "attention": "bidirectional"},
}


def write(path: Path, parts: list[dict[str, pa.Array]]) -> None:
    """Write a table with a file a part."""
    path.mkdir(parents=True)
    for number, columns in enumerate(parts):
        pq.write_table(pa.table(columns), path / f"part-{number:05d}.parquet")
    (path / "_SUCCESS").touch()


def write_dataset(folder: Path, *, files: int = 4, run_id: str = RUN_ID, users: int = USERS) -> list[list[int]]:
    """A dataset version of users with 3 to 12 events each; the windows, in the order of the files."""
    rng = np.random.default_rng(7)
    histories = []
    for _ in range(users):
        start, length = int(rng.integers(V)), int(rng.integers(5, 13))
        histories.append([2 + (start + step) % V for step in range(length)])
    windows = [history[:-2][-(MAX_LEN + 1) :] for history in histories]
    version = folder / run_id
    parts = [[windows[i] for i in part] for part in np.array_split(np.arange(users), files)]
    lengths = [pa.array([len(row) for row in part], pa.int32()) for part in parts]
    owners = [pa.array(hash_ids(pa.array(part))) for part in np.array_split(np.arange(users), files)]
    columns = [
        {"items": pa.array(part, INDICES), "length": length, "user": owner}
        for part, length, owner in zip(parts, lengths, owners, strict=True)
    ]
    write(version / "windows", columns)
    ids = {"item_id": pa.array([f"i{i}" for i in range(V)]), "item_idx": pa.array(range(2, V + 2), pa.int32())}
    counts = np.bincount(np.concatenate([row[:-2] for row in histories]), minlength=V + 2)[2:]
    write(version / "items", [{**ids, "count": pa.array(counts, pa.int64())}])
    for table, held in (("valid", 2), ("test", 1)):
        inputs = [row[:-held] for row in histories]
        held_out = {
            "user_id": pa.array(range(users), pa.int64()),
            "items": pa.array(inputs, INDICES),
            "seen": pa.array([sorted(set(row)) for row in inputs], INDICES),
            "targets": pa.array([[row[-held]] for row in histories], INDICES),
        }
        write(version / table, [held_out])
    (version / "meta.json").write_text(json.dumps({**dataset_meta(run_id, size=V), "max_len": MAX_LEN}))
    (folder / "CURRENT").write_text(run_id + "\n")
    return windows


def validation_users(folder: Path, *, seed: int = 1, users: int | None = None) -> ValidationUsers:
    """The table valid of the dataset in the folder, or a sample of its users."""
    data, cache = open_training_data(str(folder), folder / "cache"), folder / "cache"
    sample = UserSample(users=users, seed=seed)
    chosen = read_validation_users(data, user_hashes=None, sample=sample, max_len=MAX_LEN, process=ALONE, cache=cache)
    assert chosen is not None
    return chosen


def lists(ragged: Ragged) -> list[list[int]]:
    """The lists themselves."""
    return [ragged.values[start:stop].tolist() for start, stop in pairwise(ragged.offsets)]


def train(settings: Train) -> dict[str, float]:
    """What the job does in this process."""
    return run_training(sequence_setup(settings)).metrics


@pytest.fixture
def windows(tmp_path: Path) -> list[list[int]]:
    """The windows of the dataset in tmp_path/data."""
    return write_dataset(tmp_path / "data")


@pytest.fixture
def settings(tmp_path: Path, windows: list[list[int]]) -> Callable[..., Train]:
    """Settings of a tiny training on the dataset; keywords are the job's keys."""

    def make(**keys: Any) -> Train:
        tiny: dict[str, Any] = {
            "data": str(tmp_path / "data"),
            "model": str(tmp_path / "model"),
            "encoder": {"dim": 8, "blocks": 2, "heads": 2, "ffn": 2, "dropout": 0.1},
            "optimizer": {"lr": 0.01, "warmup_steps": 2, "schedule": "constant"},
            "batch_size": 16,
            "pool_batches": 2,
            "max_epochs": 3,
            "precision": "fp32",  # auto is bf16 on some CPUs
            "tensorboard": False,
            "plots": False,
        }
        return Train.model_validate({**tiny, **keys})

    return make
