"""Parts of the trainer that a model may bring: extras of its objective, a task of its own, a sink."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.losses import Predictions, cross_entropy, gbce_beta
from seqrec.settings.train import Train
from seqrec.training import checkpoint, plan_transformer
from seqrec.training.epochs_file import read_records
from seqrec.training.learner import build_learner
from seqrec.training.loader import Windows
from seqrec.training.objective import ItemObjective, Loss
from seqrec.training.plan import PlanInputs
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.preferences import PreferencePairs
from seqrec.training.processes import Process
from seqrec.training.sinks import COLUMNS, ScreenTable
from seqrec.training.tasks import ItemBatch, next_item
from seqrec.training.training_data import open_training_data
from tests.training.conftest import V, train

Make = Callable[..., Train]
TIMES = {"seconds": 0.0, "tokens_per_second": 0.0}  # of records, which differ in each run


class WithExtras(ItemObjective):
    """An objective that reports two sums beside its loss: one that is 2 a target, and the loss again."""

    def forward(self, batch: ItemBatch) -> Loss:
        loss = super().forward(batch)
        return Loss(loss.sum, {"two": 2.0 * torch.count_nonzero(batch.targets), "again": loss.sum.detach()})


def last_item(windows: Windows) -> ItemBatch:
    """Only the newest item of each window is predicted."""
    batch = next_item(windows)
    newest = torch.arange(batch.targets.shape[1]) == batch.targets.shape[1] - 1
    return batch._replace(targets=batch.targets.masked_fill(~newest, PADDING))


def test_extras_are_reported_beside_the_loss(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = settings(max_epochs=2)
    train(plain)
    records = read_records(plain.model)
    state = checkpoint.load(checkpoint.find(plain.model, "last"))
    assert state.progress is not None
    assert "extras" not in state.progress
    monkeypatch.setattr(plan_transformer, "ItemObjective", WithExtras)
    train(plain.model_copy(update={"resume": False}))
    for record, before in zip(read_records(plain.model), records, strict=True):
        assert list(record)[:6] == ["epoch", "step", "seconds", "train_loss", "two", "again"]
        assert record["two"] == 2.0
        assert record["again"] == record["train_loss"] == before["train_loss"]


def test_extras_of_a_stopped_training_are_those_of_one_that_never_stopped(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_transformer, "ItemObjective", WithExtras)
    whole, parts = (settings(model=str(tmp_path / name), max_epochs=2) for name in ("whole", "parts"))
    train(whole)
    for stop in (1, 3, 8):
        train(parts.model_copy(update={"max_steps": stop}))
    for one, other in zip(read_records(parts.model), read_records(whole.model), strict=True):
        assert {**one, **TIMES} == {**other, **TIMES}


def test_another_task_has_another_number_of_losses(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 3 of 4 steps, the sums since the last validation hold a loss a window."""
    cfg = settings(max_steps=3)
    train(cfg)
    every = checkpoint.load(checkpoint.find(cfg.model, "last")).progress
    monkeypatch.setattr(plan_transformer, "next_item", last_item)
    train(cfg.model_copy(update={"resume": False}))
    newest = checkpoint.load(checkpoint.find(cfg.model, "last")).progress
    assert every is not None
    assert newest is not None
    assert 3 <= newest["positions"] < every["positions"]
    assert newest["positions"] == int(newest["positions"]) <= 60


def half_for_older(windows: Windows) -> ItemBatch:
    """Each target counts half, but for the newest one of a window, which counts 2."""
    batch = next_item(windows)
    newest = torch.arange(batch.targets.shape[1]) == batch.targets.shape[1] - 1
    return batch._replace(weights=torch.where(newest, 2.0, 0.5).expand(batch.targets.shape))


