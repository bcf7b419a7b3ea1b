"""Inputs that are still being written, that change between two passes, and users with too many ratings."""

import logging
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from seqrec.dataset.build_sequences import InputLimits, Ratings, ingest, settle
from seqrec.dataset.count_checks import warn_held_out
from seqrec.dataset.counts import EventCounts, RatingCounts
from seqrec.dataset.profile import WantedTypes
from seqrec.dataset.snapshot import take_snapshot
from seqrec.dataset.splits import SplitChoice
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, RatingColumns


def read(spark: SparkSession, path: str, *, max_user_events: int = 100, format: str = "csv") -> Ratings:
    table, limits = InputTable(key="input", path=path, format=format), InputLimits(bad_share=0.1, user_events=max_user_events)
    return ingest(spark, table, RatingColumns(), wanted=WantedTypes(), limits=limits)


def finish(ratings: Ratings) -> RatingCounts:
    """The counts of the second pass."""
    histories, counts = settle(ratings, partitions=2, min_rating=None, collapse=False, max_share=1.0)
    histories.unpersist()
    return counts


def write(path: Path, rows: int, *, item: str = "i") -> None:
    """So many ratings of users 0 to 9; with items of one letter files of the same rows have the same size."""
    lines = (f"{row % 10},{item}{row:04},4,{978300760 + row}" for row in range(rows))
    path.write_text("user_id,item_id,rating,timestamp\n" + "\n".join(lines) + "\n")


def write_parquet(path: Path, rows: int) -> None:
    numbers = range(rows)
    columns = {"user_id": [row % 10 for row in numbers], "item_id": numbers, "rating": [4.0] * rows, "timestamp": numbers}
    pq.write_table(pa.table(columns), path)


CHANGES: dict[str, Callable[[Path], None]] = {
    "fewer rows": lambda path: write(path, 40),
    "more rows": lambda path: write(path, 400),
    "as many bytes": lambda path: write(path, 100, item="j"),
    "gone": lambda path: path.unlink(),
    "another file": lambda path: write(path.parent / "new.csv", 10),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_changes_between_two_passes_is_refused(spark: SparkSession, tmp_path: Path, change: str) -> None:
    path = tmp_path / "ratings" / "r.csv"
    path.parent.mkdir()
    write(path, 100)
    os.utime(path, (1, 1))
    ratings = read(spark, str(path.parent))
    CHANGES[change](path)
    with pytest.raises(UserError, match=r"input\.path=.*/ratings changed while it was read \(.*\): let its writer finish"):
        finish(ratings)


def test_a_parquet_file_that_is_replaced_between_two_passes_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Spark fails by itself, by the length that it knows of the file that was there."""
    write_parquet(tmp_path / "r.parquet", 1000)
    ratings = read(spark, str(tmp_path / "r.parquet"), format="parquet", max_user_events=100)
    write_parquet(tmp_path / "r.parquet", 10)
    with pytest.raises(UserError, match=r"changed while it was read \(1 files of [0-9,]+ bytes were 1 of"):
        finish(ratings)


def test_fewer_usable_rows_in_the_second_pass_are_no_duplicates(spark: SparkSession, tmp_path: Path) -> None:
    """Also where the files don't tell, as on a file system that keeps no times."""
    write(tmp_path / "r.csv", 100)
    ratings = read(spark, str(tmp_path / "r.csv"))
    write(tmp_path / "r.csv", 60)
    late = ratings._replace(snapshot=take_snapshot(spark, ratings.table))
    with pytest.raises(UserError, match=r"changed while it was read \(100 rows could be used at first, then 60\)"):
        finish(late)


def test_what_stays_as_it_is_is_read_twice(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "r.csv", 100)
    with (tmp_path / "r.csv").open("a") as sink:
        sink.write("0,i0000,4,978300760\n")
    counts = finish(read(spark, f"{tmp_path}/*.csv"))
    assert (counts.usable, counts.rows, counts.users) == (101, 100, 10)


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("part-1.csv.tmp", r"part-1\.csv\.tmp"),
        ("part-1.csv.crdownload", "crdownload"),
        ("day=1/part-1.csv.part", r"part-1\.csv\.part"),
        ("_temporary/0/_temporary/part-0.csv", "_temporary"),
        (".spark-staging-17/part-0.csv", r"\.spark-staging-17"),
        ("_started_17", "_started_17"),
        ("part-1.csv._COPYING_", "_COPYING_"),
    ],
)
def test_a_folder_that_is_being_written_is_refused(spark: SparkSession, tmp_path: Path, name: str, mark: str) -> None:
    write(tmp_path / "part-0.csv", 10)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    write(tmp_path / name, 5)
    with pytest.raises(UserError, match=rf"input\.path={tmp_path} is still being written \(.*{mark} is there\): wait until"):
        read(spark, str(tmp_path))


