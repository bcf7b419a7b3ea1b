"""The job build_candidates, and evaluate on what it makes, on a dataset of three users and six items."""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import build_candidates, evaluate
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.evaluation.held_out import open_held_out
from seqrec.storage import versions
from seqrec.tables import io, schemas
from seqrec.tables.schemas import IDS
from tests.metas import dataset_meta

DATASET, VERSION = "20260101T000000Z-0000", "20260102T000000Z-0000"
BIGINT, STRING = IDS["bigint"], IDS["string"]
ITEMS = ["a", "b", "c", "d", "e", "f"]  # indices 2 to 7
# items, seen, targets; user 3 has nothing
USERS = {1: ([2, 3], [2, 3], [4]), 2: ([4], [4, 7], [6]), 3: ([], [], [5])}
SIMILAR = {"a": [("b", 1.0), ("c", 0.5)], "b": [("d", 0.75), ("c", 0.5)], "c": [("f", 0.5), ("a", 0.25)]}
LISTS = {1: [("e", 5.0), ("c", 4.0)], 2: [("e", 3.0), ("a", 2.0), ("b", 1.0)]}


def save(spark: SparkSession, path: str, rows: Any, schema: Any) -> None:
    io.write_table(spark.createDataFrame(rows, schema), path, schema)


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, similar items and users' lists of it, and a configuration."""
    root = tmp_path_factory.mktemp("candidates")
    path = f"{root}/data/{DATASET}"
    save(spark, f"{path}/test", [(user, *row) for user, row in USERS.items()], schemas.held_out(BIGINT))
    save(spark, f"{path}/items", [(item, index, 1) for index, item in enumerate(ITEMS, 2)], schemas.items(STRING))
    save(spark, f"{path}/events", [], schemas.events(BIGINT))
    versions.write_meta(path, dataset_meta(DATASET, size=6))
    versions.commit(f"{root}/data", DATASET, keep=1)
    source(spark, root / "cf", "similar_items", list(SIMILAR.items()), schemas.similar_items(STRING), history="train")
    now = datetime.now(UTC)
    rows = [(user, items, "model", "m", VERSION, now) for user, items in LISTS.items()]
    source(spark, root / "lists", "recommendations", rows, schemas.recommendations(BIGINT, STRING), history="test")
    sources = {"cf": {"kind": "similar_items", "path": f"{root}/cf"}, "m": {"kind": "user_lists", "path": f"{root}/lists"}}
    conf = {"data": f"{root}/data", "output": f"{root}/out", "history": "test", "sources": sources}
    (root / "conf.yaml").write_text(json.dumps(conf))
    return root


def source(spark: SparkSession, folder: Path, name: str, rows: Any, schema: Any, **meta: Any) -> None:
    save(spark, f"{folder}/{VERSION}/{name}", rows, schema)
    versions.write_meta(f"{folder}/{VERSION}", {"run_id": VERSION, "dataset": DATASET, **meta})
    versions.commit(str(folder), VERSION, keep=1)


def build(root: Path, *overrides: str) -> None:
    build_candidates.main(["--conf", str(root / "conf.yaml"), *overrides])