def test_the_loss_is_the_mean_by_weight(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 of 4 steps: the weights of the targets that were summed, and a mean loss about that of targets that count alike."""
    monkeypatch.setattr(plan_transformer, "next_item", half_for_older)
    cfg = settings(max_steps=3)
    train(cfg)
    weighted = checkpoint.load(checkpoint.find(cfg.model, "last")).progress
    monkeypatch.setattr(plan_transformer, "next_item", next_item)
    train(cfg.model_copy(update={"resume": False}))
    plain = checkpoint.load(checkpoint.find(cfg.model, "last")).progress
    assert weighted is not None
    assert plain is not None
    windows = (weighted["positions"] - 0.5 * plain["positions"]) / 1.5
    assert windows == pytest.approx(round(windows))
    assert 30 <= windows <= 50  # of 60: batches are of like numbers of items, not of windows
    assert weighted["loss_sum"] / weighted["positions"] == pytest.approx(plain["loss_sum"] / plain["positions"], rel=0.1)


def test_the_table_on_the_screen_has_a_header_and_aligned_rows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    table = ScreenTable()
    table.add({"epoch": 1, "step": 4, "train_loss": 2.5, "lr": 1e-3, "best": True, "extra": 1.0})
    table.show({"epoch": 1, "step": 5, "ndcg@10": 0.25})
    header, first, second = caplog.messages
    assert header.split() == [column.name for column in COLUMNS]
    assert first.split() == ["1", "4", "2.5000", "-", "-", "-", "-", "-", "-", "-", "*"]
    assert second.split()[:2] == ["1", "5"]
    assert {len(header), len(second), len(first) - len(" *")} == {len(header)}
    assert len(first) <= 100


def test_the_softmax_leaves_out_what_the_row_holds_before(settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users go round a circle, so what a user had before a target are the items right before it, those before the window too."""
    taught: list[Predictions] = []

    def spied(predictions: Predictions, matrix: Tensor, *, bf16: bool) -> Tensor:
        taught.append(predictions)
        return cross_entropy(predictions, matrix, bf16=bf16)

    monkeypatch.setattr(plan_transformer, "cross_entropy", spied)
    loss = {"name": "ce", "exclude_seen": True}
    train(settings(max_epochs=1, encoder={"max_len": 3}, loss=loss, accumulate_steps=2))  # two parts of a batch
    lengths = []
    for predictions in taught:
        assert predictions.excluded is not None
        for target, excluded in zip(predictions.targets.tolist(), predictions.excluded.tolist(), strict=True):
            before = [item for item in excluded if item != PADDING]
            assert before == [2 + (target - 2 - age) % V for age in range(len(before), 0, -1)]
            lengths.append(len(before))
    assert min(lengths) == 1
    assert max(lengths) > 3


@pytest.mark.parametrize(
    ("loss", "score"),
    [
        ({"name": "bce", "negatives": 4, "prior": True}, math.log(1 / 4)),
        ({"name": "gbce", "negatives": 4, "t": 0.5, "prior": True}, math.log(gbce_beta(negatives=4, vocab_size=V, t=0.5) / 4)),
        ({"name": "gbce", "negatives": 4, "t": 0.5}, 0.0),
    ],
)
@pytest.mark.parametrize("members", [1, 2])
def test_new_weights_score_every_item_as_one_that_is_a_target_by_chance(
    settings: Make, tmp_path: Path, loss: dict[str, Any], score: float, members: int
) -> None:
    cfg = settings(loss=loss, encoder={"output": "separate", "norm_place": "query"}, members=members)
    data = open_training_data(cfg.data, tmp_path / "cache")
    setup = sequence_setup(cfg)
    plan = setup.architecture.plan(PlanInputs(data=data, users=0, bf16=False))
    model = build_learner(setup, plan, Process(rank=0, world=1, device=torch.device("cpu")), None, None).model.eval()
    scores = model.query(torch.arange(FIRST_ITEM, FIRST_ITEM + 8)[None]) @ model.item_matrix()[FIRST_ITEM:].T
    torch.testing.assert_close(scores, torch.full_like(scores, score), atol=0.5, rtol=0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"loss": {"name": "ce"}}, "loss.prior=true is of bce and gbce, and this is loss.name=ce: set loss.prior=false"),
        ({}, "loss.prior=true needs encoder.output_bias=true, or encoder.output=separate after a last norm of kind layer"),
        ({"encoder": {"output": "separate", "norm": "rms"}}, "loss.prior=true needs encoder.output_bias=true"),
        ({"encoder": {"output": "separate", "norm_place": "post"}}, "loss.prior=true needs encoder.output_bias=true"),
    ],
)
def test_a_prior_is_of_losses_and_parts_that_have_one(keys: dict[str, Any], message: str) -> None:
    loss = {"name": "gbce", **keys.get("loss", {}), "prior": True}
    with pytest.raises(ValidationError, match=message):
        Train.model_validate({"data": "d", "model": "m", **keys, "loss": loss})


def test_a_batch_of_pairs_has_the_whole_context_to_leave_out() -> None:
    windows = Windows(torch.tensor([[5, 6, 7, 8, 3], [0, 0, 4, 9, 2]]), *torch.zeros(2, 2, dtype=torch.int64))
    older = PreferencePairs(max_len=2, masks=False)(windows).items.older
    assert older is not None
    assert older.tolist() == [[5], [0]]
