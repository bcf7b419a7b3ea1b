"""SimpleX through the trainer that SASRec has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jobs import train_two_tower as job
from seqrec.errors import UserError
from seqrec.models.simplex import SimpleX
from seqrec.settings.train import Train
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.train import run_training
from seqrec.user_hashes import hash_ids, user_rows
from tests.training.conftest import MAX_LEN, RUN_ID, USERS, V
from tests.training.conftest import train as train_sequences

Make = Callable[..., TrainTwoTower]


@pytest.fixture
def towers(tmp_path: Path, windows: list[list[int]]) -> Make:
    """Settings of a tiny training on the dataset in which users walk along a circle of items."""

    def make(**keys: Any) -> TrainTwoTower:
        tiny: dict[str, Any] = {
            "data": str(tmp_path / "data"),
            "model": str(tmp_path / "towers"),
            "output": str(tmp_path / "lists"),
            "encoder": {"dim": 16, "max_len": 2},
            "loss": {"negatives": 50, "margin": 0.2, "weight": 10},
            "optimizer": {"lr": 0.02, "warmup_steps": 2, "schedule": "constant"},
            "batch_size": 16,
            "pool_batches": 2,
            "max_epochs": 3,
            "metric": "ndcg@20",
            "precision": "fp32",
            "tensorboard": False,
            "plots": False,
            "stores": {"mongodb_uri": "none", "milvus_uri": "none"},
        }
        return TrainTwoTower.model_validate({**tiny, **keys})

    return make


def train(settings: TrainTwoTower) -> dict[str, float]:
    """What the job does of a training in this process."""
    return run_training(job.tower_setup(settings)).metrics


def last(settings: TrainTwoTower) -> Checkpoint:
    return checkpoint.load(checkpoint.find(settings.model, "last"))


@pytest.mark.parametrize("loss", [{}, {"sampling": "popularity", "power": 0.5}])
def test_the_circle_is_learned(towers: Make, loss: dict[str, Any]) -> None:
    metrics = train(towers(max_epochs=40, patience=None, loss={"negatives": 50, "margin": 0.2, "weight": 10, **loss}))
    assert metrics["ndcg@20"] > 0.9
    assert metrics["recall@1"] > 0.8


def test_users_are_learned(towers: Make, windows: list[list[int]]) -> None:
    """A user's embedding lies nearer to what the user's window has than another user's does; that of nobody stays zeros."""
    cfg = towers(max_epochs=20, patience=None, encoder={"dim": 16, "max_len": 1, "user_weight": 0.95})
    train(cfg)
    weights, hashes = last(cfg).model, np.load(f"{cfg.model}/users.npy")
    users = weights["users.weight"]
    assert np.array_equal(hashes, np.sort(hash_ids(pa.array(range(USERS)))))
    assert users.shape == (USERS + 1, 16)
    assert users[0].tolist() == [0.0] * 16
    own = users[user_rows(hash_ids(pa.array(range(USERS))), hashes)]
    items = torch.stack([weights["items.weight"][window].mean(0) for window in windows])
    near, far = (torch.cosine_similarity(some, items).mean() for some in (own, own.roll(1, 0)))
    assert near > far + 0.2


def test_windows_of_nobody_are_refused(towers: Make, tmp_path: Path) -> None:
    for path in (tmp_path / "data" / RUN_ID / "windows").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop(["user"]), path)
    train(towers(max_epochs=1))
    cfg = towers(encoder={"dim": 4, "user_weight": 0.5}, model=str(tmp_path / "of_users"))
    with pytest.raises(UserError, match=r"doesn't say whose its windows are: run build_sequences again"):
        train(cfg)
    assert not Path(cfg.model).exists()


@pytest.mark.parametrize("encoder", [{}, {"user_weight": 0.5}])
def test_an_interrupted_training_ends_at_the_same_weights(towers: Make, tmp_path: Path, encoder: dict[str, Any]) -> None:
    shape = {"dim": 16, "max_len": 2, **encoder}
    whole, parts = (towers(model=str(tmp_path / name), encoder=shape) for name in ("whole", "parts"))
    train(whole)
    train(parts.model_copy(update={"max_steps": 5}))
    train(parts)
    assert last(parts).step == last(whole).step == 12
    assert all(torch.equal(last(parts).model[name], weight) for name, weight in last(whole).model.items())


