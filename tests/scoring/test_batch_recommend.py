"""Versions of recommendations, by the job and by its parts."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs import batch_recommend, export_onnx
from seqrec.errors import UserError
from seqrec.export.export_onnx import export
from seqrec.publishing.lists_version import open_lists
from seqrec.scoring.lists import ListSettings, ListTask, recommend_batches
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import recommend_users
from seqrec.serving.exports import locate
from seqrec.serving.extended_sequence import Conditions
from seqrec.serving.recommender import Recommender
from seqrec.storage import versions
from tests.scoring.folders import COUNTS, IDS, SEQUENCES, lineage, write_dataset, write_training
from tests.scoring.toy import write_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that is newer than the model, and the model, exported by its job."""
    root = tmp_path_factory.mktemp("batch")
    write_dataset(root / "data", vocabulary=lineage("v1", "v2"))
    write_training(root / "model")
    (root / "conf.yaml").write_text(f"data: {root}/data\nmodel: {root}/model\n")
    export_onnx.main(["--conf", str(root / "conf.yaml")])
    return root


@pytest.fixture(autouse=True)
def _no_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")


def recommend(root: Path, *overrides: str, output: str = "output") -> None:
    """Run the job, without publication."""
    batch_recommend.main(["--conf", str(root / "conf.yaml"), f"output={root}/{output}", "publish=false", *overrides])


def table(spark: SparkSession, root: Path, name: str, output: str = "output") -> dict[int, Any]:
    found = spark.read.parquet(f"{versions.resolve(f'{root}/{output}')}/{name}")
    return {row[0]: row for row in found.collect()}


