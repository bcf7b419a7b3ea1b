"""The job as a whole: against plain Python, whatever the partitions; nothing changes when it fails."""

import json
import logging
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.build_sequences import run
from seqrec.command.config import load_config
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences
from seqrec.storage import versions
from seqrec.user_hashes import hash_ids
from tests.dataset import reference

CONF = str(Path(__file__).parents[2] / "conf" / "build_sequences.yaml")
DAY = 86_400_000


def rows_of(seed: int) -> list[tuple[int, str, float, int]]:
    """Ratings of 30 users over 25 items with ties, duplicates, low ratings, users below the core and neighbours that repeat."""
    draw = random.Random(seed)
    rows = []
    for user in range(30):
        for _ in range(draw.choice((1, 3, 8, 15, 30))):
            rows.append((user, f"i{int(25 * draw.random() ** 2)}", float(draw.randint(1, 5)), draw.randint(1, 40) * DAY))
    return rows + rows[:40]


def write_csv(path: Path, rows: list[tuple[int, str, float, int]]) -> str:
    lines = (f"{user},{item},{rating},{timestamp // 1000}" for user, item, rating, timestamp in rows)
    path.write_text("user_id,item_id,rating,timestamp\n" + "\n".join(lines) + "\n")
    return str(path)


def build(monkeypatch: pytest.MonkeyPatch, folder: Path, *overrides: str) -> Path:
    """Run the job; the folder of the version."""
    monkeypatch.setenv("SEQREC_ROOT", str(folder))
    run(load_config(BuildSequences, CONF, [f"data={folder}/dataset", *overrides]))
    return Path(versions.resolve(f"{folder}/dataset"))


