"""Trainings that begin from a checkpoint: of the same vocabulary, or of one that grew since.

The tiny dataset has 12 items on a circle. The grown one has three more: `n0` stands where i5 did in the histories of new users,
`like` has no event, but the vector of i3, and nothing is known of `bare`.
"""

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.serving.exports import check_unlearned
from seqrec.settings.train import Train
from seqrec.storage import versions
from seqrec.storage.metadata import DatasetMeta, TrainedMeta
from seqrec.training import checkpoint, warm_start
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.new_rows import NEAR
from tests.metas import dataset_meta
from tests.training.conftest import INDICES, MAX_LEN, RUN_ID, V, train, write, write_dataset
from tests.training.test_item_vectors import CIRCLE, write_vectors

Make = Callable[..., Train]
NEW = ("n0", "like", "bare")
GROWN = "20260201T000000Z-0000"


def grow(folder: Path, *, windows: list[list[int]], ids: tuple[str, ...] = NEW) -> None:
    """The dataset's next version: more items, of which windows of other users have the first."""
    before, after = folder / RUN_ID, folder / GROWN
    shutil.copytree(before, after)
    items = pq.read_table(before / "items")
    more = {"item_id": list(ids), "item_idx": pa.array(range(V + 2, V + 2 + len(ids)), pa.int32())}
    counts = [sum(window.count(V + 2 + place) for window in windows) for place in range(len(ids))]
    shutil.rmtree(after / "items")
    table = pa.concat_tables([items, pa.table({**more, "count": pa.array(counts, pa.int64())})])
    write(after / "items", [dict(zip(table.column_names, table.columns, strict=True))])
    columns = {"items": pa.array(windows, INDICES), "length": pa.array(map(len, windows), pa.int32())}
    pq.write_table(
        pa.table({**columns, "user": pa.array(range(len(windows)), pa.int64())}), after / "windows" / "part-00004.parquet"
    )
    (after / "meta.json").write_text(json.dumps({**dataset_meta(GROWN, size=V + len(ids)), "max_len": MAX_LEN}))
    (folder / "CURRENT").write_text(GROWN + "\n")


N0 = V + 2
WINDOWS = [[2, 3, 4, N0, 6, 7], [4, N0, 6], [N0, N0, 9], [10, 11]]


@pytest.fixture
def before(settings: Make, tmp_path: Path) -> Train:
    """A model trained before its vocabulary grew."""
    cfg = settings(model=str(tmp_path / "before"))
    train(cfg)
    grow(tmp_path / "data", windows=WINDOWS)
    return cfg


def begun(monkeypatch: pytest.MonkeyPatch, cfg: Train) -> tuple[Encoder, torch.optim.Optimizer | None]:
    """The model, and the optimiser, with which a training begins; it ends before its first step."""
    taken: list[tuple[Encoder, torch.optim.Optimizer | None]] = []
    begin = warm_start.WarmStart.begin

    def stop(start: warm_start.WarmStart, model: Encoder, optimizer: torch.optim.Optimizer | None = None) -> None:
        begin(start, model, optimizer)
        taken.append((model, optimizer))
        raise InterruptedError

    monkeypatch.setattr(warm_start.WarmStart, "begin", stop)
    with pytest.raises(InterruptedError):
        train(cfg)
    monkeypatch.undo()
    return taken[0]


def best(cfg: Train) -> Checkpoint:
    return checkpoint.load(checkpoint.find(cfg.model, "best"))


def last(cfg: Train) -> Checkpoint:
    return checkpoint.load(checkpoint.find(cfg.model, "last"))


def item_matrix(cfg: Train, state: Checkpoint) -> torch.Tensor:
    return checkpoint.rebuild(state, path=cfg.model).item_matrix().detach()


def neighbours(matrix: torch.Tensor) -> list[list[int]]:
    """The old items in the order of their cosines to each of them."""
    rows = torch.nn.functional.normalize(matrix[FIRST_ITEM : FIRST_ITEM + V], dim=1)
    return (rows @ rows.T).argsort(dim=1, descending=True, stable=True).tolist()


