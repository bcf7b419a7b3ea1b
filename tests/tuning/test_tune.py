"""The job tune: a tiny training in processes, and lists on Spark, measured as evaluate measures them."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs import build_candidates, tune
from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.evaluation.candidate_recall import rank_by_candidates
from seqrec.evaluation.held_out import open_held_out
from seqrec.evaluation.report import measure
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.train import Train
from seqrec.settings.tune import TrialLists, Tune
from seqrec.storage import versions
from seqrec.tables import io, schemas
from seqrec.tables.schemas import IDS
from seqrec.tuning.list_trials import ListMeasure
from tests.metas import dataset_meta
from tests.training.conftest import write_dataset

DATASET, VERSION = "20260101T000000Z-0000", "20260102T000000Z-0000"
BIGINT = IDS["bigint"]
USERS, ITEMS = range(1, 9), range(2, 12)


@pytest.fixture(autouse=True)
def _root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))


def settings(root: Path, **given: Any) -> Tune:
    return Tune.model_validate({"data": f"{root}/data", "samples": f"{root}/samples", "result_path": f"{root}/tuning", **given})


def test_a_training_is_tuned_and_its_best_model_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_dataset(tmp_path / "data")
    tiny = {"encoder": {"blocks": 1, "heads": 1, "max_len": 8}, "windows": {"overlap": 0, "shift": 0}, "max_epochs": 2}
    cfg = settings(
        tmp_path,
        common_param={**tiny, "batch_size": 16, "precision": "fp32"},
        hyper_param={"encoder.dim": [4, 8], "optimizer.lr": [0.01]},
        search="grid",
        parallel=2,
    )
    tune.run(cfg)
    shown = capsys.readouterr().out
    study = tmp_path / "tuning" / "study"
    trials = [json.loads(path.read_text()) for path in study.glob("trials/*/trial.json")]
    assert sorted(trial["values"]["encoder.dim"] for trial in trials) == [4, 8]
    best = max(trials, key=lambda trial: (trial["value"], -trial["trial"]))
    dim = best["values"]["encoder.dim"]
    assert f"the best of valid: trial {best['trial']}, ndcg@10 {best['value']:.4f}: encoder.dim={dim}" in shown
    taken = load_config(Train, str(study / "best.yaml"), [])
    assert (taken.encoder.dim, taken.max_epochs, taken.model) == (dim, 2, f"{tmp_path}/model")
    model = study / "trials" / str(best["trial"]) / "model"
    records = [json.loads(line) for line in (model / "epochs.jsonl").read_text().splitlines()]
    assert best["metrics"]["ndcg@10"] == max(record["ndcg@10"] for record in records)
    with pytest.raises(UserError, match=r"other settings \(max_epochs: 2 there, 3 here\)"):
        tune.run(cfg.model_copy(update={"common_param": {**cfg.common_param, "max_epochs": 3}}))


@pytest.fixture(scope="module")
def lists(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of users along a circle of items, of whom valid holds one item, and two sources of lists."""
    root = tmp_path_factory.mktemp("lists")
    path = f"{root}/data/{DATASET}"

    def save(place: str, rows: Any, schema: Any) -> None:
        io.write_table(spark.createDataFrame(rows, schema), place, schema)

    walks = {user: [2 + (user + step) % 10 for step in range(5)] for user in USERS}
    held = [(user, walk[:4], sorted(walk[:4]), [walk[4]]) for user, walk in walks.items()]
    save(f"{path}/valid", held, schemas.held_out(BIGINT))
    save(f"{path}/items", [(100 + item, item, 5) for item in ITEMS], schemas.items(BIGINT))
    kinds = schemas.events(BIGINT).fieldNames()
    events = [
        {"user_id": user, "item_idx": item, "timestamp": place, "split": "train" if place < 4 else "valid", "rating": 1.0}
        for user, walk in walks.items()
        for place, item in enumerate(walk)
    ]
    save(
        f"{path}/events",
        [tuple(event.get(name, place) for name in kinds) for place, event in enumerate(events)],
        schemas.events(BIGINT),
    )
    versions.write_meta(path, dataset_meta(DATASET, size=10, item="bigint"))
    versions.commit(f"{root}/data", DATASET, keep=1)
    now = datetime.now(UTC)
    for name, of in (("near", 0), ("far", 3)):
        rows = [
            (user, [(100 + 2 + (user + 4 + of + place) % 10, 5.0 - place) for place in range(3)], "model", "m", VERSION, now)
            for user in USERS
        ]
        save(f"{root}/{name}/{VERSION}/recommendations", rows, schemas.recommendations(BIGINT, BIGINT))
        meta = {"run_id": VERSION, "dataset": DATASET, "history": "valid"}
        versions.write_meta(f"{root}/{name}/{VERSION}", meta)
        versions.commit(f"{root}/{name}", VERSION, keep=1)
    return root


def candidates(root: Path, tmp_path: Path, **given: Any) -> Tune:
    sources = {name: {"kind": "user_lists", "path": f"{root}/{name}"} for name in ("near", "far")}
    others = dict.fromkeys(("item_cf", "swing", "two_tower", "sequence"))
    common = {"sources": {**sources, **others}, "top_n": 10}
    return settings(root, **{"model_name": "candidates", "common_param": common, "result_path": f"{tmp_path}/tuning", **given})


