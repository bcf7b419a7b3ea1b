"""Masked items: which are hidden, what hides them, how often a window is masked, and what a model learns from it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from seqrec.export.export_onnx import export
from seqrec.indices import MASK, PADDING
from seqrec.models.losses import Predictions
from seqrec.serving.recommender import Recommender
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.loader import Batches, Pooling, Windows, open_shard
from seqrec.training.masking import MaskedItems
from seqrec.training.objective import Loss, count_hits
from seqrec.training.plan import PlanInputs
from seqrec.training.plan_transformer import OBJECTIVES, sequence_setup
from seqrec.training.processes import Process
from seqrec.training.steps import Stepper, Stop
from seqrec.training.tasks import ItemBatch
from seqrec.training.training_data import open_training_data
from tests.training.conftest import INDICES, MASKED, MAX_LEN, RUN_ID, V, train, write

Make = Callable[..., Train]
TASK = MaskedItems(vocab_size=1000, masked_share=0.2, mask_share=1.0, most=None, shortened_share=0.0, last_copy=None)
LENGTHS = (2, 5, 8, 12, 13, 20)


def windows_of(lengths: tuple[int, ...] = LENGTHS, *, each: int = 100, width: int = 20) -> Windows:
    """`each` windows of each length, of items from 500 on, left-padded."""
    items = torch.zeros(len(lengths) * each, width, dtype=torch.int64)
    for row, length in enumerate(lengths * each):
        items[row, width - length :] = torch.arange(500, 500 + length)
    return Windows(items, *torch.zeros(2, len(items), dtype=torch.int64))


def masked(task: MaskedItems = TASK, windows: Windows | None = None, *, seed: int = 1) -> ItemBatch:
    torch.manual_seed(seed)
    return task(windows or windows_of())


@pytest.mark.parametrize(
    ("share", "most", "expected"),
    [(0.2, None, [1, 1, 2, 2, 3, 4]), (0.5, 6, [1, 3, 4, 6, 6, 6]), (0.01, None, [1] * 6), (1.0, None, [*LENGTHS])],
)
def test_a_share_of_each_window_is_predicted(share: float, most: int | None, expected: list[int]) -> None:
    """The share rounded to whole items (half of 5 is 3), at least one, at most so many; never a pad."""
    windows = windows_of()
    inputs, targets, *_ = masked(replace(TASK, masked_share=share, most=most), windows)
    predicted = targets != PADDING
    assert predicted.sum(1).tolist() == expected * 100
    assert torch.equal(inputs == MASK, predicted)
    assert torch.equal(torch.where(predicted, targets, inputs), windows.items)


def test_every_item_is_predicted_about_as_often() -> None:
    _, targets, *_ = masked(windows=windows_of((20,), each=3000))
    counts = torch.count_nonzero(targets, dim=0)  # (20,): 3000 · 4 / 20 = 600 each
    assert counts.min() > 600 - 110
    assert counts.max() < 600 + 110


def test_what_the_mask_does_not_replace_stays_or_becomes_any_item() -> None:
    inputs, targets, *_ = masked(replace(TASK, mask_share=0.6), windows_of((20,), each=3000))
    shown, hidden = inputs[targets != PADDING], targets[targets != PADDING]
    shares = [float((kind).float().mean()) for kind in (shown == MASK, shown == hidden, (shown != MASK) & (shown != hidden))]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.02)
    others = shown[(shown != MASK) & (shown != hidden)]
    assert 2 <= others.min() < 20
    assert 980 < others.max() < 1002


def test_one_copy_has_only_its_last_item_masked() -> None:
    windows = windows_of()
    copies = torch.arange(len(windows.items)) % 3
    inputs, targets, *_ = masked(replace(TASK, mask_share=0.0, last_copy=2), windows._replace(copies=copies))
    of_last = copies == 2
    assert torch.equal(targets[of_last, -1], windows.items[of_last, -1])
    assert not targets[of_last, :-1].any()
    assert (inputs[of_last, -1] == MASK).all()
    assert not (inputs[~of_last] == MASK).any()


def test_some_windows_are_cut_to_their_newest_items() -> None:
    windows = windows_of((20,), each=4000)
    task = replace(TASK, shortened_share=0.5)
    inputs, targets, *_ = masked(task, windows)
    seen = torch.where(targets != PADDING, targets, inputs)
    assert torch.equal(seen, torch.where(seen != PADDING, windows.items, PADDING))
    lengths = Counter(torch.count_nonzero(seen, dim=1).tolist())
    assert set(lengths) == set(range(2, 21))
    assert (seen[:, -1] != PADDING).all()
    assert lengths[20] == pytest.approx(2000 + 2000 / 19, abs=150)
    assert lengths[2] == pytest.approx(2000 / 19, abs=50)


class Watched(nn.Module):
    """An objective that keeps the inputs of its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.inputs: list[list[list[int]]] = []

    def forward(self, batch: ItemBatch) -> Loss:
        self.inputs.append(batch.inputs.tolist())
        return Loss(self.weight * 0, {})


