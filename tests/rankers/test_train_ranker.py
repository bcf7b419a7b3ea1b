"""train_ranker, method=lightgbm, on samples that a test writes: the folder, the scores, the keys, and bad input."""

import json
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import onnx
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError
from pyspark.sql import SparkSession

from jobs.train_ranker import run
from seqrec.errors import UserError
from seqrec.rankers.chosen_columns import choose_columns
from seqrec.rankers.sample_matrix import read_matrix
from seqrec.rankers.samples import LabelColumn, open_samples
from seqrec.rankers.survey import survey
from seqrec.serving.ranker import Ranker
from seqrec.serving.ranker_version import locate_ranker
from seqrec.settings.train_ranker import TrainRanker
from tests.rankers.toy import sample_table, write_samples

SMALL = {"num_rounds": 40, "min_data_in_leaf": 5, "learning_rate": 0.1}


def settings(tmp_path: Path, **changed: Any) -> TrainRanker:
    fields = {"samples": str(tmp_path / "samples"), "output": str(tmp_path / "ranker"), "lightgbm": SMALL, **changed}
    return TrainRanker.model_validate(fields)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with samples, and a ranker of them."""
    path = tmp_path_factory.mktemp("ranker")
    write_samples(path / "samples", sample_table())
    run(settings(path))
    return path


def test_the_folder_describes_itself(folder: Path) -> None:
    version = locate_ranker(str(folder / "ranker"))
    meta, there = version.meta, {path.name for path in Path(version.path).iterdir()}
    assert {"ranker.onnx", "encoding.json", "booster.txt", "importances", "importances.svg", "meta.json"} <= there
    assert (meta.method, meta.samples.table, meta.samples.rows) == (
        "lightgbm",
        "ranking_samples",
        {"train": 294, "valid": 150, "test": 144},
    )
    assert meta.columns == ["user_id", "item_id", "genre", "age", "user_genre_shares", "item_mean_rating"]
    assert meta.feature_schema.genres == ["Crime", "Drama"]
    assert meta.parity["rows"] == 150
    assert 0 <= meta.parity["largest_difference"] < 1e-5
    ranker, baseline = (meta.metrics["test"][who] for who in ("ranker", "item_mean"))
    assert ranker["auc"] is not None
    assert baseline["auc"] is not None
    assert ranker["auc"] > baseline["auc"] > 0.5
    assert set(meta.metrics) == {"valid", "test"}


def test_scores_are_the_boosters(folder: Path) -> None:
    ranker = Ranker.open(str(folder / "ranker"))
    rows = sample_table(seed=2)
    booster = lightgbm.Booster(model_file=str(Path(locate_ranker(str(folder / "ranker")).path) / "booster.txt"))
    expected = np.asarray(booster.predict(ranker.encoding.encode(rows)))
    np.testing.assert_allclose(ranker.score(rows), expected, atol=1e-6)
    assert ranker.score(rows).std() > 0.1
    assert ranker.score(rows.slice(0, 0)).shape == (0,)


def test_importances_name_what_the_label_follows(folder: Path) -> None:
    version = Path(locate_ranker(str(folder / "ranker")).path)
    table = pq.read_table(version / "importances")
    shares = dict(zip(table["feature"].to_pylist(), table["share"].to_pylist(), strict=True))
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert table["share"].to_pylist() == sorted(shares.values(), reverse=True)
    assert "user_genre_shares[Crime]" in shares
    assert "recent_items" not in shares  # a list of categories
    assert (version / "importances.svg").read_text().count("<rect") == 1 + len(shares)


def test_a_category_that_is_new_scores_as_one_that_is_missing(folder: Path) -> None:
    ranker, rows = Ranker.open(str(folder / "ranker")), sample_table().slice(0, 3)
    scores = []
    for value in ("Western", None):
        place = rows.schema.get_field_index("genre")
        scores.append(ranker.score(rows.set_column(place, "genre", pa.array([value] * 3, pa.string()))).tolist())
    assert scores[0] == scores[1]


def test_the_same_command_makes_the_same_trees_in_another_version(folder: Path) -> None:
    before = locate_ranker(str(folder / "ranker"))
    run(settings(folder))
    after = locate_ranker(str(folder / "ranker"))
    assert before.meta.run_id != after.meta.run_id
    assert before.meta.files["ranker.onnx"] == after.meta.files["ranker.onnx"]


def test_a_file_that_was_replaced_is_refused(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table())
    run(settings(tmp_path, lightgbm={**SMALL, "num_rounds": 2}))
    version = Path(locate_ranker(str(tmp_path / "ranker")).path)
    (version / "encoding.json").write_text('{"columns": []}')
    with pytest.raises(UserError, match=r"encoding\.json is not the file that meta\.json names .*: run train_ranker again"):
        Ranker.open(str(tmp_path / "ranker"))


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"label": {"column": "purchased"}}, {"positive": True}),
        ({"label": {"column": "rating", "threshold": 4}}, {"rows": {"train": 300, "valid": 150, "test": 150}}),
        ({"columns": {"discrete": [], "continuous": ["age"]}}, {"columns": ["age"]}),
        ({"opset": 11, "parity_rows": 70}, {"opset": 11, "compared": 70}),
        ({"metric": "log_loss", "patience": None}, {}),
    ],
)
def test_keys_take_effect(tmp_path: Path, changed: dict[str, Any], check: dict[str, Any]) -> None:
    write_samples(tmp_path / "samples", sample_table())
    run(settings(tmp_path, **changed))
    meta = locate_ranker(str(tmp_path / "ranker")).meta
    assert meta.columns == check.get("columns", meta.columns)
    assert meta.samples.rows == check.get("rows", meta.samples.rows)
    measured = meta.metrics["test"]["ranker"]["auc"]
    assert measured is not None
    assert measured > 0.7
    assert meta.parity["rows"] == check.get("compared", 150)
    graph = onnx.load(str(Path(locate_ranker(str(tmp_path / "ranker")).path) / "ranker.onnx"))
    assert {opset.domain: opset.version for opset in graph.opset_import}[""] == check.get("opset", 18)
    if check.get("positive"):  # the table says purchased = not liked
        rows = sample_table()
        scores = Ranker.open(str(tmp_path / "ranker")).score(rows)
        assert scores[rows["purchased"].to_numpy()].mean() > scores[~rows["purchased"].to_numpy()].mean()
    if changed.get("patience", 1) is None:
        booster = Path(locate_ranker(str(tmp_path / "ranker")).path) / "booster.txt"
        assert lightgbm.Booster(model_file=str(booster)).num_trees() == SMALL["num_rounds"]


def test_lists_of_no_genres_are_no_feature(tmp_path: Path) -> None:
    """build_features writes empty shares where items have no genres."""
    rows, place = sample_table(), sample_table().schema.get_field_index("user_genre_shares")
    write_samples(
        tmp_path / "samples", rows.set_column(place, "user_genre_shares", pa.array([[]] * len(rows), pa.list_(pa.float32())))
    )
    run(settings(tmp_path))
    assert "user_genre_shares" not in locate_ranker(str(tmp_path / "ranker")).meta.columns


def test_processes_without_spark_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="processes=2 are started by Spark alone: set distributor=spark"):
        settings(tmp_path, processes=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "wide_deep", "lightgbm": {"num_leaves": 7}}, "lightgbm.num_leaves is of method=lightgbm, and this is"),
        ({"method": "lightgbm", "wide_deep": {"dropout": 0.5}}, "wide_deep.dropout is of method=wide_deep, and this is"),
        ({"method": "wide_deep", "patience": 3}, "patience=3 is of method=lightgbm: set wide_deep.patience"),
    ],
)
def test_keys_of_the_other_method_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainRanker.model_validate({"samples": "a", "output": "b", **given})


@pytest.mark.parametrize("method", ["lightgbm", "wide_deep", "logistic"])
def test_the_template_suits_each_method(method: str) -> None:
    template = yaml.safe_load(Path("conf/train_ranker.yaml").read_text())
    assert TrainRanker.model_validate({**template, "method": method}).method == method


def test_one_task_of_spark_for_all_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="distributor=spark with processes=1 trains on all rows in one task: set processes"):
        settings(tmp_path, distributor="spark")
    assert settings(tmp_path, distributor="spark", method="wide_deep", lightgbm={}).processes == 1


def test_candidate_samples_come_first_and_need_no_test_rows(tmp_path: Path) -> None:
    rows = sample_table()
    rows = rows.filter(pa.array([split != "test" for split in rows["split"].to_pylist()]))
    schema = {"ranker_samples": {"discrete": ["item_id"], "continuous": ["age", "rank_sequence"]}}
    ranks = pa.array([None if row % 3 else row % 7 for row in range(len(rows))], pa.int32())
    write_samples(tmp_path / "samples", rows.append_column("rank_sequence", ranks), name="ranker_samples", schema=schema)
    run(settings(tmp_path))
    meta = locate_ranker(str(tmp_path / "ranker")).meta
    assert meta.samples.table == "ranker_samples"
    assert list(meta.metrics) == ["valid"]
    assert meta.columns == ["item_id", "age", "rank_sequence"]


def test_workers_of_spark_train_as_one_machine(tmp_path: Path, spark: SparkSession) -> None:
    """Two tasks that each have half of the rows give nearly the trees of one machine: bins are found on half of the rows each."""
    write_samples(tmp_path / "samples", sample_table(rows=1200))
    scores, rows = [], sample_table(seed=2)
    for distributor, processes in (("none", 1), ("spark", 2)):
        few = {**SMALL, "num_rounds": 12}
        run(settings(tmp_path, distributor=distributor, processes=processes, patience=None, lightgbm=few))
        scores.append(Ranker.open(str(tmp_path / "ranker")).score(rows))
    alone, together = scores
    assert np.corrcoef(alone, together)[0, 1] > 0.95
    assert not np.array_equal(alone, together)
    with pytest.raises(UserError, match=r"processes=999: the cluster local.* has .* slots; give it more"):
        run(settings(tmp_path, distributor="spark", processes=999))


TABLE = sample_table()


@pytest.mark.parametrize(
    ("changed", "table", "said"),
    [
        ({"columns": {"discrete": ["colour"]}}, TABLE, "columns.discrete: .* has no column 'colour'; its columns are user_id"),
        ({"columns": {"continuous": ["age", "age"]}}, TABLE, "column age is named twice"),
        ({"columns": {"continuous": ["rating"]}}, TABLE, "columns.continuous: column rating tells the label label"),
        ({"columns": {"discrete": ["recent_items"]}}, TABLE, "column recent_items holds lists of categories"),
        ({"columns": {"discrete": ["age"], "continuous": ["age"]}}, TABLE, "both in columns.discrete and in columns.continuous"),
        (
            {"columns": {"discrete": ["age"], "continuous": []}},
            TABLE,
            "age is float, a discrete one holds whole numbers or text",
        ),
        ({"columns": {"discrete": [], "continuous": ["genre"]}}, TABLE, "genre is string, a continuous one holds numbers"),
        ({"columns": {"discrete": [], "continuous": []}}, TABLE, "no column of .* is a feature"),
        ({"label": {"column": "bought"}}, TABLE, "has no column bought"),
        ({"label": {"column": "genre"}}, TABLE, "label.column=genre is string"),
        ({"label": {"column": "rating"}}, TABLE, r"label.column=rating holds (4\.5|2), a label is 0 or 1: .* label.threshold"),
        ({"label": {"column": "rating", "threshold": 5}}, TABLE, "all 300 rows of split train have the label 0"),
        ({}, TABLE.slice(0, 2), "has no rows of split valid with a label"),
        ({}, TABLE.drop_columns(["age"]), r"feature_schema\.json: .* has no column 'age'"),
        ({}, TABLE.drop_columns(["split"]), "has no column split"),
        ({}, TABLE.drop_columns(["split"]).append_column("split", TABLE["label"]), "column split is int32, it says train"),
        ({"opset": 28}, TABLE, "opset=28: ONNX Runtime .* can't open graphs of it: set a lower opset"),
        ({"lightgbm": {"min_data_in_leaf": 1000}}, TABLE, "the trees have no split"),
        ({"parity_tolerance": 1e-30}, TABLE, "differ by .* above parity_tolerance=1e-30; nothing was written"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(tmp_path: Path, changed: dict[str, Any], table: pa.Table, said: str) -> None:
    write_samples(tmp_path / "samples", table)
    with pytest.raises(UserError, match=said) as raised:
        run(settings(tmp_path, **changed))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "ranker" / "CURRENT").exists()


def test_samples_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """444 rows of 7 features take 18,648 bytes."""
    write_samples(tmp_path / "samples", sample_table())
    for free, fits in ((18_648, True), (18_647, False)):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        if fits:
            run(settings(tmp_path, lightgbm={**SMALL, "num_rounds": 2}))
        else:
            with pytest.raises(UserError, match=r"294 rows of train and 150 of valid with 7 .* \(distributor=spark"):
                run(settings(tmp_path))


def test_valid_rows_beyond_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they are read: on the driver of a cluster, and in each process. 150 rows of 7 features take 4,200 bytes."""
    write_samples(tmp_path / "samples", sample_table())
    samples = open_samples(str(tmp_path / "samples"), label=LabelColumn())
    surveyed = survey(samples, choose_columns(samples, discrete=None, continuous=None), max_categories=100)
    refused = pytest.raises(UserError, match=r"150 rows of valid with 7 features need .* or give samples with fewer rows")
    for free, expected in ((4_200, nullcontext()), (4_199, refused)):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        with expected:
            read_matrix(samples, surveyed.encoding, split="valid", rows=150)


