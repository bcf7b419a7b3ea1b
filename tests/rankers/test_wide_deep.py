"""train_ranker, method=wide_deep, on samples that a test writes: what it learns, its keys, interruptions, several processes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from jobs import train_ranker as job
from jobs.train_ranker import run
from seqrec.errors import UserError
from seqrec.models.wide_deep import WideDeep
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.methods import network_setup
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.network_training import train_network
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.serving.ranker import Ranker
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from seqrec.training import checkpoint
from seqrec.training.epochs_file import read_records
from tests.rankers.toy import sample_table, write_samples
from tests.training.ranks import run_ranks

OPTIMIZER = {"lr": 0.01, "warmup_steps": 2}
SMALL: dict[str, Any] = {"hidden_units": [16], "embedding_size": 4, "batch_size": 64, "max_epochs": 2, "optimizer": OPTIMIZER}


def settings(folder: Path, *, output: str = "ranker", wide_deep: dict[str, Any] | None = None, **changed: Any) -> TrainRanker:
    fields = {"samples": str(folder / "samples"), "output": str(folder / output), "method": "wide_deep", **changed}
    network = {**SMALL, "precision": "fp32", **(wide_deep or {})}
    network["optimizer"] = {**OPTIMIZER, **network["optimizer"]}
    return TrainRanker.model_validate({**fields, "wide_deep": network})


def setup_of(cfg: TrainRanker) -> NetworkSetup:
    """The training that the job does for settings."""
    samples = open_samples(cfg.samples, label=LabelColumn(name=cfg.label.column, threshold=cfg.label.threshold))
    columns = choose_columns(samples, discrete=cfg.columns.discrete, continuous=cfg.columns.continuous)
    return network_setup(cfg, samples, survey(samples, columns, max_categories=cfg.max_categories))


def train(cfg: TrainRanker, which: str = "last") -> dict[str, torch.Tensor]:
    """Train, and the weights of a checkpoint."""
    setup = setup_of(cfg)
    train_network(setup)
    return checkpoint.load(checkpoint.find(setup.folder, which), keys=("model",)).model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with samples."""
    path = tmp_path_factory.mktemp("wide_deep")
    write_samples(path / "samples", sample_table())
    return path


@pytest.fixture(scope="module")
def usual(folder: Path) -> dict[str, torch.Tensor]:
    """The weights that the settings give without any change."""
    return train(settings(folder, output="usual"))


def test_the_folder_is_a_ranker_that_has_learned(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table(rows=2000))
    run(settings(tmp_path, wide_deep={"max_epochs": 8, "crosses": [["user_id", "item_id"]], "batch_size": 32, "patience": None}))
    version = locate_ranker(str(tmp_path / "ranker"))
    meta, there = version.meta, {path.name for path in Path(version.path).iterdir()}
    assert {"ranker.onnx", "encoding.json", "epochs.jsonl", "importances", "importances.svg", "meta.json"} <= there
    assert meta.method == "wide_deep"
    assert 0 <= meta.parity["largest_difference"] < 1e-5
    ranker, baseline = (meta.metrics["test"][who]["auc"] for who in ("ranker", "item_mean"))
    assert ranker is not None
    assert baseline is not None
    assert ranker > 0.8 > baseline
    shares = pq.read_table(Path(version.path) / "importances").to_pydict()
    by_name = dict(zip(shares["feature"], shares["share"], strict=True))
    assert sum(by_name.values()) == pytest.approx(1)
    assert by_name["age"] + by_name["user_id"] > 0.2, "the label follows the age"
    assert not (tmp_path / "ranker" / "training").exists()
    rows = sample_table(seed=2).slice(0, 3)
    new = rows.set_column(rows.schema.get_field_index("genre"), "genre", pa.array(["Western", "Noir", "new"]))
    missing = rows.set_column(rows.schema.get_field_index("genre"), "genre", pa.array([None] * 3, pa.string()))
    opened = Ranker.open(str(tmp_path / "ranker"))
    assert opened.score(new).tolist() == opened.score(missing).tolist()