def test_merged_candidates_are_measured_as_evaluate_does(spark: SparkSession, lists: Path, tmp_path: Path) -> None:
    weights = {"sources.near.weight": [0.1, 3.0], "k": [1]}
    tune.run(candidates(lists, tmp_path, hyper_param=weights, search="grid", app_name="merge"))
    study = tmp_path / "tuning" / "merge"
    trials = [json.loads(path.read_text()) for path in study.glob("trials/*/trial.json")]
    reached = {trial["values"]["sources.near.weight"]: trial["value"] for trial in trials}
    assert reached[3.0] > reached[0.1] > 0
    best = load_config(BuildCandidates, str(study / "best.yaml"), [])
    sources = {name: source.weight for name, source in best.sources.items() if source}
    assert (sources, best.k, best.history) == ({"near": 3.0, "far": 1.0}, 1.0, "valid")
    build_candidates.run(best)
    held_out = open_held_out(spark, f"{lists}/data", split="valid", sample_users=None, seed=1)
    merged = next(iter(rank_by_candidates(held_out, best.output)))
    assert measure(merged, catalogue=10)["ndcg@10"] == reached[3.0]


def test_a_study_goes_on_only_with_the_versions_of_its_sources(lists: Path, tmp_path: Path) -> None:
    for name in ("near", "far"):
        shutil.copytree(lists / name, tmp_path / "sources" / name)
    sources = {f"sources.{name}.path": f"{tmp_path}/sources/{name}" for name in ("near", "far")}
    cfg = candidates(lists, tmp_path, hyper_param={"k": [1, 60]}, search="grid", num_experiment=1)
    cfg = cfg.model_copy(update={"common_param": {**cfg.common_param, **sources}})
    tune.run(cfg)
    config = (tmp_path / "tuning" / "study" / "trials" / "0" / "config.yaml").read_text()
    assert f"{tmp_path}/sources/near/{VERSION}" in config
    assert f"path: {tmp_path}/sources/near\n" in (tmp_path / "tuning" / "study" / "best.yaml").read_text()
    newer = "20260103T000000Z-0000"
    shutil.copytree(tmp_path / "sources" / "near" / VERSION, tmp_path / "sources" / "near" / newer)
    versions.commit(f"{tmp_path}/sources/near", newer, keep=2)
    more = cfg.model_copy(update={"num_experiment": 2})
    with pytest.raises(UserError, match=rf"other settings .version of \S+/near: {VERSION} there, {newer} here.* resume=false"):
        tune.run(more)
    (tmp_path / "sources" / "far" / "CURRENT").unlink()
    with pytest.raises(UserError, match="far has no finished version"):
        tune.run(more.model_copy(update={"app_name": "other"}))
    assert not (tmp_path / "tuning" / "other").exists()


def test_lists_of_a_trial_are_computed_once(spark: SparkSession, lists: Path) -> None:
    computed = spark.sparkContext.accumulator(0)

    def count(scores: list[float]) -> list[float]:
        computed.add(1)
        return scores

    listed = io.open_table(spark, f"{lists}/near/{VERSION}/recommendations").withColumn(
        "scores", F.udf(count, "array<float>")("items.score")
    )
    rows = listed.select("user_id", F.arrays_zip("items.item_id", F.col("scores").alias("score")).alias("items"))
    held_out = open_held_out(spark, f"{lists}/data", split="valid", sample_users=None, seed=1)
    measured = ListMeasure(held_out=held_out, lists=TrialLists(), metric="ndcg@10").measured(rows, top_n=10)
    assert measured["hit_rate@10"] > 0
    assert measured["coverage@10"] > 0
    assert computed.value == len(USERS)


def test_lists_of_one_folder_are_not_those_of_another(lists: Path, tmp_path: Path) -> None:
    paths = {"sources.near.path": [f"{lists}/near", f"{lists}/far"]}
    tune.run(candidates(lists, tmp_path, hyper_param=paths, search="grid"))
    trials = [json.loads(path.read_text()) for path in (tmp_path / "tuning" / "study").glob("trials/*/trial.json")]
    assert len({trial["value"] for trial in trials}) == 2


def test_similar_items_are_tuned_by_the_lists_that_they_give(lists: Path, tmp_path: Path) -> None:
    cfg = settings(
        lists,
        model_name="item_cf",
        result_path=f"{tmp_path}/tuning",
        hyper_param={"top_n": [1, 9], "max_user_items": [1, 9]},
        metric="recall@5",
        search="grid",
        lists={"top_n": 5, "max_seeds": 2},
    )
    tune.run(cfg)
    trials = [json.loads(path.read_text()) for path in (tmp_path / "tuning" / "study").glob("trials/*/trial.json")]
    states = {(trial["values"]["top_n"], trial["values"]["max_user_items"]): trial["state"] for trial in trials}
    assert states == {(1, 1): "failed", (9, 1): "failed", (1, 9): "complete", (9, 9): "complete"}  # nobody has one item alone
    reached = {trial["values"]["top_n"]: trial["value"] for trial in trials if trial["state"] == "complete"}
    assert reached[9] > reached[1]


def test_a_metric_that_lists_do_not_have_is_refused_and_leaves_nothing(lists: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="metric=recall@200 needs lists of 200 items, and these have top_n=10: change one"):
        tune.run(candidates(lists, tmp_path, metric="recall@200"))
    with pytest.raises(UserError, match="metric=auc: lists have ndcg, hit_rate"):
        tune.run(candidates(lists, tmp_path, metric="auc"))
    assert not list(tmp_path.glob("tuning/*"))
