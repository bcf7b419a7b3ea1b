"""train_two_tower end to end on simulated ratings, and the other jobs on what it leaves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
from pyspark.sql import SparkSession

from jobs import batch_recommend, build_candidates, build_features, build_sequences, evaluate, train_two_tower
from seqrec.serving import exports
from seqrec.serving.recommender import Recommender
from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import versions
from seqrec.stores.milvus_neighbours import find_neighbours
from seqrec.stores.open_stores import Addresses, connect

CONF = Path(__file__).parents[1] / "conf"
JOBS = {
    "build_sequences": build_sequences,
    "train_two_tower": train_two_tower,
    "evaluate": evaluate,
    "batch_recommend": batch_recommend,
    "build_features": build_features,
    "build_candidates": build_candidates,
}
TINY = ["encoder.dim=8", "max_epochs=2", "precision=fp32", "tensorboard=false", "plots=false", "top_k=5", "history=test"]


def run(job: str, *overrides: str) -> None:
    JOBS[job].main(["--conf", str(CONF / f"{job}.yaml"), *overrides])


def table(folder: Path, name: str) -> dict[Any, dict[str, Any]]:
    """A table of a folder's current version, by its first column."""
    rows = pyarrow.dataset.dataset(f"{versions.resolve(str(folder))}/{name}").to_table().to_pylist()
    return {next(iter(row.values())): row for row in rows}


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """SEQREC_ROOT after build_sequences and train_two_tower."""
    root = tmp_path_factory.mktemp("towers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQREC_ROOT", str(root))
        patch.setenv("MONGODB_URI", "none")
        patch.setenv("MILVUS_URI", "embedded")
        write_ratings(root / "ratings.csv", Simulation(users=60, items=120, events=700, seed=1))
        run("build_sequences", "k_core.items=0")
        run("train_two_tower", *TINY)
        yield root


def test_the_search_in_milvus_finds_the_exact_lists(root: Path) -> None:
    output = root / "two_tower_output"
    exact, found = table(output, "recommendations"), table(output, "milvus_recommendations")
    assert sorted(exact) == sorted(found) == list(range(1, 61))
    for user, row in exact.items():
        assert [item["score"] for item in found[user]["items"]] == pytest.approx(
            [item["score"] for item in row["items"]], abs=1e-5
        )
        assert found[user]["run_id"] == row["run_id"]
    metrics = json.loads(Path(versions.resolve(str(output)), "metrics.json").read_text())
    assert metrics["milvus"]["users"] == 60
    assert metrics["milvus"]["recall@5"] > 0.99
    assert set(metrics["valid"]) >= {"ndcg@20", "recall@20"}


def test_milvus_holds_the_items_under_their_alias(root: Path) -> None:
    item = next(iter(table(root / "two_tower_output", "item_embeddings")))
    with connect(None, Addresses(milvus="embedded")) as stores:
        nearest = find_neighbours(stores.require_milvus().alias("two_tower_items"), item, k=3)
    assert [entry["item_id"] for entry in nearest] == [
        one for one, _ in Recommender.load(f"{root}/two_tower").neighbours(item, 3)
    ]


def test_the_model_and_its_lists_serve_the_other_jobs(root: Path) -> None:
    run("batch_recommend", f"model={root}/two_tower", "top_k=5", "history=test", "publish=false")
    ours, theirs = table(root / "two_tower_output", "recommendations"), table(root / "output", "recommendations")
    assert {user: row["items"] for user, row in ours.items()} == {user: row["items"] for user, row in theirs.items()}
    run("evaluate", f"model={root}/two_tower", "onnx=true")
    run("evaluate", f"table={root}/two_tower_output", "model=null", f"output={root}/of_table")
    by_model, by_table = (
        next(iter(json.loads(Path(versions.resolve(str(root / name)), "metrics.json").read_text())["metrics"].values()))
        for name in ("evaluation", "of_table")
    )
    assert by_model["users"] == by_table["users"] == 60
    assert by_table["ndcg@5"] == pytest.approx(by_model["ndcg@5"])


