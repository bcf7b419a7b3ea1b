"""A training starts, stops, goes on and refuses as its settings say."""

import dataclasses
import logging
import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from seqrec.errors import UserError
from seqrec.export.export_onnx import export
from seqrec.models.transformer import Transformer
from seqrec.ragged import Ragged
from seqrec.settings import sequence_shape
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.training import checkpoint, plan_transformer
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.objective import ItemObjective, Loss
from seqrec.training.precision import repeat_bits
from seqrec.training.tasks import ItemBatch
from seqrec.training.training_data import open_training_data
from seqrec.training.validation import validate
from tests.training.conftest import ALONE, INDICES, MAX_LEN, RUN_ID, V, lists, train, validation_users, write, write_dataset

Make = Callable[..., Train]


def last(settings: Train) -> Checkpoint:
    return checkpoint.load(checkpoint.find(settings.model, "last"))


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "ce"},
        {"name": "bce", "negatives": 4},
        {"name": "gbce", "negatives": 4, "t": 0.5},
        {"name": "sampled_ce", "negatives": 8, "sampling": "popularity"},
    ],
)
def test_every_loss_learns_the_circle(settings: Make, loss: dict[str, Any]) -> None:
    metrics = train(settings(loss=loss, max_epochs=40, patience=None, encoder={"dim": 16, "dropout": 0.0}))
    assert metrics["ndcg@10"] > 0.9


@pytest.mark.parametrize("optimizer", [{"name": "sgd", "lr": 0.1, "nesterov": True}, {"name": "adam", "schedule": "cosine"}])
def test_other_optimizers_lower_the_loss(settings: Make, optimizer: dict[str, Any]) -> None:
    cfg = settings(optimizer={"lr": 0.01, "warmup_steps": 2, "schedule": "constant", **optimizer}, max_epochs=12)
    train(cfg)
    records = read_records(cfg.model)
    assert records[-1]["train_loss"] < records[0]["train_loss"] - 0.1