def test_a_whole_folder_and_a_file_that_is_named_are_read(spark: SparkSession, tmp_path: Path) -> None:
    for mark in ("_started_17", "_committed_17", "_SUCCESS", ".part-0.csv.crc"):
        (tmp_path / mark).touch()
    write(tmp_path / "part-0.csv", 10)
    assert read(spark, str(tmp_path)).profile.usable == 10
    write(tmp_path / "r.tmp", 20)
    assert read(spark, f"{tmp_path}/r.tmp").profile.usable == 20


def test_a_user_with_too_many_ratings_is_named(spark: SparkSession, tmp_path: Path) -> None:
    lines = [f"{user},i{row},4,978300760" for user, rows in (("a", 7), ("bot", 9), ("c", 8)) for row in range(rows)]
    (tmp_path / "r.csv").write_text("\n".join(["user_id,item_id,rating,timestamp", *lines]) + "\n")
    said = r"user 'bot' has 9 ratings, and 1 other users have more than max_user_events=7: leave bots out .*SPARK_DRIVER_MEMORY"
    with pytest.raises(UserError, match=said):
        read(spark, f"{tmp_path}/r.csv", max_user_events=7)
    with pytest.raises(UserError, match="user 'bot' has 9 ratings, more than max_user_events=8:"):
        read(spark, f"{tmp_path}/r.csv", max_user_events=8)
    assert read(spark, f"{tmp_path}/r.csv", max_user_events=9).profile.fullest >= 9


def test_users_of_one_bucket_are_told_apart(spark: SparkSession, tmp_path: Path) -> None:
    """Ten thousand users in 4,096 buckets: no user has more than 2 ratings, some buckets have."""
    lines = (f"{user},i{place},4,978300760" for user in range(10_000) for place in range(2))
    (tmp_path / "r.csv").write_text("\n".join(["user_id,item_id,rating,timestamp", *lines]) + "\n")
    assert 2 < read(spark, f"{tmp_path}/r.csv", max_user_events=2).profile.fullest < 40


@pytest.mark.parametrize(
    ("users", "keys", "said"),
    [
        ((0, 0), {"share": 0.0}, "nobody is held out for valid and test: split_users=0 of 9 users .* raise split_users"),
        (
            (0, 0),
            {},
            "nobody is held out for valid and test: no user has 3 events; .* out, choose .* min_rating and k_core",
        ),
        (
            (4, 0),
            {"hold_out": 4},
            "nobody is held out for test: no user has 9 events; .* out, lower hold_out, choose",
        ),
        (
            (0, 4),
            {"times": ["2099-01-01", "2100-01-01"]},
            "for valid: .*2099-01-01 has one in its time; .* split_times",
        ),
        ((4, 4), {}, None),
    ],
)
def test_an_empty_split_is_said_with_the_key_that_helps(
    caplog: pytest.LogCaptureFixture, users: tuple[int, int], keys: dict[str, Any], said: str | None
) -> None:
    names = [field.name for field in fields(EventCounts) if field.name != "lengths"]
    nobody = EventCounts(**dict.fromkeys(names, 0), lengths=[])
    counts = replace(nobody, users_events=9, users_valid=users[0], users_test=users[1])
    with caplog.at_level(logging.WARNING, logger="seqrec"):
        warn_held_out(counts, SplitChoice(task="train_val_test", **keys))
    assert len(caplog.messages) == (said is not None)
    if said is not None:
        assert re.search(said, caplog.messages[0])