def test_candidates_are_merged_and_measured_as_each_source_is(
    spark: SparkSession, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(root, "k=9", "sources.m.weight=2")
    version = versions.resolve(f"{root}/out")
    lists = spark.read.parquet(f"{version}/candidate_lists").collect()
    assert {(row["source"], row["user_id"]): [entry["item_id"] for entry in row["items"]] for row in lists} == {
        ("cf", 1): ["c", "d"],  # c: 0.5 + 0.5, d: 0.75; b is seen
        ("cf", 2): ["a"],  # f is seen
        ("m", 1): ["e", "c"],
        ("m", 2): ["e", "a", "b"],
    }
    merged = {row["user_id"]: row["items"] for row in spark.read.parquet(f"{version}/candidates").collect()}
    scores = {user: {entry["item_id"]: entry["score"] for entry in items} for user, items in merged.items()}
    assert {user: list(items) for user, items in scores.items()} == {1: ["c", "e", "d"], 2: ["a", "e", "b"], 3: []}
    assert scores[1] == pytest.approx({"c": 1 / 10 + 2 / 11, "e": 2 / 10, "d": 1 / 11})
    assert [tuple(source) for source in merged[1][0]["sources"]] == [("cf", 1, 1.0), ("m", 2, 4.0)]
    meta = versions.read_meta(version)
    assert meta["counts"] == {"users": 3, "empty": 1, "sources": {"cf": 2, "m": 2}}
    assert meta["sources"]["m"] == {"run_id": VERSION, "kind": "user_lists", "weight": 2.0, "learned": None}

    learned = {"table": "ranker_samples", "run_id": VERSION, "history": "valid"}
    second = dict.fromkeys(("ranker", "candidates", "features", "method"), VERSION) | {"sources": ["cf"], "samples": learned}
    folder = Path(versions.resolve(f"{root}/lists"))
    before = versions.read_meta(str(folder))
    versions.write_meta(str(folder), before | {"second_stage": second})
    build(root, f"output={tmp_path}/ranked", "sources.cf=null")
    versions.write_meta(str(folder), before)
    assert versions.read_meta(versions.resolve(f"{tmp_path}/ranked"))["sources"]["m"]["learned"]["history"] == "valid"

    conf = tmp_path / "evaluate.yaml"
    conf.write_text(json.dumps({"data": f"{root}/data", "candidates": f"{root}/out", "output": f"{tmp_path}/metrics"}))
    evaluate.main(["--conf", str(conf), "cutoffs=[1, 2, 20, 50, 100]", "popularity=true", "save_predictions=true"])
    found = json.loads(Path(versions.resolve(f"{tmp_path}/metrics"), "metrics.json").read_text())["metrics"]
    assert list(found) == ["merged", "cf", "m", "popularity"]
    # targets: c of user 1, e of user 2, d of user 3
    assert {name: found[name]["hit_rate@20"] for name in ("merged", "cf", "m")} == pytest.approx(
        {"merged": 2 / 3, "cf": 1 / 3, "m": 2 / 3}
    )
    assert found["merged"]["hit_rate@1"] == pytest.approx(1 / 3)
    assert found["merged"]["ndcg@20"] == pytest.approx((1 + 1 / math.log2(3)) / 3)
    assert found["m"]["ndcg@20"] == pytest.approx((1 / math.log2(3) + 1) / 3)
    assert "hit rate = recall@100" in capsys.readouterr().out


def test_sources_that_are_called_as_a_baseline_keep_their_results(spark: SparkSession, root: Path, tmp_path: Path) -> None:
    named = {"popularity": "m", "popularity (source)": "cf"}
    meta = json.loads((root / "conf.yaml").read_text())
    meta["sources"] = {name: meta["sources"][of] for name, of in named.items()}
    (tmp_path / "conf.yaml").write_text(json.dumps({**meta, "output": f"{tmp_path}/out"}))
    build(tmp_path)
    held_out = open_held_out(spark, f"{root}/data", split="test", sample_users=None, seed=1)
    ranked = {method.name: method.source.get("kind") for method in rank_by_candidates(held_out, f"{tmp_path}/out")}
    assert ranked == {
        "merged": None,
        "popularity (source) (source)": "user_lists",
        "popularity (source)": "similar_items",
    }


def test_a_source_is_left_out_and_one_that_does_not_fit_refused(spark: SparkSession, root: Path, tmp_path: Path) -> None:
    build(root, "sources.m=null", f"output={tmp_path}/alone")
    assert versions.read_meta(versions.resolve(f"{tmp_path}/alone"))["counts"]["sources"] == {"cf": 2}
    rows, schema = list(SIMILAR.items()), schemas.similar_items(STRING)
    source(spark, tmp_path / "full", "similar_items", rows, schema, history="full")
    source(spark, tmp_path / "other", "similar_items", rows, schema, history="train", dataset="another")
    wrong = {
        f"sources.cf.path={tmp_path}/full": "has history=full, which doesn't fit history=test: make it again with history=train",
        f"sources.cf.path={tmp_path}/other": f"was made from dataset another, not {DATASET}",
        f"sources.cf.path={tmp_path}/none": "has no finished version",
        f"sources.m.path={root}/cf": "has history=train, which doesn't fit history=test: make it again with history=test",
        "sources.cf.kind=lists": "sources.cf.kind='lists'",
        "sources.merged.kind=user_lists": "sources.merged.path is missing",
        "history=valid": "doesn't exist",
    }
    for override, message in wrong.items():
        with pytest.raises(SystemExit, match=message):
            build(root, override, f"output={tmp_path}/nothing")
    with pytest.raises(SystemExit, match="no source is left"):
        build(root, "sources.cf=null", "sources.m=null")
    assert not (tmp_path / "nothing").exists()


def test_candidates_of_another_history_are_not_measured(root: Path, tmp_path: Path) -> None:
    build(root, f"output={tmp_path}/out")
    meta = Path(versions.resolve(f"{tmp_path}/out"), "meta.json")
    meta.write_text(meta.read_text().replace('"history": "test"', '"history": "full"'))
    (tmp_path / "evaluate.yaml").write_text(json.dumps({"data": f"{root}/data", "candidates": f"{tmp_path}/out"}))
    with pytest.raises(SystemExit, match="was made with history=full, not test: run build_candidates history=test"):
        evaluate.main(["--conf", str(tmp_path / "evaluate.yaml")])