KEYS: list[dict[str, Any]] = [
    {"columns": {"discrete": ["item_id"]}},
    {"columns": {"continuous": ["age"]}},
    {"label": {"column": "purchased"}},
    {"max_categories": 2},
    {"seed": 7},
    *(
        {"wide_deep": changed}
        for changed in (
            {"crosses": [["genre", "item_id"]]},
            {"use_wide": False},
            {"embedding_size": 3},
            {"hidden_units": [8, 8]},
            {"dropout": 0.5},
            {"batch_size": 32},
            {"pool_batches": 1},
            {"precision": "bf16"},
            {"max_epochs": 1},
            *(
                {"optimizer": changed}
                for changed in (
                    {"name": "adam"},
                    {"name": "sgd"},
                    {"lr": 0.02},
                    {"weight_decay": 0.5},
                    {"beta1": 0.5},
                    {"beta2": 0.5},
                    {"clip_norm": 0.01},
                    {"warmup_steps": 5},
                    {"schedule": "constant"},
                    {"ema_decay": 0.5},
                )
            ),
        )
    ),
]


@pytest.mark.parametrize("changed", KEYS, ids=str)
def test_each_key_changes_what_is_learned(
    folder: Path, usual: dict[str, torch.Tensor], tmp_path: Path, changed: dict[str, Any]
) -> None:
    weights = train(settings(folder, **{**changed, "output": str(tmp_path)}))
    same = weights.keys() == usual.keys() and all(
        weight.shape == usual[name].shape and torch.equal(weight, usual[name]) for name, weight in weights.items()
    )
    assert not same


@pytest.mark.parametrize(
    ("usually", "changed"),
    [
        ({"crosses": [["genre", "item_id"]]}, {"cross_buckets": 5}),
        ({"optimizer": {"name": "sgd"}}, {"optimizer": {"name": "sgd", "momentum": 0.1}}),
        ({"optimizer": {"name": "sgd"}}, {"optimizer": {"name": "sgd", "nesterov": True}}),
    ],
)
def test_keys_of_a_choice_change_it(folder: Path, tmp_path: Path, usually: dict[str, Any], changed: dict[str, Any]) -> None:
    before, after = (
        train(settings(folder, output=str(tmp_path / name), wide_deep={**usually, **change}))
        for name, change in (("before", {}), ("after", changed))
    )
    assert any(weight.shape != after[name].shape or not torch.equal(weight, after[name]) for name, weight in before.items())