def test_masks_follow_from_seed_step_and_rank() -> None:
    def inputs(*, number: int = 3, rank: int = 0, seed: int = 42) -> list[list[list[int]]]:
        objective = Watched()
        stepper = Stepper(
            process=Process(rank=rank, world=1, device=torch.device("cpu")),
            task=TASK,
            objective=objective,
            optimizer=torch.optim.SGD(objective.parameters(), lr=0.1),
            schedule=lambda _: 0.1,
            clip_norm=None,
            parts=1,
            bf16=False,
            seed=seed,
        )
        stepper.step(windows_of(), number=number, stop=Stop(late=False, signalled=False))
        return objective.inputs

    first = inputs()
    torch.rand(7)  # whatever was drawn before
    assert inputs() == first
    assert first not in (inputs(number=4), inputs(rank=1), inputs(seed=43))


@pytest.mark.parametrize("passes", [2, 5])
def test_an_epoch_has_each_copy_of_each_window_once(tmp_path: Path, windows: list[list[int]], passes: int) -> None:
    shard = open_shard(str(tmp_path / "data" / RUN_ID / "windows"), rank=0, world=1, cache=tmp_path / "cache")
    pooling = Pooling(pool_batches=2, seed=1, workers=1)
    source = Batches(shard=shard, user_hashes=None, width=MAX_LEN + 1, steps=4 * passes, rank=0, pooling=pooling, passes=passes)
    epochs = [list(source.epoch(number)) for number in (0, 1)]
    copies: Counter[tuple[int, ...]] = Counter()
    for batch in epochs[0]:
        assert batch.copies is not None
        assert len(set(batch.copies.tolist())) > 1
        copies.update((number, *row[row > 0].tolist()) for number, row in zip(batch.copies.tolist(), batch.items, strict=True))
    assert len(epochs[0]) == 4 * passes
    assert copies == Counter((number, *window) for number in range(passes) for window in windows)
    shown = [[batch.items.tolist() for batch in epoch] for epoch in epochs]
    assert shown[0] != shown[1]
    assert shown[0][:4] != shown[0][4:8]
    for skip in (1, 4, 6, 4 * passes):
        rest = list(source.epoch(1, skip=skip))
        assert [batch.items.tolist() for batch in rest] == shown[1][skip:]
        for one, other in zip(rest, epochs[1][skip:], strict=True):
            assert one.copies is not None
            assert other.copies is not None
            assert torch.equal(one.copies, other.copies)


