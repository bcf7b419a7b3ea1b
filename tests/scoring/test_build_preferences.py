"""The job: training events into pairs, the same for any partitioning, of no item that is held out by its split."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from pyspark.sql import SparkSession

from jobs.build_preferences import next_training, run
from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.settings.build_preferences import BuildPreferences
from seqrec.settings.train import Train
from seqrec.storage import versions
from tests.metas import dataset_meta
from tests.scoring.toy import write_model

CONF = str(Path(__file__).parents[2] / "conf" / "build_preferences.yaml")
RUN_ID = "20260101T000000Z-0001"
V = 8  # items 10 to 17 with the indices 2 to 9; nobody had the last in training
EVENTS: dict[int, list[tuple[int, float, str]]] = {  # index, rating, split
    1: [(2, 5, "train"), (3, 4, "train"), (4, 1, "train"), (5, 5, "train"), (6, 1, "train"), (7, 5, "valid"), (8, 1, "test")],
    2: [(3, 2, "train"), (2, 2, "train"), (8, 5, "valid"), (9, 5, "test")],
    3: [(4, 3, "train")],
    4: [(item, 3, "train") for item in (2, 3, 4, 5, 6, 7, 8)],
}
MATRIX = np.eye(V + 2, 4, k=-2, dtype=np.float32)
MATRIX[6:] = [[0.9, 0.1, 0, 0], [0, 0, 0.5, 0.5], [3, 0, 0, 1], [9, 9, 9, 9]]


def write_events(folder: Path, *, rated: bool = True, files: int = 1, run_id: str = RUN_ID) -> None:
    """A dataset with the tables events and items."""
    rows = [
        {
            "user_id": user,
            "item_idx": item,
            "rating": rating if rated else None,
            "timestamp": place,
            "position": place,
            "split": split,
        }
        for user, events in EVENTS.items()
        for place, (item, rating, split) in enumerate(events)
    ]
    kinds: list[Any] = [pa.int64(), pa.int32(), pa.float32(), pa.int64(), pa.int32(), pa.string()]
    schema = pa.schema(list(zip(rows[0], kinds, strict=True)))
    version = folder / run_id
    for name in ("events", "items"):
        (version / name).mkdir(parents=True)
        (version / name / "_SUCCESS").touch()
    for number in range(files):
        pq.write_table(pa.Table.from_pylist(rows[number::files], schema), version / "events" / f"part-{number}.parquet")
    counts = pa.array([*[1] * (V - 1), 0], pa.int64())
    ids = {"item_id": pa.array(range(10, 10 + V), pa.int64()), "item_idx": pa.array(range(2, V + 2), pa.int32())}
    pq.write_table(pa.table({**ids, "count": counts}), version / "items" / "part-0.parquet")
    meta = {**dataset_meta(run_id, size=V, item="bigint"), "max_len": 3}
    meta["vocabulary"] = {"size": V, "hash": f"hash-{V}", "lineage": [{"size": V, "hash": f"hash-{V}"}]}
    versions.write_meta(str(version), meta)
    (folder / "CURRENT").write_text(run_id + "\n")


def write_scorer(folder: Path, *, dataset: str) -> None:
    write_model(folder, MATRIX, list(range(10, 10 + V)), [*[1] * (V - 1), 0], max_len=2)
    meta = folder / "meta.json"
    meta.write_text(meta.read_text().replace('"20250101T000000Z-0001"', f'"{dataset}"'))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset and a model of its items, whose query is the sum of the newest items' rows."""
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    write_events(tmp_path / "dataset")
    write_scorer(tmp_path / "model", dataset=RUN_ID)
    return tmp_path


