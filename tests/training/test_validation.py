"""What a validation counts, and trainings without one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from seqrec.errors import UserError
from seqrec.models.transformer import Transformer
from seqrec.ragged import Ragged
from seqrec.settings.train import Train
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.validation import validate
from tests.training.conftest import ALONE, MAX_LEN, RUN_ID, V, train, validation_users

Make = Callable[..., Train]


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(vocab_size=V, max_len=MAX_LEN, dim=8, blocks=1, heads=1, ffn=1, dropout=0.0)


def test_targets_without_a_training_event_are_misses(model: Transformer, tmp_path: Path, windows: list[list[int]]) -> None:
    users = validation_users(tmp_path / "data")
    counts = users.counts.copy()
    counts[[3, 5]] = 0
    missed = np.isin(users.targets.values - 2, [3, 5])
    all_found = validate(model, users, batch_size=7, bf16=False, process=ALONE)
    metrics = validate(model, replace(users, counts=counts), batch_size=7, bf16=False, process=ALONE)
    hit = replace(
        users,
        items=users.items.take(np.flatnonzero(~missed)),
        users=users.users[~missed],
        seen=users.seen.take(np.flatnonzero(~missed)),
        targets=users.targets.take(np.flatnonzero(~missed)),
    )
    others = validate(model, hit, batch_size=7, bf16=False, process=ALONE)
    assert (all_found["misses"], metrics["misses"]) == (0, missed.sum())
    assert missed.sum() > 3
    for name in ("recall@1", "recall@10", "ndcg@10", "ndcg@20"):
        assert metrics[name] == pytest.approx(others[name] * (~missed).mean())
    assert metrics["loss"] == all_found["loss"]


def test_users_without_items_are_ranked_by_popularity(model: Transformer, tmp_path: Path, windows: list[list[int]]) -> None:
    users = validation_users(tmp_path / "data")
    nothing = Ragged.of([[]] * len(users.targets))
    metrics = validate(model, replace(users, items=nothing, seen=nothing), batch_size=7, bf16=False, process=ALONE)
    ranks = np.array([(users.counts >= users.counts[target - 2]).sum() for target in users.targets.values])
    assert metrics["ndcg@10"] == pytest.approx(np.mean(np.where(ranks <= 10, 1 / np.log2(1 + ranks), 0)))


def test_records_count_misses(settings: Make, tmp_path: Path) -> None:
    items = tmp_path / "data" / RUN_ID / "items" / "part-00000.parquet"
    table = pq.read_table(items)
    counts = table["count"].to_numpy().copy()
    counts[4] = 0
    pq.write_table(table.set_column(2, "count", [counts]), items)
    cfg = settings(max_epochs=1)
    metrics = train(cfg)
    expected = (validation_users(tmp_path / "data").targets.values == 6).sum()
    assert metrics["misses"] == read_records(cfg.model)[0]["misses"] == expected > 0


@pytest.mark.parametrize("keys", [{}, {"metric": "loss", "patience": 1}, {"validate_every": 3, "patience": None}])
def test_a_valid_table_that_holds_nobody_out_means_no_validation(
    settings: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, keys: dict[str, Any]
) -> None:
    table = tmp_path / "data" / RUN_ID / "valid"
    pq.write_table(pq.read_table(table / "part-00000.parquet").slice(0, 0), table / "part-00000.parquet")
    cfg = settings(**keys)
    assert train(cfg) == {}
    assert "valid holds nobody out: training without validation" in caplog.text
    assert checkpoint.find(cfg.model, "best") == checkpoint.find(cfg.model, "last")
    assert checkpoint.load(checkpoint.find(cfg.model, "last")).step == 12
    assert all("train_loss" in record for record in read_records(cfg.model))
    assert train(cfg) == {}


def test_a_valid_table_without_files_means_no_validation(settings: Make, tmp_path: Path) -> None:
    (tmp_path / "data" / RUN_ID / "valid" / "part-00000.parquet").unlink()
    assert train(settings(max_epochs=1)) == {}


def test_empty_files_of_the_valid_table_change_nothing(settings: Make, tmp_path: Path) -> None:
    whole = train(settings(model=str(tmp_path / "whole")))
    table = tmp_path / "data" / RUN_ID / "valid"
    rows = pq.read_table(table / "part-00000.parquet")
    for number, (first, length) in enumerate([(0, 0), (0, 20), (20, 0), (20, 40), (0, 0)]):
        pq.write_table(rows.slice(first, length), table / f"part-0000{number}.parquet")
    assert train(settings(model=str(tmp_path / "parts"))) == whole


def test_a_loss_that_is_not_finite_is_refused_without_a_validation_too(settings: Make, tmp_path: Path) -> None:
    table = tmp_path / "data" / RUN_ID / "valid"
    pq.write_table(pq.read_table(table / "part-00000.parquet").slice(0, 0), table / "part-00000.parquet")
    steep = {"name": "sgd", "lr": 50.0, "clip_norm": None, "warmup_steps": 0}
    with pytest.raises(UserError, match=r"training loss .* isn't finite: lower optimizer.lr or set optimizer.clip_norm"):
        train(settings(optimizer=steep, encoder={"dim": 8, "blocks": 2}, max_epochs=30))


def test_a_table_of_an_older_version_is_refused(settings: Make, tmp_path: Path) -> None:
    path = tmp_path / "data" / RUN_ID / "valid" / "part-00000.parquet"
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([name.replace("targets", "target") for name in table.column_names]), path)
    with pytest.raises(UserError, match=r"valid has no column targets, as older versions wrote it: run build_sequences again"):
        train(settings())