def test_a_trained_model_is_only_validated(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    cfg = settings()
    train(cfg)
    before, records = last(cfg), read_records(cfg.model)
    train(cfg)
    assert equal(before.model, last(cfg).model)
    assert read_records(cfg.model) == records
    assert f"{records[-1]['ndcg@10']:.4f}" in caplog.messages[-1]


def test_a_differing_setting_is_named(settings: Make) -> None:
    cfg = settings()
    train(cfg)
    changed = settings(optimizer={"lr": 0.02, "warmup_steps": 2})
    with pytest.raises(UserError, match=r"optimizer.lr=0.01 there, 0.02 now.*resume=false"):
        train(changed)
    train(changed.model_copy(update={"resume": False, "max_epochs": 1}))
    assert last(cfg).step == 4


@pytest.mark.parametrize("older", [False, True])
def test_a_training_goes_on_to_more_steps_where_its_rates_stay_the_same(settings: Make, older: bool) -> None:
    """A warm-up of a twentieth: none up to 19 steps, one step up to 39. Older releases kept the number of all steps."""
    cfg = settings(optimizer={"warmup_steps": None, "schedule": "constant"}, max_steps=2, max_epochs=99)
    train(cfg)
    if older:
        state = last(cfg)
        fingerprint = {key: value for key, value in state.fingerprint.items() if key != "steps of the warm-up"}
        checkpoint.save(replace(state, fingerprint=fingerprint | {"steps of the constant schedule": 2}), cfg.model, "last.pt")
    with pytest.raises(UserError, match=r"other settings \(steps of the warm-up=0 there, 1 now\)"):
        train(cfg.model_copy(update={"max_steps": 20}))
    train(cfg.model_copy(update={"max_steps": 3}))
    assert last(cfg).step == 3


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_a_schedule_that_ends_has_as_many_steps(settings: Make, schedule: str) -> None:
    cfg = settings(optimizer={"warmup_steps": None, "schedule": schedule}, max_epochs=1)
    train(cfg)
    with pytest.raises(UserError, match=rf"steps of the {schedule} schedule=4 there, 8 now"):
        train(cfg.model_copy(update={"max_epochs": 2}))


@pytest.mark.parametrize(("few", "dim", "heads"), [(10_000, 256, 8), (10, 128, 4)])
def test_the_width_goes_by_the_number_of_events(
    settings: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, few: int, dim: int, heads: int
) -> None:
    monkeypatch.setattr(sequence_shape, "FEW_EVENTS", few)
    caplog.set_level(logging.INFO, logger="seqrec")
    shape = {"blocks": 1, "ffn": 1, "dropout": 0.1}
    train(settings(encoder={**shape, "dim": None, "heads": None}, max_steps=1))
    arguments, name = last(settings()).arguments, last(settings()).meta["name"]
    assert (arguments["dim"], arguments["heads"]) == (dim, heads)
    assert name.startswith(f"sasrec-ce-d{dim}-l{MAX_LEN}-b1-ffn1-do0.1-")
    assert f"encoder.dim={dim}, for " in caplog.text
    train(settings(encoder={**shape, "dim": dim, "heads": heads}, max_steps=2))
    assert last(settings()).step == 2
    with pytest.raises(UserError, match=rf"encoder.dim={dim} there, 64 now"):
        train(settings(encoder={**shape, "dim": 64, "heads": heads}, max_steps=3))


def test_another_version_of_the_data_is_named(settings: Make, tmp_path: Path) -> None:
    cfg = settings()
    train(cfg)
    write_dataset(tmp_path / "data", run_id="20260102T000000Z-0000")
    with pytest.raises(
        UserError, match=f"was trained on version {RUN_ID} of the dataset, .* now 20260102T000000Z-0000: resume=false"
    ):
        train(cfg)


def test_resume_same_goes_on_with_the_same_training_and_starts_another_over(
    settings: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = settings(resume="same", max_epochs=1)
    train(cfg)
    train(settings(resume="same", max_epochs=2))
    assert last(cfg).step == 8
    assert "training anew" not in caplog.text
    write_dataset(tmp_path / "data", run_id="20260102T000000Z-0000")
    train(cfg)
    assert (last(cfg).step, last(cfg).meta["dataset"]) == (4, "20260102T000000Z-0000")
    assert f"was trained on version {RUN_ID} of the dataset" in caplog.text
    train(settings(resume="same", max_epochs=1, seed=7))
    assert caplog.text.count("training anew") == 2
    assert "holds a training with other settings (seed=" in caplog.text


def test_the_best_checkpoint_is_the_best_of_all_epochs(settings: Make) -> None:
    cfg = settings(max_epochs=8, optimizer={"lr": 0.05, "warmup_steps": 0})
    metrics = train(cfg)
    records = read_records(cfg.model)
    best = max(records, key=lambda record: record["ndcg@10"])
    path = checkpoint.find(cfg.model, "best")
    assert path.endswith(checkpoint.best_name(int(best["step"]), "ndcg@10", best["ndcg@10"]))
    assert checkpoint.load(path).step == best["step"]
    assert metrics["ndcg@10"] == best["ndcg@10"]
    assert len(list((Path(cfg.model) / "checkpoints").glob("best*"))) == 1


def test_patience_ends_a_training_that_no_longer_improves(settings: Make) -> None:
    cfg = settings(max_epochs=50, patience=2, optimizer={"lr": 1e-9, "warmup_steps": 0})
    train(cfg)
    assert last(cfg).epoch == 3


def test_time_and_steps_limit_a_run(settings: Make) -> None:
    cfg = settings(max_minutes=1e-9)
    train(cfg)
    assert last(cfg).step == 1
    train(settings(max_steps=6))
    assert last(cfg).step == 6


def test_validation_every_so_many_steps(settings: Make) -> None:
    cfg = settings(validate_every=5)
    train(cfg)
    assert [record["step"] for record in read_records(cfg.model)] == [5, 10]


@pytest.mark.parametrize("several", [False, True])
def test_validation_against_a_double_loop(settings: Make, tmp_path: Path, several: bool) -> None:
    """With several targets, some were had before, and a user has another number of them than the next."""
    torch.manual_seed(0)
    model = Transformer(vocab_size=V, max_len=MAX_LEN, dim=8, blocks=1, heads=1, ffn=1, dropout=0.0)
    users = validation_users(tmp_path / "data")
    if several:
        draw = np.random.default_rng(2)
        more = [draw.choice(np.arange(2, V + 2), draw.integers(1, 6), replace=False).tolist() for _ in range(len(users.targets))]
        users = replace(users, targets=Ragged.of(more))
    actual = validate(model, users, batch_size=7, bf16=False, process=ALONE)
    model.eval()
    matrix, gains, losses = model.item_matrix().detach().numpy(), [], []
    recalls: dict[int, list[float]] = {1: [], 10: []}
    for items, seen, targets in zip(lists(users.items), lists(users.seen), lists(users.targets), strict=True):
        query = model.query(torch.tensor([items[-MAX_LEN:]]))[0].detach().numpy()
        scores = {item: float(query @ matrix[item]) for item in range(2, V + 2)}
        total = math.log(sum(math.exp(score) for score in scores.values()))
        losses.append(np.mean([total - scores[target] for target in targets]))
        listed = sorted((item for item in scores if item in targets or item not in seen), key=lambda item: -scores[item])
        for cutoff, of_users in recalls.items():
            of_users.append(sum(item in targets for item in listed[:cutoff]) / len(targets))
        gain = sum(1 / math.log2(1 + rank) for rank, item in enumerate(listed[:10], start=1) if item in targets)
        gains.append(gain / sum(1 / math.log2(1 + rank) for rank in range(1, len(targets) + 1)))
    assert actual["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert actual["recall@1"] == pytest.approx(np.mean(recalls[1]))
    assert actual["recall@10"] == pytest.approx(np.mean(recalls[10]))
    assert actual["ndcg@10"] == pytest.approx(np.mean(gains))


def test_ties_count_against_the_target(settings: Make, tmp_path: Path) -> None:
    model = Transformer(vocab_size=V, max_len=MAX_LEN, dim=8, blocks=1, heads=1, ffn=1, dropout=0.0)
    torch.nn.init.zeros_(model.items.weight)
    assert validate(model, validation_users(tmp_path / "data"), batch_size=7, bf16=False, process=ALONE)["recall@1"] == 0.0


def test_a_sample_of_users_is_seeded(tmp_path: Path, windows: list[list[int]]) -> None:
    samples = [validation_users(tmp_path / "data", users=9, seed=seed) for seed in (1, 1, 2)]
    rows = [lists(sample.seen) for sample in samples]
    assert rows[0] == rows[1] != rows[2]
    assert len(rows[0]) == 9


def test_a_training_that_cannot_fit_is_refused(settings: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs about .* GiB, 0.0 GiB are free.*batch_size.*\.max_len .now 8.; or set memory_gb"):
        train(settings(memory_gb=0.001))
    assert not (tmp_path / "model").exists()


def test_a_model_that_sees_more_than_the_windows_have_is_refused(settings: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"encoder.max_len=9 is above the max_len of 8 of .*run build_sequences with max_len=9"):
        train(settings(encoder={"dim": 8, "heads": 2, "ffn": 2, "max_len": 9}))
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_that_is_none_is_refused(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_epochs=1)
    train(cfg)
    (tmp_path / "model" / "checkpoints" / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match=r"last.pt is not a checkpoint"):
        train(cfg)


def test_the_last_checkpoint_stands_for_the_best_without_validation(settings: Make, tmp_path: Path) -> None:
    meta = tmp_path / "data" / RUN_ID / "meta.json"
    meta.write_text(meta.read_text().replace("train_val_test", "inference"))
    cfg = settings(max_epochs=2)
    assert train(cfg) == {}
    assert checkpoint.find(cfg.model, "best") == checkpoint.find(cfg.model, "last")
    assert [record["step"] for record in read_records(cfg.model)] == [4, 8]


def test_no_checkpoint_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no last checkpoint .it holds: nothing"):
        checkpoint.find(str(tmp_path), "last")


def test_vocabulary_and_metadata_lie_beside_the_weights(settings: Make, tmp_path: Path) -> None:
    cfg = settings(max_epochs=1)
    train(cfg)
    content = checkpoint.load(checkpoint.find(cfg.model, "best"))
    assert re.fullmatch(r"sasrec-ce-d8-l8-ffn2-do0.1-lr0.01-warm2-constant-bs16-pool2-[0-9a-f]{8}", content.meta["name"])
    assert content.meta["parameters"] == sum(weights.numel() for weights in content.model.values())
    assert content.meta["dataset"] == RUN_ID
    Transformer(**content.arguments).load_state_dict(content.model)
    assert open_training_data(cfg.data, tmp_path).items.num_rows == V
    assert (tmp_path / "model" / "vocabulary.parquet").exists()


def test_parts_of_a_step_make_the_step_of_one_large_batch(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout, full softmax: windows of other lengths, so that parts have other numbers of positions."""
    sizes: list[int] = []

    class Measured(ItemObjective):
        def forward(self, batch: ItemBatch) -> Loss:
            sizes.append(len(batch.inputs))
            return super().forward(batch)

    monkeypatch.setattr(plan_transformer, "ItemObjective", Measured)
    optimizer = {"name": "sgd", "lr": 0.1, "clip_norm": 0.05, "warmup_steps": 0}
    plain = {"encoder": {"dim": 8, "heads": 2, "ffn": 2, "dropout": 0.0}, "optimizer": optimizer}
    large = settings(model=str(tmp_path / "large"), batch_size=15, **plain)
    parts = settings(model=str(tmp_path / "parts"), batch_size=3, accumulate_steps=5, **plain)
    train(large)
    whole = sizes[:]
    sizes.clear()
    train(parts)
    assert last(parts).step == last(large).step == len(whole) == 12
    assert len(sizes) == 5 * 12
    assert max(sizes) == -(-max(whole) // 5)
    for name, weight in last(large).model.items():
        torch.testing.assert_close(last(parts).model[name], weight, rtol=1e-3, atol=1e-5)
    for one, other in zip(read_records(parts.model), read_records(large.model), strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    with pytest.raises(UserError, match=r"batch_size=3 there, 15 now; accumulate_steps=5 there, 1 now"):
        train(large.model_copy(update={"model": parts.model}))


def test_training_without_validation(settings: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="seqrec")
    cfg = settings(max_epochs=2, validate=False, patience=1)
    assert train(cfg) == {}
    assert checkpoint.find(cfg.model, "best") == checkpoint.find(cfg.model, "last")
    assert [set(record) for record in read_records(cfg.model)] == [
        {"epoch", "step", "seconds", "train_loss", "lr", "tokens_per_second"}
    ] * 2
    assert "validate=false: the training ends by max_epochs" in caplog.text
    weights, whole = last(cfg).model, settings(max_epochs=2, resume=False)
    train(whole)
    assert equal(weights, last(whole).model)
    with pytest.raises(UserError, match=r"\(validate=True there, False now\)"):
        train(cfg)


def test_bits_repeat_on_a_gpu_where_that_is_asked_for(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level("INFO", logger="seqrec")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    repeat_bits(False, torch.device("cpu"))
    assert caplog.text == ""
    repeat_bits(True, torch.device("cpu"))
    assert "deterministic=true changes nothing on a CPU" in caplog.text
    assert not torch.are_deterministic_algorithms_enabled()
    try:
        repeat_bits(True, torch.device("cuda"))
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        repeat_bits(False, torch.device("cuda"))
    assert not torch.are_deterministic_algorithms_enabled()


def without(settings: Train, *keys: str) -> None:
    """Make the last checkpoint one of a trainer that didn't have these settings."""
    state = last(settings)
    for key in keys:
        del state.fingerprint[key]
    checkpoint.save(state, settings.model, checkpoint.LAST)


def test_the_average_of_the_weights_is_saved_and_gone_on_with(settings: Make, tmp_path: Path) -> None:
    """The best checkpoint holds the average after its step, by its formula; a stopped training ends as one that never stopped."""
    recipe = {"optimizer": {"lr": 0.01, "warmup_steps": 2, "schedule": "constant", "ema_decay": 0.3}, "checkpoint_every": 1}
    cut = {"windows": {"overlap": 1, "shift": 2}, "encoder": {"dim": 8, "heads": 2, "ffn": 2, "max_len": 3}}
    whole, parts = (settings(model=str(tmp_path / name), max_steps=3, **recipe, **cut) for name in ("whole", "parts"))
    train(whole)
    torch.manual_seed(whole.seed)
    average = dict(Transformer(**last(whole).arguments).state_dict())
    for step in (1, 2, 3):
        train(parts.model_copy(update={"max_steps": step}))
        state = last(parts)
        assert state.trained is not None
        decay = min(0.3, (1 + step) / (10 + step))
        average = {name: decay * before + (1 - decay) * state.trained[name] for name, before in average.items()}
        for name, weight in state.model.items():
            torch.testing.assert_close(weight, average[name])
    assert state.arguments["max_len"] == 3
    for name, weight in last(whole).model.items():
        assert torch.equal(weight, state.model[name])


def test_a_checkpoint_whose_architecture_had_another_name_is_gone_on_with(settings: Make) -> None:
    early = settings(max_epochs=1)
    train(early)
    state = last(early)
    fingerprint = {**state.fingerprint, "architecture": "sasrec"}
    checkpoint.save(dataclasses.replace(state, architecture="sasrec", fingerprint=fingerprint), early.model, checkpoint.LAST)
    train(settings(max_epochs=2))
    assert (last(early).step, last(early).architecture) == (8, "transformer")


def test_a_checkpoint_from_before_a_setting_existed_is_gone_on_with(settings: Make) -> None:
    """A setting that it doesn't say had what is today's default."""
    early = settings(max_epochs=1)
    train(early)
    without(early, "architecture", "loss.log_q", "loss.power", "optimizer.beta1", "valid_users")
    train(settings(max_epochs=2))
    assert last(early).step == 8
    without(early, "optimizer.beta1")
    with pytest.raises(UserError, match=r"\(optimizer.beta1=0.9 there, 0.5 now\)"):
        train(settings(optimizer={"lr": 0.01, "warmup_steps": 2, "schedule": "constant", "beta1": 0.5}))


@pytest.mark.parametrize(
    ("loss", "keys", "said"),
    [
        ({"name": "sampled_ce", "negatives": 4}, ["loss.log_q"], r"\(loss.log_q=False there, True now\)"),
        ({"name": "sampled_ce", "negatives": 4, "sampling": "popularity"}, ["loss.log_q"], None),
        ({"name": "sampled_ce", "negatives": 4, "log_q": False}, ["loss.log_q"], None),
        ({"name": "gbce", "negatives": 4}, ["loss.terms", "loss.log_q"], r"\(loss.terms=sum there, mean now\)"),
        ({"name": "bce", "negatives": 4}, ["loss.terms", "loss.log_q"], r"\(loss.terms=sum there, mean now\)"),
    ],
)
def test_a_checkpoint_of_a_loss_that_was_computed_otherwise_is_refused(
    settings: Make, loss: dict[str, Any], keys: list[str], said: str | None
) -> None:
    cfg = settings(loss=loss, max_epochs=1)
    train(cfg)
    without(cfg, *keys)
    if said is None:
        train(settings(loss=loss, max_epochs=2))
        assert last(cfg).step == 8
    else:
        with pytest.raises(UserError, match=said):
            train(settings(loss=loss, max_epochs=2))


@pytest.mark.parametrize("dropout", [0.001, 0.99])
def test_dropout_may_be_next_to_nothing_or_all(settings: Make, dropout: float) -> None:
    assert math.isfinite(train(settings(max_epochs=1, encoder={"dim": 8, "dropout": dropout}))["loss"])


def test_bf16_trains_and_exports(settings: Make, tmp_path: Path) -> None:
    """Products in bf16, weights in fp32: other weights than fp32's, near them, and a model that is exported as any other."""
    exact, near = (settings(precision=kind, model=str(tmp_path / kind), max_epochs=2) for kind in ("fp32", "bf16"))
    losses = [train(cfg)["loss"] for cfg in (exact, near)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    assert all(weight.dtype == torch.float32 for weight in last(near).model.values())
    with pytest.raises(UserError, match="bf16=True there, False now"):
        train(near.model_copy(update={"precision": "fp32"}))
    lists = pa.array([[2, 3, 4], [5]], INDICES)
    write(tmp_path / "data" / RUN_ID / "sequences", [{"user_id": pa.array([1, 2]), "items": lists, "seen": lists}])
    exported = versions.read_meta(export(near.model, data=near.data).path)
    assert exported["parity"]["largest_relative_difference"] < 1e-4