def test_a_checkpoint_says_what_it_is_of(towers: Make) -> None:
    cfg = towers(max_epochs=1)
    train(cfg)
    content = last(cfg)
    assert content.architecture == "simplex"
    assert content.meta["name"].startswith("simplex-d16-l2-")
    assert content.arguments == {"vocab_size": V, "max_len": 2, "dim": 16, "dropout": 0.0, "users": 0, "user_weight": 0.0}
    SimpleX(**content.arguments).load_state_dict(content.model)


@pytest.mark.parametrize(("asked", "wanted"), [(None, MAX_LEN), (3, 3), (99, MAX_LEN)])
def test_histories_are_at_most_the_datasets(towers: Make, asked: int | None, wanted: int) -> None:
    cfg = towers(max_epochs=1, encoder={"dim": 4, "max_len": asked})
    train(cfg)
    assert last(cfg).arguments["max_len"] == wanted


def test_the_folder_of_another_architecture_is_refused(towers: Make, settings: Callable[..., Train]) -> None:
    sequences = settings(max_epochs=1)
    train_sequences(sequences)
    with pytest.raises(UserError, match=r"architecture=transformer there, simplex now.*another model=FOLDER"):
        train(towers(model=sequences.model))


def test_what_cannot_fit_is_refused(towers: Make) -> None:
    cfg = towers(memory_gb=0.001)
    with pytest.raises(UserError, match=r"needs about .* GiB, 0.0 GiB are free"):
        train(cfg)
    assert not Path(cfg.model).exists()


@pytest.mark.parametrize("user_weight", [0.0, 0.5])
def test_validation_is_of_whole_queries(towers: Make, tmp_path: Path, user_weight: float) -> None:
    """The metrics of the best checkpoint, computed anew from its weights and the table valid."""
    cfg = towers(encoder={"dim": 16, "max_len": 2, "user_weight": user_weight})
    metrics = train(cfg)
    content = checkpoint.load(checkpoint.find(cfg.model, "best"))
    model = SimpleX(**content.arguments).eval()
    model.load_state_dict(content.model)
    table = pq.read_table(next((tmp_path / "data").glob("*/valid/*.parquet"))).to_pylist()
    place = {int(hashed): number for number, hashed in enumerate(np.sort(hash_ids(pa.array(range(USERS)))), 1)}
    gains = []
    for user in table:
        owner = torch.tensor([place[int(hash_ids(pa.array([user["user_id"]]))[0])]])
        query = model.query(torch.tensor([user["items"][-2:]]), owner)
        scores = (query @ model.item_matrix().T)[0].detach().numpy()
        others = [item for item in range(2, V + 2) if item not in {*user["seen"], *user["targets"]}]
        rank = 1 + sum(scores[item] >= scores[user["targets"][0]] for item in others)
        gains.append(1 / np.log2(1 + rank))
    assert metrics["ndcg@20"] == pytest.approx(np.mean(gains), abs=1e-6)


def test_users_and_items_are_kept_where_a_training_begins_from_another(towers: Make, tmp_path: Path) -> None:
    """The first user is new to the second model, so that all others' rows move by one or stay; the newcomer's is drawn."""
    shape = {"encoder": {"dim": 16, "max_len": 2, "user_weight": 0.4}}
    old = towers(**shape, max_epochs=1)
    windows = tmp_path / "data" / RUN_ID / "windows"
    tables = {path: pq.read_table(path) for path in sorted(windows.glob("*.parquet"))}
    newcomer = hash_ids(pa.array([0]))[0]
    for path, table in tables.items():
        pq.write_table(table.filter(pa.array(table["user"].to_numpy() != newcomer)), path)
    train(old)
    for path, table in tables.items():
        pq.write_table(table, path)
    new = towers(**shape, model=str(tmp_path / "newer"), init=old.model, optimizer={"lr": 1e-12, "warmup_steps": 0}, max_steps=1)
    train(new)
    best = checkpoint.load(checkpoint.find(old.model, "best"))
    before, after = best.model, last(new).model
    known, now = (np.load(Path(model) / "users.npy") for model in (old.model, new.model))
    assert sorted({*now} - {*known}) == [newcomer]
    places = user_rows(known, now)
    torch.testing.assert_close(after["users.weight"][places], before["users.weight"][1:], rtol=0, atol=1e-6)
    torch.testing.assert_close(after["items.weight"], before["items.weight"], rtol=0, atol=1e-6)
    drawn = after["users.weight"][user_rows(np.array([newcomer]), now)]
    assert (before["users.weight"] - drawn).abs().sum(dim=1).min() > 0.01
