"""Two towers over features that a test writes: what is read, what is learned, interruptions, new users and items, bad input."""

import copy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.export.restore import read_checkpoint
from seqrec.models.two_towers import TwoTowers
from seqrec.rankers import encoded_rows, samples
from seqrec.ranking.feature_tables import past_items
from seqrec.scoring.described_users import SEEN
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.tower_lists import TowerScoring, described_users, read_past
from seqrec.serving.exports import locate
from seqrec.serving.towers import Towers
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.tables.datasets import open_dataset
from seqrec.towers.matching_inputs import read_tower_catalogue
from seqrec.towers.tower_batches import TowerBatch, tower_batches, write_tower_rows
from seqrec.towers.tower_export import export_towers
from seqrec.towers.tower_setup import TowerSetup, plan_towers
from seqrec.towers.tower_training import train_towers
from seqrec.towers.tower_validation import measure_towers, validation_events
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from seqrec.training.fingerprint import OtherTrainingError, require_same
from seqrec.training.processes import Process
from seqrec.training.train import _load_state
from tests.towers.toy import (
    NEW_ITEM,
    NEW_USER,
    SCHEMA,
    USERS,
    described_user,
    events_of,
    low_rated,
    matching_rows,
    past_of,
    write_features,
)

ALONE = Process(rank=0, world=1, device=torch.device("cpu"))
SMALL: dict[str, Any] = {
    "embedding_size": 8,
    "hidden_units": [16],
    "batch_size": 48,
    "max_epochs": 2,
    "patience": None,
    "temperature": 0.2,
    "optimizer": {"lr": 0.01, "warmup_steps": 2},
}


def settings(root: Path, model: Path, **changed: Any) -> TrainTwoTower:
    """Settings of a job on the features below a folder; `features` are changes of SMALL."""
    features = {**SMALL, "path": str(root / "features"), **changed.pop("features", {})}
    features["optimizer"] = {**SMALL["optimizer"], **features["optimizer"]}
    fixed = {"data": str(root / "dataset"), "model": str(model), "output": str(model / "lists"), "towers": "features"}
    usual = {"precision": "fp32", "encoder": {"dim": 8}, "metric": "recall@10", "tensorboard": False, "plots": False}
    stores = {"mongodb_uri": "none", "milvus_uri": "none"}
    cfg = TrainTwoTower.model_validate({**fixed, **usual, "features": features, "stores": stores, **changed})
    return cfg.model_copy(update={"data": str(root / "dataset" / "20260101T000000Z-0001")})


def train(cfg: TrainTwoTower, which: str = "last") -> dict[str, torch.Tensor]:
    """Train, and the weights of a checkpoint."""
    train_towers(plan_towers(cfg))
    return checkpoint.load(checkpoint.find(cfg.model, which), keys=("model",)).model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and its features."""
    path = tmp_path_factory.mktemp("towers")
    write_features(path)
    return path


@pytest.fixture(scope="module")
def usual(root: Path) -> dict[str, torch.Tensor]:
    """The weights that the settings give without any change."""
    return train(settings(root, root / "usual"))


def batches_of(setup: TowerSetup, folder: Path, *, steps: int, epoch: int = 0, skip: int = 0) -> list[TowerBatch]:
    rows = write_tower_rows(setup.inputs, setup.survey, ALONE, folder)
    return list(tower_batches(rows, steps=steps, rank=0, pool_batches=2, workers=1, seed=5).epoch(epoch, skip=skip))


def test_each_batch_has_its_share_of_positives_and_negatives(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoded_rows, "GROUP_ROWS", 32)
    setup = plan_towers(settings(root, tmp_path))
    assert (setup.survey.positives, setup.survey.negatives) == (6 * USERS, 12 * USERS)
    batches = batches_of(setup, tmp_path, steps=5)
    assert [(len(batch.users), len(batch.items), batch.losses) for batch in batches] == [(48, 144, 48.0)] * 5
    names = [feature.name for feature in setup.survey.users.features]
    ids = setup.survey.users.columns[0].categories
    assert names[0] == "user_id"
    assert ids is not None
    categories = setup.survey.item_numbers.categories
    assert categories is not None
    pairs = sorted(
        (ids[int(user) - 1].as_py(), categories[int(number) - 1].as_py())
        for batch in batches
        for user, number in zip(batch.users[:, 0], batch.numbers, strict=False)
    )
    assert pairs == sorted((user, item) for user in range(1, USERS + 1) for item in events_of(user)[:6])
    item_id = [feature.name for feature in setup.survey.items.features].index("item_id")
    for batch in batches:
        assert torch.equal(batch.items[:, item_id].long(), batch.numbers), "all items have a number, in the same order"
    rest = batches_of(setup, tmp_path, steps=5, skip=3)
    assert len(rest) == 2
    for ours, theirs in zip(rest, batches[3:], strict=True):
        assert all(torch.equal(part.nan_to_num(-1), other.nan_to_num(-1)) for part, other in zip(ours, theirs, strict=True))


def test_processes_share_the_rows_of_each_label(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of uneven numbers of a label: each row is in one process, and the processes have as many."""
    monkeypatch.setattr(samples, "BATCH_ROWS", 7)
    setup = plan_towers(settings(root, tmp_path))
    found = []
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        process = Process(rank=rank, world=2, device=torch.device("cpu"))
        found.append(write_tower_rows(setup.inputs, setup.survey, process, tmp_path / str(rank)))
    assert [(rows.positives.rows, rows.negatives.rows) for rows in found] == [(120, 240)] * 2
    pairs = [tuple(row.values())[:2] for rows in found for row in pq.read_table(rows.positives.path).to_pylist()]
    assert len(set(pairs)) == len(pairs) == 240, "number and user"