def test_a_version_without_samples_is_refused(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table(), name="users")
    with pytest.raises(UserError, match=r"has no table ranker_samples or ranking_samples: run build_ranker_samples"):
        run(settings(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not valid JSON"), ("{}", "says nothing of ranking_samples"), ('{"ranking_samples": {}}', "lacks discrete")],
)
def test_a_broken_schema_file_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = write_samples(tmp_path / "samples", sample_table())
    (path / "feature_schema.json").write_text(content)
    with pytest.raises(UserError, match=re.escape(str(path / "feature_schema.json")) + " " + said):
        open_samples(str(tmp_path / "samples"), label=LabelColumn())


def test_the_most_frequent_categories_have_codes(tmp_path: Path) -> None:
    write_samples(tmp_path / "samples", sample_table())
    run(settings(tmp_path, max_categories=2, lightgbm={**SMALL, "num_rounds": 2}))
    version = Path(locate_ranker(str(tmp_path / "ranker")).path)
    columns = {column["name"]: column for column in json.loads((version / "encoding.json").read_text())["columns"]}
    rows = sample_table()
    trained = [
        item
        for item, split, label in zip(*(rows[name].to_pylist() for name in ("item_id", "split", "label")), strict=True)
        if split == "train" and label is not None
    ]
    by_frequency = sorted(set(trained), key=lambda item: (-trained.count(item), item))
    assert columns["item_id"] == {"name": "item_id", "kind": "discrete", "type": "bigint", "categories": by_frequency[:2]}


def test_a_worker_that_scores_loads_neither_the_kinds_of_meta_nor_lightgbm() -> None:
    code = "import sys, seqrec.serving.ranker; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert loaded.isdisjoint({"seqrec.storage.metadata", "lightgbm", "torch", "pyspark"})