def table(path: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    rows: list[dict[str, Any]] = pq.read_table(path / name).to_pylist()
    return rows


def assert_equal(path: Path, expected: reference.Expected) -> None:
    items = sorted((row["item_id"], row["item_idx"], row["count"]) for row in table(path, "items"))
    assert items == sorted(expected.items)
    events: dict[int, list[tuple[int, int, str]]] = {}
    for row in sorted(table(path, "events"), key=lambda row: (row["user_id"], row["position"])):
        theirs = events.setdefault(row["user_id"], [])
        assert row["position"] == len(theirs)
        theirs.append((row["item_idx"], row["timestamp"], row["split"]))
    assert events == expected.events
    sequences = {row["user_id"]: (row["items"], row["seen"]) for row in table(path, "sequences")}
    assert sequences == expected.sequences
    users = {int(hashed): user for user, hashed in zip(sequences, hash_ids(pa.array(list(sequences))), strict=True)}
    assert sorted((users[row["user"]], tuple(row["items"])) for row in table(path, "windows")) == expected.windows
    for name in ("valid", "test"):
        found = {row["user_id"]: (row["items"], row["seen"], row["targets"]) for row in table(path, name)}
        assert found == expected.held_out[name]
    assert_stats(json.loads((path / "stats.json").read_text()), expected)


def assert_stats(stats: dict[str, Any], expected: reference.Expected) -> None:
    """The shares of targets that are the item before, and the first and last times."""
    trained = [
        (number > 0 and events[number - 1][0] == item)
        for events in expected.events.values()
        for number, (item, _, split) in enumerate(events)
        if split == "train"
    ]
    shares = {"train": sum(trained) / len(trained)}
    for name in ("valid", "test"):
        users = expected.held_out[name].values()
        repeats, sizes = [items[-1] in targets for items, _, targets in users], [len(targets) for _, _, targets in users]
        shares[name] = sum(repeats) / max(sum(sizes), 1)
        assert stats["targets"][name] == sum(sizes)
        assert stats["targets"][f"{name}_per_user"] == pytest.approx(sum(sizes) / max(len(sizes), 1))
        assert stats["targets"][f"most_in_{name}"] == max(sizes, default=0)
    assert stats["repeated_targets"] == pytest.approx(shares)
    assert stats["times"] == {"first": "1970-01-02T00:00:00Z", "last": "1970-02-10T00:00:00Z"}
    assert stats["types"]["time"] == "s"


CASES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "leave_last": (
        ["min_rating=3", "max_history=7", "window_stride=newest"],
        {"split": reference.leave_last(("test", "valid")), "max_history": 7, "stride": None},
    ),
    "hold_out": (
        ["min_rating=3", "hold_out=3"],
        {"split": reference.leave_last((*["test"] * 3, *["valid"] * 3))},
    ),
    "stride": (
        ["task=train_val", "min_rating=3", "window_stride=2", "drop_consecutive_duplicates=true"],
        {"split": reference.leave_last(("valid",)), "stride": 2, "collapse": True},
    ),
    "by_time": (
        ["min_rating=3", "split_times=[1970-01-26, 2764800]"],
        {"split": reference.by_time(25 * DAY, 32 * DAY), "first_cut": 25 * DAY},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_tables_are_those_of_plain_python(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    rows = rows_of(7)
    overrides, arguments = CASES[case]
    path = build(
        monkeypatch,
        tmp_path,
        f"input.path={write_csv(tmp_path / 'r.csv', rows)}",
        "max_len=4",
        "k_core.users=3",
        "k_core.items=4",
        *overrides,
    )
    pairs = spark.createDataFrame([(user, item) for user, item, _, _ in set(rows)], "user bigint, item string")
    ties = {
        (row["user"], row["item"]): row["tie"] for row in pairs.select("*", F.xxhash64("user", "item").alias("tie")).collect()
    }
    ratings = {reference.Rating(*row, ties[row[0], row[1]]) for row in rows}
    given: dict[str, Any] = {"users": 3, "items": 4, "min_rating": 3, "max_len": 4, "stride": 4, "max_history": 5000, **arguments}
    expected = reference.build(ratings, **given)
    assert_equal(path, expected)
    whole = [user for user, events in expected.events.items() if all(split == "train" for _, _, split in events)]
    short = json.loads((path / "stats.json").read_text())["users"]["too_short_to_hold_out"]
    assert short == (0 if "first_cut" in given else len(whole))
    assert bool(whole) == (case == "hold_out")


def content(path: Path) -> dict[str, Any]:
    """All a version holds: tables as sets of rows but windows file by file, stats and vocabulary."""
    tables = {name: sorted(map(repr, table(path, name))) for name in ("items", "events", "sequences", "valid", "test")}
    files = sorted((path / "windows").glob("part-*.parquet"))
    windows = [pq.read_table(file).to_pylist() for file in files]
    assert all(pq.ParquetFile(file).num_row_groups == 1 for file in files)
    return {
        **tables,
        "windows": windows,
        "stats": json.loads((path / "stats.json").read_text()),
        "meta": versions.read_meta(str(path))["vocabulary"],
    }


def test_the_output_is_equal_for_1_7_and_33_partitions(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(11)
    found = []
    for partitions in (1, 7, 33):  # of 30 users
        source = str(tmp_path / f"in{partitions}")
        frame = spark.createDataFrame(rows, "user_id bigint, item_id string, rating double, timestamp bigint")
        frame.repartition(partitions).write.parquet(source)
        given = [
            "input.format=parquet",
            "input.time_unit=ms",
            "k_core.users=3",
            "k_core.items=3",
            "max_len=4",
            "window_stride=2",
            "files_multiple=3",
        ]
        folder = tmp_path / f"out{partitions}"
        path = build(monkeypatch, folder, f"input.path={source}", f"partitions={partitions}", "rows_per_file=8", *given)
        found.append(content(path))
    assert found[0] == found[1]
    assert found[0] == found[2]
    sizes = [len(rows) for rows in found[0]["windows"]]
    assert len(sizes) % 3 == 0
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == found[0]["stats"]["windows"] > 24


def test_times_are_utc_whatever_the_session_was_told(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two ratings an hour before and after the cut, in times without a zone."""
    times = ["2026-01-01T12:00:00", "2026-01-31T23:00:00", "2026-02-01T01:00:00", "2026-03-01T12:00:00"]
    lines = [f"{user},i,5,{time}" for user in range(2) for time in times]
    (tmp_path / "r.csv").write_text("user_id,item_id,rating,timestamp\n" + "\n".join(lines) + "\n")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    given = ["k_core.users=1", "k_core.items=1", "split_times=[2026-02-01, 2026-03-01]"]
    path = build(monkeypatch, tmp_path, f"input.path={tmp_path}/r.csv", *given)
    events = {(row["position"], row["timestamp"], row["split"]) for row in table(path, "events")}
    instants = [int(datetime.fromisoformat(f"{time}+00:00").timestamp() * 1000) for time in times]
    assert events == {(place, instants[place], split) for place, split in enumerate(("train", "train", "valid", "test"))}


def test_it_says_that_nobody_is_held_out(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(user, f"i{place}", 5.0, place * DAY) for user in range(3) for place in range(2)]
    with caplog.at_level(logging.WARNING, logger="seqrec"):
        given = [f"input.path={write_csv(tmp_path / 'r.csv', rows)}", "k_core.users=1", "k_core.items=1"]
        path = build(monkeypatch, tmp_path, *given)
    assert table(path, "valid") == table(path, "test") == []
    said = "nobody is held out for valid and test: no user has 3 events; to hold users out, choose another task, or lower "
    thin = "there is little to learn from: 3 users (less than 1,000), 2 items (less than 100), 2 events a user (less than 5), 3 "
    assert [message.removeprefix(said).startswith(("min_rating and k_core", thin)) for message in caplog.messages] == [True] * 2


def test_a_vocabulary_is_extended_and_a_failed_run_changes_nothing(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    least = ["k_core.users=1", "k_core.items=1", "max_len=4"]
    first = [(1, "b", 5.0, DAY), (1, "a", 5.0, 2 * DAY), (1, "c", 5.0, 3 * DAY), (1, "a", 5.0, 4 * DAY)]
    older = build(monkeypatch, tmp_path, f"input.path={write_csv(tmp_path / 'a.csv', first)}", "task=inference", *least)
    second = [*first, (2, "d", 5.0, DAY), (2, "a0", 5.0, 2 * DAY), (2, "d", 5.0, 3 * DAY)]
    again = ["task=test", f"vocabulary={tmp_path}/dataset", *least]
    newer = build(monkeypatch, tmp_path, f"input.path={write_csv(tmp_path / 'b.csv', second)}", *again)
    items = {row["item_id"]: (row["item_idx"], row["count"]) for row in table(newer, "items")}
    assert {row["item_id"]: (row["item_idx"], row["count"]) for row in table(older, "items")} == {
        "a": (2, 2),
        "b": (3, 1),
        "c": (4, 1),
    }
    assert items == {"a": (2, 1), "b": (3, 1), "c": (4, 1), "a0": (5, 1), "d": (6, 1)}
    parent, meta = versions.read_meta(str(older)), versions.read_meta(str(newer))
    assert meta["vocabulary"]["lineage"][0] == parent["vocabulary"]["lineage"][0]
    assert meta["vocabulary"]["lineage"][1] == {"size": 5, "hash": meta["vocabulary"]["hash"]}
    assert meta["inputs"]["vocabulary"] == parent["run_id"]
    assert meta["id_types"] == {"user": "bigint", "item": "string"}

    for content, overrides, said in (
        ("user_id,item_id,rating,timestamp\n", [], "has no rows"),
        (
            "user_id,item_id,rating,timestamp\n1,2,3,soon\n2,3,4,later\n",
            ["input.columns.timestamp=timestamp"],
            r"2 of 2 rows can't be used \(2 bad_timestamp, such as 'later'\)",
        ),
        (
            "user_id,item_id,rating,timestamp\n1,2,3,5\n1,2,3,5\n",
            ["max_duplicate_share=0.1"],
            "1 of 2 usable rows are exact duplicates",
        ),
        ("user_id,item_id,rating,timestamp\n1,2,3,5\n", ["task=inference", *least], "no user has 2 training events"),
        ("user_id,item_id,rating,timestamp\n1,2,3,5\n", [], "leave no events"),
        (
            "user_id,item_id,rating,timestamp\n1,2,3,5\n",
            ["split_times=[2015-03-01, 2015-04-01]"],
            "first cut is 2015-03-01T00:00:00Z, but the ratings go from 1970-01-01T00:00:05Z to 1970-01-01T00:00:05Z",
        ),
    ):
        (tmp_path / "bad.csv").write_text(content)
        with pytest.raises(UserError, match=said):
            build(monkeypatch, tmp_path, f"input.path={tmp_path}/bad.csv", *overrides)
        assert versions.run_ids(f"{tmp_path}/dataset") == [older.name, newer.name]
        assert versions.resolve(f"{tmp_path}/dataset") == str(newer)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["window_stride=201"], "leaves gaps between windows: at most max_len=200"),
        (["prop_sliding_window=0"], "prop_sliding_window=0 is no step: above 0 up to 1, or -1"),
        (["prop_sliding_window=0.5", "window_stride=100"], "two ways to say one step"),
        (["rows_per_file=200000"], "makes row groups of"),
        (["task=test"], "task=test needs vocabulary=FOLDER"),
        (["split_times=[2020-01-01, 2021-01-01]", "task=train_val"], "split_times makes valid and test"),
        (["split_users=0.1", "task=inference"], "task=inference holds none out"),
        (["hold_out=2", "task=inference"], "hold_out=2: task=inference holds no events out"),
        (["hold_out=2", "split_times=[2020-01-01, 2021-01-01]"], "hold_out=2 needs split_times=null"),
        (["hold_out=0"], "hold_out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str], said: str
) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/nowhere")
    with pytest.raises(UserError, match=said):
        load_config(BuildSequences, CONF, ["input.path=x", *overrides])


@pytest.mark.parametrize(
    ("overrides", "stride"),
    [
        ([], 200),
        (["window_stride=newest"], None),
        (["window_stride=3"], 3),
        (["prop_sliding_window=0.5"], 100),
        (["prop_sliding_window=0.5", "max_len=25"], 12),
        (["prop_sliding_window=0.001"], 1),
        (["prop_sliding_window=-1"], 200),
    ],
)
def test_the_step_of_windows_is_a_number_or_a_share(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str], stride: int | None
) -> None:
    monkeypatch.setenv("SEQREC_ROOT", "/nowhere")
    assert load_config(BuildSequences, CONF, ["input.path=x", *overrides]).stride == stride