def test_a_version_is_what_the_model_says(spark: SparkSession, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        recommend(root, "top_k=4", "write=[recommendations, user_embeddings]")
    assert "1 of 5 users have had all items that may be recommended: their lists are empty" in caplog.text
    found = table(spark, root, "recommendations")
    recommender = Recommender.load(f"{root}/model")
    names = dict(enumerate(IDS, start=2))
    for user, items in SEQUENCES.items():
        expected = recommender.recommend([names[item] for item in items], k=4)
        assert [item["item_id"] for item in found[user]["items"]] == [item for item, _ in expected]
        assert [item["score"] for item in found[user]["items"]] == pytest.approx([score for _, score in expected], rel=1e-4)
        assert found[user]["source"] == ("none" if set(items) == set(names) else "model" if items else "popular")
        assert found[user]["model"] == "tiny"
    assert [item["item_id"] for item in found[3]["items"]] == ["a", "c", "d", "b"]
    assert set(table(spark, root, "user_embeddings")) == {1, 2, 4, 5}
    meta = versions.read_meta(versions.resolve(f"{root}/output"))
    assert {row["run_id"] for row in found.values()} == {meta["run_id"]}
    assert meta["counts"] == {"users": 5, "popular": 1, "empty": 1, "user_embeddings": 4, "item_embeddings": len(COUNTS)}
    assert (meta["model"], meta["model_run_id"], meta["history"], meta["top_k"]) == ("tiny", "20260102T000000Z-0002", "full", 4)
    assert meta["users"] is None
    lists = open_lists(spark, versions.resolve(f"{root}/output"), users=None)
    assert "next_items" not in {*found[1].asDict(), *lists.recommendations().columns, *meta["counts"]}
    assert meta["id_types"] == {"user": "bigint", "item": "string"}


def test_the_next_items_are_those_of_extend(spark: SparkSession, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        recommend(root, "top_k=2", "horizon=3", f"deny={deny(root, 'e')}", output="following")
    found = table(spark, root, "recommendations", "following")
    recommender, names = Recommender.load(f"{root}/model"), dict(enumerate(IDS, start=2))
    for user, items in SEQUENCES.items():
        longer = recommender.extend([names[item] for item in items], 3, conditions=Conditions(deny=["e"]))
        following = found[user]["next_items"]
        assert [item["item_id"] for item in following] == [item.item_id for item in longer.added]
        assert [item["score"] for item in following] == pytest.approx([item.score for item in longer.added], rel=1e-4)
        if len(set(items)) == len(items):
            assert following[:1] == found[user]["items"][:1]
    assert {user: len(row["next_items"]) for user, row in found.items()} == {1: 1, 2: 3, 3: 3, 4: 0, 5: 3}
    assert "next items: 3 entries of histories are left out" in caplog.text
    version = versions.resolve(f"{root}/following")
    meta = versions.read_meta(version)
    assert (meta["horizon"], meta["counts"]["repeated"]) == (3, 3)
    assert "next_items" in open_lists(spark, version, users=None).recommendations().columns


@pytest.mark.parametrize("by", ["vectors", "drop"])
def test_items_have_the_reasons_that_the_model_gives(spark: SparkSession, root: Path, by: Literal["vectors", "drop"]) -> None:
    recommend(root, "top_k=3", "horizon=1", "explain=2", f"explain_by={by}", "filter_seen=false", output=by)
    found = table(spark, root, "recommendations", by)
    recommender, names = Recommender.load(f"{root}/model"), dict(enumerate(IDS, start=2))
    for user, items in SEQUENCES.items():
        listed = [entry["item_id"] for entry in found[user]["items"]]
        expected = recommender.explain([names[item] for item in items], listed, 2, by=by)
        assert [[tuple(why) for why in entry["because"]] for entry in found[user]["items"]] == expected
        assert any(expected) == (len(items) > 0)
    version = versions.resolve(f"{root}/{by}")
    meta = versions.read_meta(version)
    assert meta["explanation"] == {"most": 2, "by": by}
    without = [not entry["because"] for row in found.values() for entry in row["items"] if row["source"] == "model"]
    assert (meta["counts"]["popular"], meta["counts"]["unexplained"]) == (1, sum(without))
    published = open_lists(spark, version, users=None).recommendations()
    assert {row["user_id"]: row["items"] for row in published.collect()} == {user: row["items"] for user, row in found.items()}


def test_next_items_may_be_seen_ones(spark: SparkSession, root: Path) -> None:
    recommend(root, "horizon=3", "filter_seen=false", "batch_size=1", "write=[recommendations, user_embeddings]", output="seen")
    found = table(spark, root, "recommendations", "seen")
    recommender, names = Recommender.load(f"{root}/model"), dict(enumerate(IDS, start=2))
    for user, items in SEQUENCES.items():
        longer = recommender.extend([names[item] for item in items], 3, conditions=Conditions(filter_seen=False))
        assert [item["item_id"] for item in found[user]["next_items"]] == [item.item_id for item in longer.added]
        assert len(longer.added) == 3


def test_the_users_of_a_batch_have_their_own_next_items(spark: SparkSession, tmp_path: Path) -> None:
    """Among them one of whom the model knows nothing, and one whose history repeats an item."""
    random = np.random.default_rng(5)
    matrix = random.standard_normal((42, 8)).astype(np.float32)
    write_model(tmp_path / "toy", matrix, list(range(100, 140)), [1] * 40)
    task = ListTask(model=ship(spark, locate(str(tmp_path / "toy"))), lists=ListSettings(top_k=2, horizon=3))

    def following(histories: list[list[int]]) -> list[Any]:
        columns = {
            "user_id": pa.array(range(len(histories)), pa.int64()),
            "items": pa.array(histories, pa.list_(pa.int32())),
            "seen": pa.array(histories, pa.list_(pa.int32())),
            "user": pa.array([0] * len(histories), pa.int64()),
        }
        [found] = recommend_batches(iter([pa.RecordBatch.from_pydict(columns)]), task=task)
        return [[entry["item_id"] for entry in items] for items in found.column("next_items").to_pylist()]

    histories = [[], [2, 3], [4, 5, 4], [], *random.integers(2, 42, (9, 20)).tolist()]
    assert following(histories) == [following([history])[0] for history in histories]


def deny(root: Path, *items: str) -> Path:
    (root / "denied.txt").write_text("\n".join(items))
    return root / "denied.txt"


def test_a_subset_with_lists_of_items(spark: SparkSession, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "allow.txt").write_text("b\nc\ne\nf\nzzz\n")
    (root / "deny.csv").write_text("item_id\ne\n")
    with caplog.at_level("WARNING"):
        recommend(root, "users=[2, 3, 77]", f"allow={root}/allow.txt", f"deny={root}/deny.csv", output="subset")
    [run_id] = versions.run_ids(f"{root}/subset")
    with pytest.raises(UserError, match=r"has no finished version \(no file CURRENT\)"):
        versions.resolve(f"{root}/subset")
    found = table(spark, root, "recommendations", f"subset/{run_id}")
    assert {user: sorted(item["item_id"] for item in row["items"]) for user, row in found.items()} == {
        2: ["b", "c"],
        3: ["b", "c"],
    }
    assert "1 of the 3 users asked for" in caplog.text
    assert "1 of the 5 items in" in caplog.text
    assert versions.read_meta(f"{root}/subset/{run_id}")["users"] == ["2", "3", "77"]


def test_user_embeddings_alone(spark: SparkSession, root: Path) -> None:
    recommend(root, "write=[user_embeddings]", output="embeddings")
    version = Path(versions.resolve(f"{root}/embeddings"))
    assert set(table(spark, root, "user_embeddings", "embeddings")) == {1, 2, 4, 5}
    assert not (version / "recommendations").exists()


def test_what_cannot_be_scored_leaves_nothing(
    spark: SparkSession, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path / "other", vocabulary=lineage("v9"))
    [part] = Path(versions.resolve(write_dataset(tmp_path / "cut")), "sequences").glob("*.parquet")
    part.write_bytes(b"")
    (tmp_path / "deny.txt").write_text("\n".join(IDS))
    cases = {
        f"data={tmp_path}/other": "neither extends the other",
        f"data={tmp_path}/cut": r"part-00000\.parquet has 0 bytes, .* were written: run build_sequences again",
        "users=[77]": "has no user to score among those of users=",
        "users=[x]": "are not of type bigint",
        f"deny={tmp_path}/deny.txt": r"^error: deny=\S+ leaves no item of the 6 that the model knows: allow more",
        f"model={tmp_path}": "run export_onnx",
        "history=valid": "doesn't exist",
        "write=[user_embeddings]": "publish=true needs recommendations",
        "horizon=0": "horizon.*greater than or equal to 1",
        "write=[user_embeddings] horizon=2": "horizon=2 needs recommendations in write",
        "write=[user_embeddings] explain=2": "explain=2 needs recommendations in write",
        "explain=0": "explain.*greater than or equal to 1",
        "publish=true history=test": "history=test leaves out what users had last, .*: set publish=false, or guards.any_history",
        "explain_by=drop": "explain_by=drop has no effect without explain",
    }
    monkeypatch.setenv("MONGODB_URI", "mongodb://localhost:1")
    for override, said in cases.items():
        overrides = [override, "publish=true"] if override.endswith("embeddings]") else override.rsplit(" ", 1)
        with pytest.raises(SystemExit, match=said):
            recommend(root, *overrides, output="nothing")
    assert not (root / "nothing").exists()


def test_an_allow_list_of_items_without_a_training_event_is_refused(spark: SparkSession, root: Path, tmp_path: Path) -> None:
    """Item f has no training event: allowed alone, it would leave every list empty."""
    (tmp_path / "allow.txt").write_text("f\n")
    with pytest.raises(
        SystemExit, match=r"^error: allow=\S+ leaves 1 of the 6 items that the model knows, and 0 of them have a training event"
    ):
        recommend(root, f"allow={tmp_path}/allow.txt", output="nothing")
    assert not (root / "nothing").exists()
    (tmp_path / "allow.txt").write_text("f\nb\n")
    recommend(root, f"allow={tmp_path}/allow.txt", output="allowed")
    assert versions.read_meta(versions.resolve(f"{root}/allowed"))["available"] == 1


def test_items_newer_than_the_model_are_counted_in_a_warning(
    spark: SparkSession, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = lineage("v1", "v2")
    newer["size"] = 9
    write_dataset(tmp_path / "newer", vocabulary=newer)
    with caplog.at_level("WARNING"):
        recommend(root, f"data={tmp_path}/newer", "users=[1]", output="newer")
    assert "3 items of the dataset are newer than the model" in caplog.text


def test_an_export_meanwhile_changes_nothing_for_a_reader(spark: SparkSession, root: Path, tmp_path: Path) -> None:
    """The executors open the model's files when the query runs, after another model was exported."""
    model = write_training(tmp_path / "model")
    exported = export(model, data=f"{root}/data", keep=2)
    recommender = Recommender.load(model)
    histories = spark.createDataFrame([(1, [2], [2])], "user_id bigint, items array<int>, seen array<int>")
    scored = recommend_users(histories, model=ship(spark, exported), lists=ListSettings(top_k=3))
    write_training(tmp_path / "model", seed=2)
    export(model, data=f"{root}/data", keep=2)
    (row,) = scored.collect()
    assert [item["item_id"] for item in row["items"]] == [item for item, _ in recommender.recommend(["a"], k=3)]

    recommend(root, f"model={model}/exports/{exported.meta.export}", "top_k=3", output="older")
    found = table(spark, root, "recommendations", "older")
    assert [item["item_id"] for item in found[1]["items"]] == [item for item, _ in recommender.recommend(["a", "b", "c"], k=3)]
    assert versions.read_meta(versions.resolve(f"{root}/older"))["export"] == exported.meta.export


def test_item_embeddings_of_another_model_are_refused(spark: SparkSession, root: Path, tmp_path: Path) -> None:
    tables = []
    for seed in (1, 2):
        model = write_training(tmp_path / f"model{seed}", seed=seed)
        tables.append(Path(export(model, data=f"{root}/data").embeddings))
    said = f"part-00000.parquet is not the file that meta.json names .*run export_onnx model={tmp_path}/model1 again"
    cases = {"part-00000.parquet": said, "part-00001.parquet": r"has files that meta.json doesn't name .part-00001.parquet"}
    for name, message in cases.items():
        before = (tables[0] / "part-00000.parquet").read_bytes()
        shutil.copy(tables[1] / "part-00000.parquet", tables[0] / name)
        with pytest.raises(SystemExit, match=message):
            recommend(root, f"model={tmp_path}/model1", output="mixed")
        (tables[0] / "part-00000.parquet").write_bytes(before)
    assert not (root / "mixed").exists()


def test_a_run_that_was_killed_is_run_again(spark: SparkSession, root: Path) -> None:
    recommend(root, output="killed")
    first = versions.resolve(f"{root}/killed")
    unfinished = root / "killed" / versions.new_run_id()
    (unfinished / "recommendations" / "_temporary").mkdir(parents=True)
    assert versions.resolve(f"{root}/killed") == first
    recommend(root, output="killed")
    assert json.loads(Path(versions.resolve(f"{root}/killed"), "meta.json").read_text())["counts"]["users"] == 5


def test_lists_of_held_out_histories_need_a_model_that_has_not_learned_them(
    spark: SparkSession, root: Path, tmp_path: Path
) -> None:
    for name in ("model", "data"):
        shutil.copytree(root / name, tmp_path / name)
    export, dataset = (versions.resolve(f"{tmp_path}/{name}") for name in ("model/exports", "data"))
    versions.write_meta(export, versions.read_meta(export) | {"dataset": "29990101T000000Z-0000"})
    versions.write_meta(dataset, versions.read_meta(dataset) | {"task": "train_val_test"})
    with pytest.raises(SystemExit, match=r"was trained on the dataset 29990101T000000Z-0000, newer than .*: it may have learned"):
        recommend(root, f"model={tmp_path}/model", f"data={tmp_path}/data", "history=test", output="nothing")
    assert not (root / "nothing").exists()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], r"next: ./spark-submit.sh publish output=ROOT/next$"),
        (["users=[1, 2]"], r"next: ./spark-submit.sh publish output=ROOT/next version=[\w-]+$"),
    ],
)
def test_what_comes_next_is_of_this_version(
    spark: SparkSession, root: Path, caplog: pytest.LogCaptureFixture, overrides: list[str], said: str
) -> None:
    with caplog.at_level("INFO", logger="seqrec"):
        recommend(root, "top_k=4", *overrides, output="next")
    assert re.search(said.replace("ROOT", str(root)), caplog.messages[-1])
