"""The job, on a dataset of six items: what it reads, writes and refuses."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import item_similarity
from seqrec.storage import files, versions
from tests.metas import dataset_meta
from tests.retrieval import reference

ROOT = Path(__file__).parents[2]
DATASET = "20260101T000000Z-0001"
IDS = {2: "e", 3: "d", 4: "c", 5: "b", 6: "a", 7: "f"}
TRAIN = [(1, 2), (1, 3), (1, 4), (2, 2), (2, 3), (3, 2), (3, 3), (3, 5), (4, 4), (4, 5), (4, 2), (5, 6), (5, 5)]
TEST = [(1, 5), (2, 6), (3, 7)]


def write_dataset(folder: Path, *, train: list[tuple[int, int]] = TRAIN, test: list[tuple[int, int]] = TEST) -> None:
    """The tables items and events, as the folder's current version."""
    events = [(user, idx, "train") for user, idx in train] + [(user, idx, "test") for user, idx in test]
    size = len(events)
    columns = {
        "user_id": pa.array([user for user, _, _ in events], pa.int64()),
        "item_idx": pa.array([idx for _, idx, _ in events], pa.int32()),
        "rating": pa.nulls(size, pa.float32()),
        "timestamp": pa.array(range(size), pa.int64()),
        "position": pa.array(range(size), pa.int32()),
        "split": pa.array([split for _, _, split in events]),
    }
    items = {
        "item_id": pa.array(IDS.values()),
        "item_idx": pa.array(IDS, pa.int32()),
        "count": pa.array([1] * len(IDS), pa.int64()),
    }
    for name, table in (("events", columns), ("items", items)):
        path = folder / "dataset" / DATASET / name
        path.mkdir(parents=True)
        pq.write_table(pa.table(table), path / "part-00000.parquet")
        (path / "_SUCCESS").touch()
    meta = dataset_meta(DATASET, size=6)
    versions.write_meta(str(folder / "dataset" / DATASET), {**meta, "counts": {"events": {"all": size}}})
    files.write_text(str(folder / "dataset" / versions.CURRENT), DATASET)


@pytest.fixture
def root(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    return tmp_path


def run(*overrides: str) -> None:
    item_similarity.main(["--conf", str(ROOT / "conf" / "item_similarity.yaml"), *overrides])


def error_of(*overrides: str) -> str:
    with pytest.raises(SystemExit) as ended:
        run(*overrides)
    assert isinstance(ended.value.code, str)
    return ended.value.code


def lists(folder: Path) -> dict[str, list[tuple[str, float]]]:
    """The table of the folder's current version."""
    rows = pyarrow.dataset.dataset(f"{versions.resolve(str(folder))}/similar_items").to_table().to_pylist()
    return {row["item_id"]: [(entry["item_id"], entry["score"]) for entry in row["items"]] for row in rows}


def expected(pairs: list[tuple[int, int]], method: str = "item_cf") -> dict[str, list[str]]:
    """The neighbours of each item; 'a' to 'f' stand for 1 to 6, so that ties are ordered by id."""
    sets = reference.within([(user, ord(IDS[idx])) for user, idx in pairs], 1, 1000)
    scores = {"item_cf": reference.item_cf, "swing": reference.swing}[method](sets)
    return {chr(item): [chr(other) for other, _ in row] for item, row in reference.lists(scores, 100).items()}


def ids(found: dict[str, list[tuple[str, float]]]) -> dict[str, list[str]]:
    return {item: [other for other, _ in row] for item, row in found.items()}


def test_it_learns_from_training_events_unless_told_otherwise(root: Path) -> None:
    write_dataset(root)
    run()
    path = versions.resolve(str(root / "item_cf"))
    meta = versions.read_meta(path)
    before = lists(root / "item_cf")
    assert ids(before) == expected(TRAIN)
    assert (meta["dataset"], meta["method"], meta["history"]) == (DATASET, "item_cf", "train")
    assert meta["settings"]["max_users_per_item"] == "auto"
    neighbours = sum(map(len, before.values()))
    assert meta["counts"] == {"items": 5, "neighbours": neighbours, "interactions": 13, "pairs": 22}

    run("history=full", f"output={root}/full")
    assert ids(lists(root / "full")) == expected(TRAIN + TEST)

    (root / "other").mkdir()
    write_dataset(root / "other", test=[(1, 7), (4, 3), (5, 2)])
    run(f"data={root}/other/dataset")
    assert lists(root / "item_cf") == before
    assert len(versions.run_ids(str(root / "item_cf"))) == 2


def test_swing_has_a_folder_of_its_own(root: Path) -> None:
    write_dataset(root)
    run("method=swing", f"output={root}/swing", "top_n=1")
    assert ids(lists(root / "swing")) == {item: row[:1] for item, row in expected(TRAIN, "swing").items()}
    message = error_of(f"output={root}/swing")
    assert "swing holds swing, not item_cf: pass output=FOLDER" in message
    assert len(versions.run_ids(str(root / "swing"))) == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["min_user_items=9", "max_user_items=8"], "max_user_items=8 is below min_user_items=9"),
        (["min_user_items=4"], "no pair to count (0 interactions)"),
        (["max_pairs=21"], "item_cf would count about 22 pairs with max_users_per_item=1000, more than max_pairs=21"),
        (["method=swing", "max_pairs=1"], "swing would count about 13 pairs"),
        (["data=${SEQREC_ROOT}/none"], "none has no finished version"),
        (["method=cosine"], "method='cosine'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(root: Path, overrides: list[str], message: str) -> None:
    write_dataset(root)
    assert message in error_of(*overrides)
    assert not (root / "item_cf").exists()


def test_a_dataset_without_training_events_is_refused(root: Path) -> None:
    write_dataset(root, train=[])
    assert "has no training events" in error_of()
