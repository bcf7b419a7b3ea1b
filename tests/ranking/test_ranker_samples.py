"""The job build_ranker_samples against rows that a loop makes."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import build_ranker_samples
from seqrec.ranking.ranker_samples import label_rows
from seqrec.storage import files, versions
from tests import two_stage


@pytest.fixture(scope="module")
def root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples")
    two_stage.write_dataset(root / "data")
    two_stage.write_candidates(root / "candidates", history="valid")
    two_stage.write_features(root / "features", history="valid")
    names = ("data", "candidates", "features")
    (root / "conf.json").write_text(json.dumps({**{name: f"{root}/{name}" for name in names}, "output": f"{root}/samples"}))
    return root


def build(root: Path, *overrides: str) -> Path:
    build_ranker_samples.main(["--conf", str(root / "conf.json"), "valid_share=0.3", *overrides])
    return Path(versions.resolve(f"{root}/samples"))


def test_samples_are_the_labelled_candidates_with_their_features(root: Path) -> None:
    version = build(root)
    found = pq.read_table(version / "ranker_samples").to_pylist()
    left_out = {3, 4, 8, 9}  # without candidates, or without their target among them
    expected = {}
    for user in set(two_stage.USERS) - left_out:
        for row in two_stage.described_rows(user):
            expected[user, row["item_id"]] = {**row, "label": int(row["item_id"] == two_stage.target_of(user))}
    splits = {row["user_id"]: row["split"] for row in found}
    assert {(row["user_id"], row["item_id"]): {k: v for k, v in row.items() if k != "split"} for row in found} == expected
    assert len(found) == len(expected)
    assert {row["split"] for row in found if splits[row["user_id"]] != row["split"]} == set()
    assert set(splits.values()) == {"train", "valid"}

    meta = versions.read_meta(str(version))
    assert meta["counts"] == {
        "train_users": sum(split == "train" for split in splits.values()),
        "valid_users": sum(split == "valid" for split in splits.values()),
        "rows": len(expected),
        "positives": len(splits),
        "without_candidates": 2,
        "without_target": 2,
        "items_without_features": sum(row["item_id"] == "d" for row in found),
    }
    assert meta["counts"]["items_without_features"] > 0
    assert (meta["history"], list(meta["sources"]), meta["candidates"]) == ("valid", ["cf", "m"], two_stage.VERSION)
    listed = json.loads((version / "feature_schema.json").read_text())
    assert (listed["genres"], set(listed)) == (["Drama", "War"], {"genres", "recent_items", "ranker_samples"})
    of_sources = [f"{kind}_{name}" for name in ("merged", "cf", "m") for kind in ("rank", "score")]
    assert listed["ranker_samples"] == {
        "discrete": [name for name in two_stage.DISCRETE if name != "user_id"],
        "continuous": [*two_stage.CONTINUOUS, *two_stage.COUNTS, *of_sources],
    }
    features = {name for names in listed["ranker_samples"].values() for name in names}
    assert features == set(found[0]) - {"label", "split", "user_id"}


def test_the_split_is_the_seeds_alone(spark: SparkSession) -> None:
    users = spark.createDataFrame([(user, 2, [2]) for user in range(300)], "user_id bigint, item_idx int, _targets array<int>")

    def held_out(seed: int, partitions: int) -> set[int]:
        rows = label_rows(users.repartition(partitions), valid_share=0.3, seed=seed)
        return {row["user_id"] for row in rows.where("split = 'valid'").collect()}

    assert held_out(1, 1) == held_out(1, 5)
    assert held_out(1, 1) != held_out(2, 1)
    assert 60 < len(held_out(1, 1)) < 120


def test_what_does_not_belong_together_is_refused(root: Path, tmp_path: Path) -> None:
    two_stage.write_candidates(tmp_path / "lists", history="test")
    two_stage.write_features(tmp_path / "described", history="test")
    two_stage.write_features(tmp_path / "without", history="valid")
    two_stage.write_features(tmp_path / "taken", history="valid")
    listed = {"genres": [], "ranking_samples": {"discrete": ["Split"], "continuous": []}}
    (tmp_path / "taken" / two_stage.VERSION / "feature_schema.json").write_text(json.dumps(listed))
    two_stage.write_candidates(tmp_path / "dotted", history="valid", sources=("a.b",))
    two_stage.write_candidates(tmp_path / "cased", history="valid", sources=("cf", "CF"))
    (tmp_path / "without" / two_stage.VERSION / "feature_schema.json").write_text('{"genres": []}')
    learned = {"table": "ranker_samples", "run_id": two_stage.VERSION, "history": "valid"}
    two_stage.write_candidates(tmp_path / "telling", history="valid", learned=learned)
    before = versions.run_ids(f"{root}/samples") if files.exists(f"{root}/samples") else []
    wrong = {
        r"features of dataset \S+ with history=test, .* history=valid: run build_features": [f"features={tmp_path}/described"],
        r"made with history=test, not valid: run build_candidates and build_features history=valid": [
            f"candidates={tmp_path}/lists",
            f"features={tmp_path}/described",
        ],
        r"has a feature called Split, as a column of samples or of candidates is: rename it": [f"features={tmp_path}/taken"],
        r"has a source called 'a.b', which can't be in a column's name": [f"candidates={tmp_path}/dotted"],
        r"the sources of \S+ give two columns the name rank_cf, but for upper and lower case": [f"candidates={tmp_path}/cased"],
        r"the ranker of its source cf learned which items history=valid holds out, and its scores tell the labels": [
            f"candidates={tmp_path}/telling"
        ],
        r"feature_schema.json is missing, or lists no features": [f"features={tmp_path}/without"],
        r"valid_share=1e-05 holds out none of the users \(8 of the 12 users": ["valid_share=0.00001"],
        r"8 of the 12 users .*, and none is left to train on": ["valid_share=0.99999"],
    }
    for said, overrides in wrong.items():
        with pytest.raises(SystemExit, match=said):
            build(root, *overrides)
    assert (versions.run_ids(f"{root}/samples") if files.exists(f"{root}/samples") else []) == before