def test_an_item_without_features_is_known_by_its_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_features(tmp_path, lacking=3)
    setup = plan_towers(settings(tmp_path, tmp_path / "model"))
    for new_items, ids in ((True, list(range(1, NEW_ITEM + 1))), (False, list(range(1, NEW_ITEM)))):
        catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=new_items, cache=tmp_path)
        assert catalogue.rows["item_id"].to_pylist() == catalogue.ids["item_id"].to_pylist() == ids
        assert (catalogue.rows["genre"][2].as_py(), catalogue.rows["genre"][3].as_py()) == (None, "Crime")
        assert catalogue.known == 20
    assert "lacks 1 item of the dataset: the id alone is known of them" in caplog.text


def test_log_q_is_the_log_of_an_items_share_of_the_training_rows(root: Path, tmp_path: Path) -> None:
    survey = plan_towers(settings(root, tmp_path)).survey
    trained = [row["item_id"] for row in matching_rows() if row["split"] == "train"]
    categories = survey.item_numbers.categories
    assert categories is not None
    shares = {item: trained.count(item) / len(trained) for item in set(trained)}
    assert np.exp(survey.log_q[1:]) == pytest.approx([shares[item] for item in categories.to_pylist()], rel=1e-5)


def test_ranks_are_those_of_a_naive_loop(root: Path, tmp_path: Path) -> None:
    """Of each valid event, among all items that the user hasn't had before, also in ratings that are no events."""
    setup = plan_towers(settings(root, tmp_path))
    catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=True, cache=tmp_path)
    torch.manual_seed(2)
    towers = TwoTowers(**setup.arguments).eval()
    events = validation_events(setup.survey, catalogue, ALONE)
    measured = measure_towers(towers, events, process=ALONE)
    items = towers.items(torch.from_numpy(setup.survey.items.encode(catalogue.rows))).detach().numpy()
    ids = catalogue.ids["item_id"].to_pylist()
    hits = []
    for row in setup.survey.held_out.rows.to_pylist():
        user = pa.Table.from_pylist([row], schema=setup.survey.held_out.rows.schema)
        scores = items @ towers.users(torch.from_numpy(setup.survey.users.encode(user))).detach().numpy()[0]
        had = {*events_of(row["user_id"])[:6], low_rated(row["user_id"])} - {row["item_id"]}
        own = scores[ids.index(row["item_id"])]
        hits.append(sum(score >= own for item, score in zip(ids, scores, strict=True) if item not in had) <= 10)
    assert len(hits) == USERS
    assert measured["recall@10"] == pytest.approx(np.mean(hits))