def test_hits_are_the_targets_of_the_highest_score(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    hidden, matrix, targets = torch.randn(40, 4), torch.randn(8, 4), torch.randint(2, 8, (40,))
    weights = torch.rand(40)
    hits = [max(range(2, 8), key=lambda item, query=query: float(query @ matrix[item])) for query in hidden]  # type: ignore[misc]
    right = torch.tensor(hits) == targets
    assert 0 < int(right.sum()) < 40
    for chunk in (12, 10**6):
        monkeypatch.setattr("seqrec.training.objective.CHUNK_FLOATS", chunk)
        assert count_hits(Predictions(hidden, targets), matrix).item() == int(right.sum())
        assert count_hits(Predictions(hidden, targets, weights), matrix).item() == pytest.approx(weights[right].sum().item())


def test_a_tiny_bert4rec_predicts_the_next_item_and_exports(settings: Make, tmp_path: Path) -> None:
    """By chance the target is the first of the unseen items of 22 % of the users."""
    encoder = {**MASKED["encoder"], "dim": 16, "dropout": 0.0}
    cfg = settings(**{**MASKED, "encoder": encoder}, masking={"dupe_factor": 3}, max_epochs=8, patience=None)
    metrics = train(cfg)
    assert metrics["recall@1"] > 0.5
    state, records = checkpoint.load(checkpoint.find(cfg.model, "last")), read_records(cfg.model)
    assert state.step == 8 * 4 * 4  # epochs, passes, steps of a pass
    assert records[0]["train_accuracy"] + 0.1 < records[-1]["train_accuracy"] <= 1
    assert list(records[0])[3:5] == ["train_loss", "train_accuracy"]
    histories = [[2 + (start + step) % V for step in range(length)] for start, length in ((0, 12), (5, 3), (7, 8))]
    write(tmp_path / "data" / RUN_ID / "sequences", [{"items": pa.array(histories, INDICES)}])
    exported = export(cfg.model, data=cfg.data)
    assert versions.read_meta(exported.path)["parity"]["largest_relative_difference"] < 1e-4
    recommender = Recommender.load(cfg.model)
    hits = [recommender.recommend([f"i{(start + step) % V}" for step in range(6)], k=1)[0][0] for start in range(V)]
    assert sum(hit == f"i{(start + 6) % V}" for start, hit in enumerate(hits)) > V // 2


@pytest.mark.parametrize("loss", [{"name": "bce"}, {"name": "gbce", "t": 0.5}, {"name": "sampled_ce"}])
def test_each_loss_learns_masked_items(settings: Make, loss: dict[str, Any]) -> None:
    cfg = settings(**MASKED, masking={"dupe_factor": 2}, loss={**loss, "negatives": 4}, max_epochs=2)
    train(cfg)
    records = read_records(cfg.model)
    assert records[1]["train_loss"] < records[0]["train_loss"]
    assert checkpoint.load(checkpoint.find(cfg.model, "last")).meta["name"].startswith(f"bert4rec-{loss['name']}-")


@pytest.mark.parametrize(("mask_last", "passes", "last_copy"), [(True, 5, 4), (False, 4, None)])
def test_each_key_of_masking_reaches_the_task(
    settings: Make, tmp_path: Path, mask_last: bool, passes: int, last_copy: int | None
) -> None:
    keys = {"masked_lm_prob": 0.3, "mask_prob": 0.8, "max_predictions_per_seq": 7, "dupe_factor": 4, "short_seq_prob": 0.1}
    cfg = settings(**MASKED, masking={**keys, "mask_last": mask_last})
    data = open_training_data(cfg.data, tmp_path / "cache")
    plan = sequence_setup(cfg).architecture.plan(PlanInputs(data=data, users=0, bf16=False))
    assert plan.passes == passes
    assert plan.task == MaskedItems(
        vocab_size=V, masked_share=0.3, mask_share=0.8, most=7, shortened_share=0.1, last_copy=last_copy
    )
    assert plan.name == "bert4rec-ce-d8-l8"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"encoder": {"attention": "bidirectional"}}, r"encoder.attention=bidirectional shows .* set objective=masked_items"),
        ({"objective": "masked_items"}, r"which encoder.attention=causal hides: set encoder.attention=bidirectional"),
        ({"masking": {"mask_prob": 0.8}}, r"masking.mask_prob is of objective=masked_items, and objective=next_item masks"),
        ({**MASKED, "masking": {"masked_lm_prob": 0.0}}, "greater than 0"),
    ],
)
def test_attention_and_masking_fit_the_objective(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Train.model_validate({"data": "d", "model": "m", **keys})


def test_every_objective_has_its_name() -> None:
    assert set(OBJECTIVES) == set(get_args(Train.model_fields["objective"].annotation))