def test_the_same_settings_learn_the_same(folder: Path, usual: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """So the tests above see the key, and not chance; neither limits nor a validation within an epoch change it."""
    limits = {"patience": None, "checkpoint_every": 3, "validate_every": 2}
    weights = train(settings(folder, output=str(tmp_path), wide_deep=limits))
    assert all(torch.equal(weight, usual[name]) for name, weight in weights.items())


def test_the_average_takes_in_each_step(folder: Path, usual: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """An average that forgets at once is the weights themselves."""
    weights = train(settings(folder, output=str(tmp_path), wide_deep={"optimizer": {"ema_decay": 1e-9}}))
    assert all(torch.allclose(weights[name], weight, atol=1e-6) for name, weight in usual.items())


def test_a_training_ends_where_it_does_not_improve(folder: Path, tmp_path: Path) -> None:
    """By the metric that is asked for: with a rate so high that the first validation is the best."""
    wild = {"max_epochs": 9, "patience": 2, "validate_every": 2, "optimizer": {"name": "sgd", "lr": 1e-9}}
    for metric in ("auc", "gauc", "log_loss"):
        setup = setup_of(settings(folder, output=str(tmp_path / metric), metric=metric, wide_deep=wild))
        train_network(setup)
        records = read_records(setup.folder)
        assert len(records) < 9
        assert records[-1]["step"] == 2 * len(records)
        best = min(records, key=lambda record: record[metric] * (1 if metric == "log_loss" else -1))
        assert best["best"]
        assert checkpoint.load(checkpoint.find(setup.folder, "best"), keys=("model",)).step == best["step"]


def test_the_best_by_log_loss_is_the_lowest(folder: Path, tmp_path: Path) -> None:
    """It falls from the first validation on, so another one is the best."""
    setup = setup_of(settings(folder, output=str(tmp_path), metric="log_loss"))
    train_network(setup)
    first, second = read_records(setup.folder)
    assert first["log_loss"] > second["log_loss"]
    assert checkpoint.load(checkpoint.find(setup.folder, "best"), keys=("model",)).step == second["step"] == 10


@pytest.mark.parametrize("optimizer", [{}, {"ema_decay": 0.9}, {"name": "sgd"}])
def test_an_interrupted_training_ends_at_the_same_weights(folder: Path, tmp_path: Path, optimizer: dict[str, Any]) -> None:
    shape: dict[str, Any] = {"optimizer": optimizer, "dropout": 0.2}
    whole = train(settings(folder, output=str(tmp_path / "whole"), wide_deep={**shape, "max_epochs": 3}))
    train(settings(folder, output=str(tmp_path / "parts"), wide_deep={**shape, "max_epochs": 1}))
    parts = train(settings(folder, output=str(tmp_path / "parts"), wide_deep={**shape, "max_epochs": 3}))
    assert all(torch.equal(parts[name], weight) for name, weight in whole.items())
    assert [record["step"] for record in read_records(str(tmp_path / "parts" / "training"))] == [5, 10, 15]


def test_a_training_of_other_settings_is_dropped(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(settings(folder, output=str(tmp_path), wide_deep={"max_epochs": 1}))
    weights = train(settings(folder, output=str(tmp_path), wide_deep={"embedding_size": 3}))
    assert "holds a training with other settings (embedding_size): training anew" in caplog.text
    assert weights["embeddings.weight"].shape[1] == 3
    assert [record["step"] for record in read_records(str(tmp_path / "training"))] == [5, 10]


def test_two_processes_train_on_the_rows_of_both(folder: Path, tmp_path: Path) -> None:
    cfg = settings(folder, output=str(tmp_path / "ranker"), wide_deep={"max_epochs": 3, "batch_size": 32, "patience": None})
    conf = tmp_path / "train_ranker.yaml"
    conf.write_text(yaml.safe_dump(cfg.model_dump(mode="json")))
    ended = run_ranks(job.main, ["--conf", str(conf)], folder=tmp_path)
    assert ended.statuses == [0, 0], ended.said
    version = Path(locate_ranker(str(tmp_path / "ranker")).path)
    there = [path.name for path in (tmp_path / "ranker").iterdir() if not path.name.startswith(".")]
    assert sorted(there) == sorted([version.name, "CURRENT"])
    records = read_records(str(version))
    assert records[0]["step"] == 5, "147 rows a process, 32 a step"
    assert records[-1]["log_loss"] < records[0]["log_loss"]
    assert "".join(ended.said).count("rows by split") == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"wide_deep": {"crosses": [["genre", "zodiac"]]}},
            "crosses: zodiac is no discrete column .* user_id, item_id, genre",
        ),
        ({"wide_deep": {"crosses": [["genre", "age"]]}}, "wide_deep.crosses: age is no discrete column"),
        ({"columns": {"discrete": ["genre", "zodiac"]}}, "has no column 'zodiac'"),
        ({"label": {"column": "rating", "threshold": 5}}, "all 300 rows of split train have the label 0"),
        ({"parity_tolerance": 1e-30}, "above parity_tolerance=1e-30"),
        ({"opset": 28}, "opset=28: .* set a lower opset"),
    ],
)
def test_bad_input_is_one_line_and_writes_no_version(folder: Path, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as raised:
        run(settings(folder, output=str(tmp_path / "ranker"), **changed))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ranker" / "CURRENT").exists()


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"crosses": [["genre"]]}, "is no cross: name at least two columns, each once"),
        ({"crosses": [["genre", "genre"]]}, "is no cross"),
        ({"crosses": [["genre", "item_id"]], "use_wide": False}, "set crosses="),
    ],
)
def test_crosses_that_can_not_be_are_refused(folder: Path, network: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settings(folder, wide_deep=network)


def test_trees_in_several_processes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"method=lightgbm in each of 2 processes of torchrun: leave torchrun out"):
        run(TrainRanker.model_validate({"samples": str(folder / "samples"), "output": str(folder / "ranker")}))


def test_a_network_that_does_not_fit_is_refused_with_the_numbers(folder: Path, tmp_path: Path) -> None:
    said = r"needs about .* GiB, 0.0 GiB are free: lower wide_deep.batch_size, .* set wide_deep.memory_gb if"
    with pytest.raises(UserError, match=said):
        train(settings(folder, output=str(tmp_path), wide_deep={"memory_gb": 1e-6}))


def test_the_networks_own_scores_are_those_of_its_checkpoint(folder: Path, usual: dict[str, torch.Tensor]) -> None:
    """The checkpoint's arguments rebuild the network, whose crosses and quantiles are among its weights."""
    setup = setup_of(settings(folder, output="usual"))
    found = checkpoint.load(checkpoint.find(setup.folder, "last"), keys=("model", "arguments"))
    network = WideDeep(**found.arguments)
    network.load_state_dict(usual)
    assert np.array_equal(network.state_dict()["quantiles.boundaries"], usual["quantiles.boundaries"])
    assert usual["quantiles.boundaries"].shape == (4, 63)