def test_towers_learn_and_serve_new_users_and_items(root: Path, tmp_path: Path) -> None:
    cfg = settings(root, tmp_path / "model", features={"max_epochs": 12, "unknown_share": 0.3})
    setup = plan_towers(cfg)
    assert train_towers(setup).metrics["recall@10"] > 0.9, "of 21 items, of which 10 are of the user's genre"
    exported = export_towers(setup, keep=2)
    meta = exported.meta
    assert max(meta.parity["users_difference"], meta.parity["items_difference"]) < 1e-5
    assert (meta.parity["users"], meta.parity["items"]) == (USERS + 1, 21)
    assert str(meta.checkpoint["file"]).startswith("best_step")
    assert meta.counts == {"items": 21, "new_items": 1, "withheld": 0}
    for name in ("user_tower.onnx", "item_tower.onnx"):
        session = onnxruntime.InferenceSession(f"{exported.path}/{name}")
        assert [(value.name, value.shape[0]) for value in session.get_inputs()] == [("features", "rows")]
    table = pq.read_table(Path(exported.path) / "item_embeddings").to_pydict()
    assert (table["item_id"], table["item_idx"]) == (list(range(1, 22)), list(range(2, 23)))
    towers = Towers.open(str(tmp_path / "model"))
    assert np.allclose(towers.matrix[2:], np.array(table["embedding"], np.float32))
    someone = {**described_user(999, [2, 4, 6]), "group": "A"}
    rows = pa.Table.from_pylist([someone, described_user(NEW_USER, [])], schema=setup.survey.held_out.rows.schema.remove(0))
    lists = towers.recommend(towers.users.vectors(rows.append_column("user_id", pa.array([999, NEW_USER]))), 5)
    assert [item % 2 for item, _ in lists[0]] == [0] * 5, "by the group and the history of a new user"
    first = [item for item, _ in lists[0]]
    without = towers.recommend(towers.users.vectors(rows.append_column("user_id", pa.array([999, 41]))), 3, had=[first[:2], [77]])
    assert [item for item, _ in without[0]] == first[2:], "and an unknown id is no error"
    scores = [score for _, score in lists[0]]
    assert scores == sorted(scores, reverse=True)
    nearest = np.argsort(-(towers.matrix[2:] @ towers.matrix[NEW_ITEM + 1]))[1:4] + 1
    assert [item % 2 for item in nearest.tolist()] == [NEW_ITEM % 2] * 3, "by the genre of a new item"
    with pytest.raises(UserError, match="holds two towers over features, which read no histories"):
        locate(str(tmp_path / "model"))
    with pytest.raises(UserError, match="is of the architecture 'feature_towers', which reads no histories"):
        read_checkpoint(str(tmp_path / "model"), "best")
    resumed = plan_towers(cfg)
    train_towers(resumed)
    assert export_towers(resumed, keep=2).meta.weights_sha256 == meta.weights_sha256


FEATURE_KEYS: list[dict[str, Any]] = [
    {"user_columns": ["user_id"]},
    {"item_columns": ["item_id"]},
    {"max_categories": 2},
    {"embedding_size": 4},
    {"hidden_units": []},
    {"dropout": 0.5},
    {"unknown_share": 0.5},
    {"temperature": 0.3},
    {"log_q": False},
    {"batch_size": 24},
    {"pool_batches": 1},
    {"max_epochs": 1},
    {"optimizer": {"name": "sgd"}},
    {"optimizer": {"lr": 0.02}},
    {"optimizer": {"ema_decay": 0.5}},
]
KEYS: list[dict[str, Any]] = [
    {"encoder": {"dim": 6}},
    {"seed": 7},
    {"precision": "bf16"},
    *({"features": changed} for changed in FEATURE_KEYS),
]


@pytest.mark.parametrize("changed", KEYS, ids=str)
def test_each_key_changes_what_is_learned(
    root: Path, usual: dict[str, torch.Tensor], tmp_path: Path, changed: dict[str, Any]
) -> None:
    weights = train(settings(root, tmp_path, **copy.deepcopy(changed)))
    same = weights.keys() == usual.keys() and all(
        weight.shape == usual[name].shape and torch.equal(weight, usual[name]) for name, weight in weights.items()
    )
    assert not same