def test_again_it_goes_on_and_adds_a_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path(exports.locate(f"{root}/two_tower").path, "item_matrix.npy").read_bytes()
    monkeypatch.setenv("MILVUS_URI", "none")
    run("train_two_tower", *TINY)
    assert Path(exports.locate(f"{root}/two_tower").path, "item_matrix.npy").read_bytes() == before
    assert len(versions.run_ids(f"{root}/two_tower/exports")) == 2
    assert len(versions.run_ids(str(root / "two_tower_output"))) == 2
    assert "milvus" not in json.loads(Path(versions.resolve(str(root / "two_tower_output")), "metrics.json").read_text())


def test_towers_over_features_give_lists_items_and_users_as_the_others_do(root: Path) -> None:
    """The version has the tables of SimpleX's, Milvus finds the exact lists, and the lists are a source of candidates."""
    history, towers = "history=test", [f"model={root}/towers", f"output={root}/tower_lists", "milvus.alias=feature_items"]
    run("build_features", history, "samples=[matching]", "max_missing_share=1")
    small = ["features.max_epochs=2", "features.embedding_size=4", "features.hidden_units=[8]", "features.batch_size=64"]
    run("train_two_tower", *TINY, "towers=features", *towers, *small)
    output = root / "tower_lists"
    lists, users, items = (table(output, name) for name in ("recommendations", "user_embeddings", "item_embeddings"))
    assert sorted(lists) == sorted(users) == list(range(1, 61))
    histories = pyarrow.dataset.dataset(f"{versions.resolve(str(root / 'dataset'))}/test").to_table().to_pylist()
    seen = {row["user_id"]: {*row["seen"]} for row in histories}
    for user, row in lists.items():
        scores = {
            item: sum(a * b for a, b in zip(users[user]["embedding"], items[item]["embedding"], strict=True))
            for item in items
            if items[item]["item_idx"] not in seen[user]
        }
        best = sorted(scores.values(), reverse=True)[:5]
        assert [item["score"] for item in row["items"]] == pytest.approx(best, abs=1e-5)
        assert all(item["item_id"] in scores for item in row["items"])
        assert row["source"] == "model"
    found = table(output, "milvus_recommendations")
    assert [item["score"] for item in found[1]["items"]] == pytest.approx([item["score"] for item in lists[1]["items"]], abs=1e-5)
    metrics = json.loads(Path(versions.resolve(str(output)), "metrics.json").read_text())
    assert set(metrics["valid"]) >= {"ndcg@20", "recall@20"}
    assert metrics["milvus"]["recall@5"] > 0.99
    alone = ["sources.item_cf=null", "sources.swing=null", "sources.sequence=null", "sources.two_tower=null"]
    source = ["sources.towers.kind=user_lists", f"sources.towers.path={output}", history, f"output={root}/candidates"]
    run("build_candidates", *alone, *source)
    assert [row["item_id"] for row in table(root / "candidates", "candidates")[1]["items"]] == [
        item["item_id"] for item in lists[1]["items"]
    ]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["towers=features", "features.path=${SEQREC_ROOT}/f"], "f has no finished version"),
        (["towers=features", "features.path=null"], "features.path is needed for towers=features"),
        (["towers=features", "accumulate_steps=2"], "accumulate_steps belongs to towers=histories"),
        (["towers=features", "metric=loss"], "metric=loss belongs to towers=histories"),
        (["data=${SEQREC_ROOT}/none"], "none has no finished version"),
        (["loss.margin=1"], "loss.margin"),
        (["encoder.dims=8"], "did you mean encoder.dim?"),
        (["seed=7"], "holds a training with other settings (seed=42 there, 7 now)"),
        (["milvus.alias=9"], "'9' is no name for Milvus (milvus.alias"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(root: Path, overrides: list[str], said: str) -> None:
    before = sorted(path for path in root.rglob("*") if "stores" not in path.parts)
    with pytest.raises(SystemExit) as ended:
        run("train_two_tower", *TINY, *overrides)
    assert said in str(ended.value.code)
    assert sorted(path for path in root.rglob("*") if "stores" not in path.parts) == before