@pytest.mark.parametrize(
    "encoder",
    [{}, {"output": "separate", "output_bias": True}, {"position": "rope", "head": "cosine"}, {"max_len": 5}],
)
def test_old_items_keep_their_rows_and_neighbours(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: dict[str, Any]
) -> None:
    """Right after the load, and so do all other weights, of which windows of 5 items need only the newest positions."""
    shape = settings().encoder.model_dump()
    old = settings(model=str(tmp_path / "before"), encoder={**shape, **encoder, "max_len": None})
    train(old)
    grow(tmp_path / "data", windows=WINDOWS)
    model, _ = begun(monkeypatch, settings(init=old.model, encoder={**shape, **encoder}, seed=7))
    matrix, former = model.item_matrix().detach(), item_matrix(old, best(old))
    assert len(matrix) == V + 2 + len(NEW)
    assert torch.equal(matrix[: V + 2], former)
    assert neighbours(matrix) == neighbours(former)
    weights = best(old).model
    for name, weight in model.state_dict().items():
        if "items" not in name and name != "head.bias":
            assert torch.equal(weight, weights[name][: len(weight)] if weight.dim() else weights[name]), name


def test_new_items_begin_as_the_mean_of_those_beside_them(
    settings: Make, before: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    model, _ = begun(monkeypatch, settings(init=before.model))
    matrix, former = model.item_matrix().detach(), item_matrix(before, best(before))
    beside = [
        item
        for window in WINDOWS
        for place, one in enumerate(window)
        for other, item in enumerate(window)
        if one == N0 and item != N0 and 0 < abs(place - other) <= NEAR
    ]
    np.testing.assert_allclose(matrix[N0], former[beside].mean(dim=0), rtol=1e-5, atol=1e-7)
    assert 0.005 < float(matrix[N0 + 1 :].std()) < 0.06, "drawn"
    assert (
        "12 items keep their rows; of 3 new, 0 begin as the mean of the most similar by vector, 1 of those beside" in caplog.text
    )
    assert "2 as drawn" in caplog.text


@pytest.mark.parametrize("use", ["project", "initialise"])
@pytest.mark.parametrize("had_vectors", [False, True])
def test_new_items_with_a_vector_begin_as_the_most_similar(
    settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str, had_vectors: bool
) -> None:
    """`like` is nobody's, so that its row is what its vector says of it; that of n0 is i5's."""
    ids, rows = [f"i{place}" for place in range(V)], CIRCLE.tolist()
    path = write_vectors(tmp_path / "v.parquet", [*ids, "n0", "like"], [*rows, rows[5], rows[3]])
    vectors = {"item_vectors": {"path": path, "use": use}}
    old = settings(model=str(tmp_path / "before"), **(vectors if had_vectors else {}), max_epochs=6)
    train(old)
    grow(tmp_path / "data", windows=WINDOWS)
    model, _ = begun(monkeypatch, settings(init=old.model, **vectors))
    matrix, former = model.eval().item_matrix().detach(), item_matrix(old, best(old))
    np.testing.assert_allclose(matrix[: V + 2], former, rtol=1e-4, atol=1e-5)
    assert neighbours(matrix) == neighbours(former)
    closest = torch.nn.functional.cosine_similarity(matrix[N0], matrix[FIRST_ITEM : FIRST_ITEM + V], dim=1)
    assert int(closest.argmax()) in (4, 5, 6)
    if use == "initialise" or had_vectors:
        like = torch.nn.functional.cosine_similarity(matrix[N0 + 1], matrix[FIRST_ITEM : FIRST_ITEM + V], dim=1)
        assert int(like.argmax()) in (2, 3, 4)


def test_the_start_is_the_first_best(settings: Make, before: Train, tmp_path: Path) -> None:
    """Its metrics are the first record; a training that only makes it worse keeps it."""
    (tmp_path / "data" / "CURRENT").write_text(RUN_ID + "\n")
    cfg = settings(init=before.model, optimizer={"lr": 5.0, "warmup_steps": 0}, max_epochs=2)
    metrics = train(cfg)
    records = read_records(cfg.model)
    assert [(record["step"], record["best"]) for record in records] == [(0, True), (4, False), (8, False)]
    assert "train_loss" not in records[0]
    assert metrics["ndcg@10"] == records[0]["ndcg@10"] == best(before).metrics["ndcg@10"]
    assert best(cfg).step == 0
    assert best(cfg).model["norm.weight"].equal(best(before).model["norm.weight"])
    assert last(cfg).meta["init"] == {
        "run_id": best(before).meta["run_id"],
        "name": best(before).meta["name"],
        "step": best(before).step,
        "weights_sha256": best(before).weights_sha256,
    }


def test_it_resumes_to_the_same_bits_without_the_checkpoint(settings: Make, before: Train, tmp_path: Path) -> None:
    keys = {"init": before.model, "optimizer": {"lr": 0.01, "warmup_steps": 2, "ema_decay": 0.9}}
    whole, parts = (settings(model=f"{tmp_path}/{name}", **keys) for name in ("one", "two"))
    train(whole)
    train(parts.model_copy(update={"max_steps": 6}))
    shutil.move(before.model, tmp_path / "away")
    train(parts)
    one, two = last(whole), last(parts)
    assert one.step == two.step == 12
    assert all(one.model[name].equal(two.model[name]) for name in one.model)
    with pytest.raises(UserError, match=r"init=.*before isn't there any more"):
        train(parts.model_copy(update={"resume": "same", "seed": 7}))
    assert last(parts).step == 12, "nothing was removed"


def test_another_start_is_another_training(settings: Make, before: Train, tmp_path: Path) -> None:
    cfg = settings(init=before.model, max_epochs=1)
    train(cfg)
    copied = tmp_path / "copied"
    shutil.copytree(before.model, copied)
    train(cfg.model_copy(update={"init": str(copied)}))
    for other in (None, f"{before.model}/checkpoints/last.pt" if best(before).step < last(before).step else None):
        with pytest.raises(UserError, match=r"holds a training with other settings \(init="):
            train(cfg.model_copy(update={"init": other}))


@pytest.mark.parametrize("key", ["init_optimizer", "item_vectors"])
def test_what_is_no_longer_set_is_another_training(settings: Make, tmp_path: Path, key: str) -> None:
    """Its key is in the fingerprint of the folder's checkpoint alone."""
    old = settings(model=str(tmp_path / "before"), max_epochs=1)
    train(old)
    vectors = write_vectors(tmp_path / "v.parquet", [f"i{place}" for place in range(V)], CIRCLE.tolist())
    keys = {"init_optimizer": "carried", "item_vectors": {"path": vectors, "use": "project"}}
    begins = {"init": f"{old.model}/checkpoints/last.pt", "max_epochs": 1}
    train(settings(**begins, **{key: keys[key]}))
    with pytest.raises(UserError, match=rf"holds a training with other settings \({key}=(carried|project \w+) there, None now\)"):
        train(settings(**begins))


def test_moments_are_carried(settings: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of old rows are as they were, those of new ones zeros; what was frozen, and a fresh optimiser, have none."""
    averaged = {"lr": 0.01, "warmup_steps": 2, "ema_decay": 0.9}
    old = settings(model=str(tmp_path / "before"), freeze=["positions"], optimizer=averaged)
    train(old)
    grow(tmp_path / "data", windows=WINDOWS)
    state = last(old)
    model, optimizer = begun(monkeypatch, settings(init=old.model, init_optimizer="carried"))
    assert optimizer is not None
    assert state.optimizer is not None
    assert state.trained is not None
    weights = {name: weight for name, weight in model.named_parameters() if name != "positions.weight"}
    names = [name for name in weights if weights[name].dim() > 1] + [name for name in weights if weights[name].dim() == 1]
    for number, name in enumerate(names):
        now, former = optimizer.state[weights[name]], state.optimizer["state"][number]
        assert now["step"] == former["step"] == 12
        assert torch.equal(now["exp_avg"][: len(former["exp_avg"])], former["exp_avg"]), name
        assert torch.equal(weights[name][: len(former["exp_avg"])], state.trained[name]), "the moments are of these"
    assert not optimizer.state[model.get_parameter("items.weight")]["exp_avg_sq"][V + 2 :].any()
    assert model.get_parameter("positions.weight") not in optimizer.state
    fresh = begun(monkeypatch, settings(init=old.model))[1]
    assert fresh is not None
    assert not fresh.state


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"init": "{before}/checkpoints/{best}", "init_optimizer": "carried"}, r"holds no optimiser, which stands in last\.pt"),
        ({"init_optimizer": "carried", "optimizer": {"name": "sgd"}}, r"optimizer\.name=adamw, and it is sgd now"),
        ({"encoder": {"dim": 16}}, r"the items of init are 8 wide, and encoder\.dim=16: set encoder\.dim=8"),
        ({"members": 2}, r"has members=1, and the new model members=2: set members=1"),
        ({"init": "{before}/nothing"}, r"init=.*/nothing: no such checkpoint; give a model's folder"),
        ({"init": "{before}/.."}, r"holds no checkpoints: give a model's folder"),
        ({"model": "{before}", "resume": False}, r"lies in model=.*before, whose checkpoints a new training removes"),
    ],
)
def test_what_cannot_begin_says_so(settings: Make, before: Train, keys: dict[str, Any], said: str) -> None:
    names = {"before": before.model, "best": Path(checkpoint.find(before.model, "best")).name}
    written = {key: value.format(**names) if isinstance(value, str) else value for key, value in keys.items()}
    files = sorted(Path(before.model).rglob("*"))
    with pytest.raises(UserError, match=said):
        train(settings(**{"init": before.model, **written}))
    assert sorted(Path(before.model).rglob("*")) == files


@pytest.mark.parametrize(
    ("encoder", "changed", "said"),
    [
        ({"dim": 16}, {}, r"the items of init are 8 wide, and encoder\.dim=16: set encoder\.dim=8"),
        ({}, {"blocks": 1}, r"last\.pt: its weights don't fit its arguments"),
    ],
)
def test_a_refused_start_leaves_the_model_before_it(
    settings: Make, before: Train, tmp_path: Path, encoder: dict[str, Any], changed: dict[str, Any], said: str
) -> None:
    """With resume=false its folder would be cleared."""
    train(settings(max_epochs=1))
    state = best(before)
    checkpoint.save(replace(state, arguments={**state.arguments, **changed}), str(tmp_path / "init"), "last.pt")
    files = {path: path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file()}
    shape = {**before.encoder.model_dump(), **encoder}
    with pytest.raises(UserError, match=said):
        train(settings(init=str(tmp_path / "init"), resume=False, encoder=shape))
    assert {path: path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file()} == files


def test_a_model_of_a_newer_dataset_is_refused(settings: Make, tmp_path: Path) -> None:
    """It may have learned what is held out here; one of an older dataset begins."""
    old, newer = (settings(model=str(tmp_path / name), max_epochs=1) for name in ("old", "newer"))
    train(old)
    write_dataset(tmp_path / "data", run_id=GROWN)
    train(newer.model_copy(update={"init": old.model}))
    with pytest.raises(UserError, match=rf"init=.*newer.* on the dataset {GROWN}, newer than {RUN_ID}: it may have learned what"):
        train(settings(init=newer.model, data=str(tmp_path / "data" / RUN_ID)))
    assert not (tmp_path / "model").exists()


def test_a_model_that_learned_what_is_held_out_here_is_warned_of(
    settings: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One of an older dataset that held out less: it has learned the last events of users who have no newer ones."""
    write_dataset(tmp_path / "data", run_id=GROWN)
    for run_id, events in ((RUN_ID, {"all": 9}), (GROWN, {"all": 9, "valid": 3, "test": 3})):
        path = str(tmp_path / "data" / run_id)
        versions.write_meta(path, versions.read_meta(path) | {"counts": {"events": events}})
    whole = settings(model=str(tmp_path / "whole"), max_epochs=1, data=str(tmp_path / "data" / RUN_ID))
    train(whole)
    with caplog.at_level("WARNING", logger="seqrec"):
        train(settings(init=whole.model, data=str(tmp_path / "data" / GROWN), max_epochs=1))
    assert f"held out 0 of each user's last events, and split=valid of {GROWN} needs 2" in caplog.text


@pytest.mark.parametrize(
    ("held_out", "split", "warned"), [(1, "valid", True), (1, "test", False), (2, "valid", False), (0, "test", True)]
)
def test_what_a_split_needs_depends_on_its_place(
    held_out: int, split: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a user's events the last is test, the last but one valid."""
    dataset = DatasetMeta.model_validate(dataset_meta(GROWN, size=V) | {"counts": {"events": {"valid": 3, "test": 3}}})
    about = {key: getattr(dataset, key) for key in ("id_types", "vocabulary")}
    trained = TrainedMeta(run_id=RUN_ID, name="m", dataset=RUN_ID, held_out=held_out, **about)
    with caplog.at_level("WARNING", logger="seqrec"):
        check_unlearned("the model m", trained, dataset, split=split)
    assert bool(caplog.messages) == warned


def test_a_vocabulary_that_is_no_extension_is_refused(settings: Make, before: Train, tmp_path: Path) -> None:
    (tmp_path / "data" / "CURRENT").write_text(RUN_ID + "\n")
    after = settings(model=str(tmp_path / "after"))
    grown = settings(init=before.model, model=str(tmp_path / "grown"), data=str(tmp_path / "data" / GROWN), max_epochs=1)
    train(grown)
    with pytest.raises(UserError, match=r"doesn't extend its 15 items: item 14 is 'n0' there and none: it has 12 items here"):
        train(after.model_copy(update={"init": grown.model}))
    table = pq.read_table(Path(before.model) / "vocabulary.parquet")
    ids = table["item_id"].to_pylist()
    ids[3] = "other"
    pq.write_table(table.set_column(0, "item_id", [ids]), Path(before.model) / "vocabulary.parquet")
    with pytest.raises(UserError, match=r"item 5 is 'other' there and 'i3' here: run build_sequences with vocabulary="):
        train(after.model_copy(update={"init": before.model}))
    alone = shutil.copy(checkpoint.find(before.model, "best"), tmp_path / "alone.pt")
    train(after.model_copy(update={"init": str(alone), "max_epochs": 1}))
    state = checkpoint.load(str(alone))
    foreign = replace(state, meta={**state.meta, "vocabulary": {"size": V, "hash": "other", "lineage": []}})
    checkpoint.save(foreign, str(tmp_path / "foreign"), "last.pt")
    with pytest.raises(UserError, match=r"its vocabulary of 12 items is none that .* grew from, and its model's vocabulary"):
        train(after.model_copy(update={"init": f"{tmp_path}/foreign", "model": f"{tmp_path}/x"}))


def test_what_does_not_fit_is_named(
    settings: Make, before: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    shape = {**before.encoder.model_dump(), "blocks": 1, "heads": 4, "ffn": 4, "output": "separate", "position": "rope"}
    model, _ = begun(monkeypatch, settings(init=before.model, encoder=shape))
    said = "\n".join(caplog.messages)
    assert "blocks.0.feed_forward.expand.weight (16 by 8 there, 32 by 8 here)" in said
    assert "head.items.weight (not there)" not in said
    assert "weights of init that have no place here: positions.weight, blocks.1.attention_norm.weight, " in said
    assert "heads=2 there, 4 here" in said
    assert "output=tied there, separate here" in said
    former = item_matrix(before, best(before))
    assert torch.equal(model.item_matrix()[: V + 2].detach(), former), "what was the output is the output"


def test_a_start_needs_settings(settings: Make) -> None:
    with pytest.raises(ValueError, match=r"init_optimizer=carried takes .* set init=MODEL too"):
        settings(init_optimizer="carried")