def test_numbers_are_placed_among_the_quantiles_of_the_training_rows(usual: dict[str, torch.Tensor]) -> None:
    ages = sorted(row["age"] for row in matching_rows() if row["split"] == "train" and row["label"] and row["age"])
    age, *shares = usual["users.quantiles.boundaries"]
    assert age.tolist() == [ages[int(step * len(ages) / 64)] for step in range(1, 64)]
    assert [(boundaries.min(), boundaries.max()) for boundaries in shares] == [(0, 1)] * 2
    assert usual["items.quantiles.boundaries"].min() > 1990


def test_an_interrupted_training_ends_at_the_same_weights(root: Path, usual: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Stopped within an epoch, after a validation there, and once more at its end; dropout is drawn again as before."""
    features = {"validate_every": 3, "max_epochs": 2}
    whole = train(settings(root, tmp_path / "whole", features=features))
    for steps in (4, 6, None):
        parts = train(settings(root, tmp_path / "parts", features=features, max_steps=steps))
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())
    assert all(torch.equal(usual[name], weight) for name, weight in whole.items()), "a validation changes nothing"
    assert [record["step"] for record in read_records(str(tmp_path / "parts"))] == [3, 6, 9]


def test_another_training_in_the_folder_is_refused_or_dropped(root: Path, tmp_path: Path) -> None:
    train(settings(root, tmp_path))
    other = {"features": {"embedding_size": 4}}
    with pytest.raises(UserError, match=r"holds a training with other settings \(features.embedding_size=8 there, 4 now\)"):
        train(settings(root, tmp_path, **copy.deepcopy(other)))
    for resume in ("same", False):
        weights = train(settings(root, tmp_path, resume=resume, **copy.deepcopy(other)))
        assert weights["users.embeddings.0.weight"].shape[1] == 4


HISTORY = "has features with history=full, the lists have history=test: run build_features history=test"
NO_AGE = "features.user_columns: .* has no feature 'agee' of these; its features are user_id"
NO_LISTS = [{**row, "recent_items": []} for row in matching_rows()]
NO_POSITIVE = [row for row in matching_rows() if row["label"] == 0 or row["split"] == "valid"]
OTHER_SCHEMA = {name: value for name, value in SCHEMA.items() if name != "matching_samples"}


@pytest.mark.parametrize(
    ("written", "changed", "said"),
    [
        ({}, {"history": "test"}, HISTORY),
        ({"dataset": "20260101T000000Z-0002"}, {}, "has features of dataset 20260101T000000Z-0002, not 20260101T000000Z-0001"),
        ({}, {"features": {"user_columns": ["agee"]}}, NO_AGE),
        ({}, {"features": {"item_columns": ["age"]}}, "features.item_columns: .* has no feature 'age' of these"),
        ({}, {"features": {"item_columns": []}}, "features.item_columns: no column is left"),
        ({}, {"features": {"item_columns": ["genre", "genre"]}}, "column genre is named twice"),
        ({"rows": NO_POSITIVE}, {}, "has no training event"),
        ({"schema": OTHER_SCHEMA}, {}, "says nothing of matching_samples"),
        (
            {"rows": NO_LISTS},
            {"features": {"user_columns": ["recent_items"]}},
            "features.user_columns: the lists of recent_items are",
        ),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, written: dict[str, Any], changed: dict[str, Any], said: str) -> None:
    write_features(tmp_path, **written)
    with pytest.raises(UserError, match=said) as raised:
        plan_towers(settings(tmp_path, tmp_path / "model", **copy.deepcopy(changed)))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "model").exists()


def test_without_negatives_the_other_positives_of_a_batch_are_enough(tmp_path: Path) -> None:
    write_features(tmp_path, rows=[row for row in matching_rows() if row["label"] == 1])
    setup = plan_towers(settings(tmp_path, tmp_path / "model", features={"max_epochs": 8}))
    assert setup.survey.negatives == 0
    assert train_towers(setup).metrics["recall@10"] > 0.8


def test_a_training_that_does_not_fit_is_refused_with_the_numbers(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs about .* GiB, 0.0 GiB are free: lower features.batch_size, .* set memory_gb if"):
        train(settings(root, tmp_path / "model", memory_gb=1e-6))
    assert not (tmp_path / "model" / "checkpoints").exists()


@pytest.mark.parametrize("changed", [{"validate": False}, {}], ids=str)
def test_a_training_may_go_without_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture, changed: dict[str, Any]) -> None:
    """With validate=false, or on a dataset that holds nothing out: the last checkpoint is exported."""
    write_features(tmp_path, rows=[row for row in matching_rows() if row["split"] == "train"])
    setup = plan_towers(settings(tmp_path, tmp_path / "model", **changed))
    assert train_towers(setup).metrics == {}
    meta = export_towers(setup, keep=1).meta
    assert (meta.checkpoint["file"], meta.parity["users"]) == ("last.pt", USERS + 1)
    assert ("has no event of split valid: training without validation" in caplog.text) == (not changed)


def test_a_second_event_of_a_user_ranks_without_the_first(tmp_path: Path) -> None:
    rows = [{**row, "split": "valid"} if row["split"] == "test" else row for row in matching_rows()]
    write_features(tmp_path, rows=rows)
    setup = plan_towers(settings(tmp_path, tmp_path / "model"))
    catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=False, cache=tmp_path)
    events = validation_events(setup.survey, catalogue, ALONE)
    users = setup.survey.held_out.rows["user_id"].to_pylist()
    assert users[0] == users[1]
    taken = events_of(users[0])
    assert (events.targets[:2] + 1).tolist() == taken[6:]
    for row, had in enumerate((taken[:6], taken[:7])):
        mine = events.had.values[events.had.offsets[row] : events.had.offsets[row + 1]] + 1
        assert mine.tolist() == sorted([*had, low_rated(users[0])])


def test_items_of_which_nothing_is_known_are_in_no_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Here the new item, by its id alone: it has a vector, but no list has it, and it is behind all in a validation."""
    write_features(tmp_path)
    setup = plan_towers(settings(tmp_path, tmp_path / "model", features={"item_columns": ["item_id"], "max_epochs": 1}))
    train_towers(setup)
    exported = export_towers(setup, keep=1)
    assert (exported.withheld, exported.meta.counts["withheld"]) == ([NEW_ITEM + 1], 1)
    assert "1 item of 21: features.item_columns tell nothing of them" in caplog.text
    towers = Towers.open(str(tmp_path / "model"))
    query = towers.matrix[[NEW_ITEM + 1]]
    assert len(towers.recommend(query, 21)[0]) == 20
    assert NEW_ITEM not in [item for item, _ in towers.recommend(query, 21)[0]]
    catalogue = read_tower_catalogue(setup.inputs, setup.data, new_items=True, cache=tmp_path)
    events = validation_events(setup.survey, catalogue, ALONE)
    assert events.unknown.tolist() == [NEW_ITEM - 1]
    torch.manual_seed(1)
    towers_now = TwoTowers(**setup.arguments).eval()
    blind = replace(events, targets=np.full(len(events.targets), NEW_ITEM - 1))
    assert measure_towers(towers_now, blind, process=ALONE)["recall@10"] == 0


def test_a_finished_training_gives_lists_for_another_history_and_without_new_items(tmp_path: Path) -> None:
    """From a version of features of its own, with the same rows in another order: nothing is trained again."""
    write_features(tmp_path)
    weights = train(settings(tmp_path, tmp_path / "model", validate=False))
    write_features(tmp_path, history="test", rows=matching_rows()[::-1])
    again = settings(tmp_path, tmp_path / "model", history="test", validate=False, features={"new_items": False})
    kept = train(again)
    assert all(torch.equal(kept[name], weight) for name, weight in weights.items())
    assert export_towers(plan_towers(again), keep=2).meta.counts["items"] == 20
    others = matching_rows()
    others[0] = {**others[0], "age": 77.0}
    write_features(tmp_path, history="test", rows=others)
    with pytest.raises(UserError, match=r"holds a training with other settings .*samples="):
        train(again)


def test_more_epochs_go_on_with_the_default_warm_up_if_it_stays(root: Path, tmp_path: Path) -> None:
    """240 positives, 48 a step: 5 steps an epoch, of which a twentieth is the warm-up."""
    changed: dict[str, Any] = {"optimizer": {"warmup_steps": None}}
    train(settings(root, tmp_path, features={**copy.deepcopy(changed), "max_epochs": 2}))
    train(settings(root, tmp_path, features={**copy.deepcopy(changed), "max_epochs": 3}))
    assert [record["step"] for record in read_records(str(tmp_path))] == [5, 10, 15]
    with pytest.raises(UserError, match=r"\(features.optimizer.warmup_steps=0 there, 1 now\)"):
        train(settings(root, tmp_path, features={**copy.deepcopy(changed), "max_epochs": 4}))


def test_a_folder_of_another_network_is_refused_or_dropped(root: Path, tmp_path: Path) -> None:
    train(settings(root, tmp_path, features={"max_epochs": 1}))
    path, folder = checkpoint.find(str(tmp_path), "last"), cast(Any, SimpleNamespace(folder=str(tmp_path)))
    with pytest.raises(
        OtherTrainingError, match=r"holds a training of feature_towers, .* another network than simplex: train into"
    ):
        _load_state(folder, architecture="simplex")
    content = torch.load(path, weights_only=True)
    torch.save({**content, "architecture": "simplex"}, path)
    with pytest.raises(UserError, match=r"holds a training of simplex, .* than feature_towers: train into another model=FOLDER"):
        train(settings(root, tmp_path))
    train(settings(root, tmp_path, resume="same", features={"max_epochs": 1}))
    assert checkpoint.load(checkpoint.find(str(tmp_path), "last"), keys=("architecture",)).architecture == "feature_towers"


def test_other_data_are_named_without_what_follows_from_them() -> None:
    before = {"data": "a", "samples": "1", "encodings": "x"}
    with pytest.raises(UserError, match="m was trained on version a of the dataset, which is now b"):
        require_same(before, {"data": "b", "samples": "2", "encodings": "y"}, folder="m")


def test_what_users_have_had_is_hidden_whether_or_not_the_dataset_has_them(
    spark: SparkSession, root: Path, tmp_path: Path
) -> None:
    """User 41 is new, and the new item, which user 1 has had, too."""
    setup = plan_towers(settings(root, tmp_path / "model", features={"max_epochs": 1}))
    train_towers(setup)
    exported = export_towers(setup, keep=1)
    dataset = open_dataset(spark, setup.data)
    scoring = TowerScoring(
        export=exported.path,
        meta=exported.meta,
        users=setup.inputs.table("users"),
        hidden=read_past(dataset, exported.path, setup.inputs.table("past_items")),
        history="full",
        lists=ListSettings(top_k=5, filter_seen=True),
    )
    users = {row["user_id"]: row[SEEN] for row in described_users(spark, scoring, columns=["age"]).collect()}
    assert users == {user: [item + 1 for item in past_of(user)] for user in range(1, NEW_USER + 1)}
    assert users[1][-1] == NEW_ITEM + 1
    shown = described_users(spark, replace(scoring, lists=ListSettings(top_k=5, filter_seen=False)), columns=["age"])
    assert {tuple(row[SEEN]) for row in shown.collect()} == {()}


@pytest.mark.parametrize(("past", "had"), [("full", "abcdef"), ("test", "abcd"), ("valid", "ab")])
def test_the_past_ends_before_the_first_rating_of_a_later_split(spark: SparkSession, past: str, had: str) -> None:
    """User 1 has ratings of all splits and one that is left out; user 2 has none that is held out."""
    splits = zip("abcdef", ["train", "train", "valid", "valid", "test", None], strict=True)
    rows = [(1, place, item, split) for place, (item, split) in enumerate(splits)] + [(2, 0, "z", "train"), (2, 1, "z", None)]
    ratings = spark.createDataFrame(rows, "user_id bigint, ordinal int, item_id string, split string")
    assert {row["user_id"]: "".join(row["items"]) for row in past_items(ratings, past=past).collect()} == {1: had, 2: "z"}