def build(*overrides: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Run the job: the pairs in the order of the files, and the counts."""
    cfg = load_config(BuildPreferences, CONF, list(overrides))
    run(cfg)
    version = Path(versions.resolve(cfg.output))
    parts = sorted((version / "preferences").glob("*.parquet"))
    counts: dict[str, int] = json.loads((version / "meta.json").read_text())["counts"]
    return [row for part in parts for row in pq.read_table(part).to_pylist()], counts


def triples(rows: list[dict[str, Any]]) -> set[tuple[tuple[int, ...], int, int]]:
    return {(tuple(row["context"]), row["chosen"], row["rejected"]) for row in rows}


def test_scored_items_are_the_best_that_the_user_has_not_had(spark: SparkSession, root: Path) -> None:
    """The query is the sum of the newest two rows. User 1 has had 2 to 6, so 7 and 8 are left, though both are held out; 9 has no
    training event; user 4 has had all that can be rejected, and user 3 has nothing to choose.
    """
    rows, counts = build("top=1")
    expected = {  # scores of 8: 3 · first + last component; of 7: half of the last two
        ((2,), 3, 8),  # 3 and 0
        ((2, 3), 4, 8),  # 3 and 0
        ((2, 3, 4), 5, 7),  # query (0, 1, 1, 0): 0 and 0.5
        ((3, 4, 5), 6, 7),  # query (0, 0, 1, 1): 1 and 1, the lower index wins
        ((3,), 2, 6),  # of user 2: query (0, 1, 0, 0), and 6 alone has a score above 0
    }
    assert triples(rows) == expected
    assert {row["source"] for row in rows} == {"scored"}
    assert counts == {"pairs": 5, "users": 2, "scored": 5, "without": 6}


def test_neighbours_are_like_the_chosen_item(spark: SparkSession, root: Path) -> None:
    """By cosine in the model's matrix; 8 is (3, 0, 0, 1). User 2 chose 2: 6 is next to it, then 8."""
    rows, counts = build("top=1", "shares={scored: 0, neighbours: 1}")
    assert ((3,), 2, 6) in triples(rows)
    assert ((2, 3), 4, 7) in triples(rows)  # of user 1, who has had the others
    assert counts["neighbours"] == counts["pairs"] == 5
    vectors = {
        "item_id": pa.array([10, 11, 12], pa.int64()),
        "embedding": pa.array([[1.0, 0], [0, 1.0], [9, 1]], pa.list_(pa.float32())),
    }
    (root / "vectors").mkdir()
    pq.write_table(pa.table(vectors), root / "vectors" / "part-0.parquet")
    rows, counts = build("model=null", f"vectors={root}/vectors", "shares={scored: 0, neighbours: 1}")
    assert triples(rows) == {((3,), 2, 4)}  # user 1 has had all three
    assert counts == {"pairs": 1, "users": 1, "neighbours": 1, "without": 10}


def test_low_rated_items_come_later_and_are_below_the_mean(spark: SparkSession, root: Path) -> None:
    """User 1's mean is 3.2: 3 and 5 are chosen, 4 and 6 rejected, but not 4 where it is in the context. No other has any."""
    rows, counts = build("model=null", "shares={scored: 0, low_rated: 1}")
    found = triples(rows)
    assert {(context, chosen) for context, chosen, _ in found} == {((2,), 3), ((2, 3, 4), 5)}
    assert ((2, 3, 4), 5, 6) in found
    assert {rejected for context, _, rejected in found if context == (2,)} <= {4, 6}
    assert counts == {"pairs": 2, "users": 1, "low_rated": 2, "without": 0}


def test_the_pairs_do_not_depend_on_partitions(spark: SparkSession, root: Path) -> None:
    keys = ("shares={scored: 1, neighbours: 1, low_rated: 1}", "pairs_per_user=6", "files_multiple=2")
    first, counts = build(*keys)
    assert {name: counts[name] for name in ("scored", "neighbours", "low_rated")} == {
        "scored": 3,
        "neighbours": 3,
        "low_rated": 2,
    }
    other = root / "other"
    write_events(other, files=5)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    try:
        assert build(*keys, f"data={other}")[0] == first
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))
    assert build(*keys, "seed=7")[0] != first


def test_held_out_targets_are_never_seen(spark: SparkSession, root: Path) -> None:
    """With other targets the pairs are the same: what is held out is used in no way."""
    first, _ = build()
    events, other = EVENTS[1], root / "other"
    try:
        EVENTS[1] = [*events[:5], (9, 1.0, "valid"), (2, 1.0, "test")]
        write_events(other)
    finally:
        EVENTS[1] = events
    assert build(f"data={other}")[0] == first


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("shares={scored: 0, low_rated: 1}",), "events of .* have none: run build_sequences with input.columns.rating"),
        (("model={root}/newer",), "may have learned what is held out there"),
        (("shares={scored: 0, neighbours: 1}", "vectors={root}/strange"), "none of its 1 ids is an item of"),
        (("shares={scored: 0, neighbours: 1}", "vectors={root}/ragged"), r"vectors have \[1, 2\] numbers"),
    ],
)
def test_what_cannot_be_made_is_refused(
    spark: SparkSession, root: Path, overrides: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    unrated = root / "unrated"
    write_events(unrated, rated=False)
    if "newer" in overrides[0]:
        write_scorer(root / "newer", dataset="20270101T000000Z-0001")
    for name, ids, rows in (("strange", [99], [[1.0]]), ("ragged", [10, 11], [[1.0], [1.0, 2.0]])):
        (root / name).mkdir()
        columns = {"item_id": pa.array(ids, pa.int64()), "embedding": pa.array(rows, pa.list_(pa.float32()))}
        pq.write_table(pa.table(columns), root / name / "part-0.parquet")
    with pytest.raises(UserError, match=said):
        build(f"data={unrated}", *(key.format(root=root) if "{root}" in key else key for key in overrides))
    assert not (root / "preferences" / "CURRENT").exists()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"shares": {"scored": 0}}, "all shares are 0"),
        ({}, "needs a model that scores"),
        ({"shares": {"scored": 0, "neighbours": 1}}, "needs vectors of items"),
    ],
)
def test_settings_without_a_source_are_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BuildPreferences.model_validate({"data": "d", "output": "o", **keys})


def test_what_comes_next_is_a_training_into_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/seq")
    cfg = load_config(BuildPreferences, CONF, ["data=/own/dataset"])
    _, job, *keys = shlex.split(next_training(cfg))
    train = load_config(Train, str(Path(CONF).with_name("train.yaml")), keys)
    assert (job, train.data, train.init, train.model) == ("train", "/own/dataset", "/seq/model", "/seq/model_preferring")
    assert train.optimizer.lr == 1e-4
