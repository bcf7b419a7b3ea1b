"""Versioned folders: what readers see, before, during and after a run."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqrec.errors import UserError
from seqrec.storage import versions

OLD, MIDDLE, NEW = "20260101T000000Z-aaaa", "20260102T000000Z-0000", "20260102T000000Z-ffff"
SUBSETS = [f"20260103T00000{second}Z-0000" for second in range(5)]


def write_items(version: Path) -> None:
    """A table `items` of two files with 2 and 3 rows."""
    (version / "items").mkdir(parents=True)
    for number, rows in enumerate((2, 3)):
        pq.write_table(pa.table({"item_id": range(rows)}), version / "items" / f"part-{number}.parquet")
    (version / "items" / "_SUCCESS").touch()


def make(folder: Path, *run_ids: str, users: list[str] | None = None) -> str:
    """Whole versions, or versions of a subset of the users."""
    for run_id in run_ids:
        write_items(folder / run_id)
        versions.write_meta(f"{folder}/{run_id}", {"run_id": run_id, "users": users})
    return str(folder)


def age(path: Path, days: float) -> None:
    """Let everything in a folder have been written so long ago."""
    then = datetime.now(UTC).timestamp() - days * 86400
    for inner in [*path.rglob("*"), path]:
        os.utime(inner, (then, then))


def run_id_of(days: float) -> str:
    """The id of a run that began so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%SZ}-0000"


def test_run_ids_sort_by_time_and_differ() -> None:
    first, second = versions.new_run_id(), versions.new_run_id()
    assert versions.RUN_ID.match(first)
    assert first != second
    assert first[:15] <= second[:15]


def test_readers_see_a_version_only_when_it_is_committed(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD)
    with pytest.raises(UserError, match=r"has no finished version \(no file CURRENT\): run the job"):
        versions.resolve(folder)
    versions.commit(folder, OLD, keep=5)
    make(tmp_path, NEW)
    assert versions.resolve(folder + "/") == f"{folder}/{OLD}"
    versions.commit(folder, NEW, keep=5)
    assert versions.resolve(folder) == f"{folder}/{NEW}"


def test_a_version_can_be_named(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    versions.commit(folder, NEW, keep=5)
    assert versions.resolve(folder, OLD) == versions.resolve(f"{folder}/{OLD}") == f"{folder}/{OLD}"
    with pytest.raises(UserError, match=f"has no version {MIDDLE}; the newest are: {OLD}, {NEW}"):
        versions.resolve(folder, MIDDLE)


@pytest.mark.parametrize(("keep", "left"), [(1, [NEW]), (2, [MIDDLE, NEW]), (3, [OLD, MIDDLE, NEW]), (9, [OLD, MIDDLE, NEW])])
def test_commit_keeps_the_newest(tmp_path: Path, keep: int, left: list[str]) -> None:
    folder = make(tmp_path, OLD, MIDDLE, NEW)
    (tmp_path / "notes").mkdir()
    versions.commit(folder, NEW, keep=keep)
    assert versions.run_ids(folder) == left
    assert (tmp_path / "notes").is_dir()


def test_commit_never_removes_a_run_that_started_later(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, MIDDLE, NEW)
    versions.commit(folder, MIDDLE, keep=1)
    assert versions.run_ids(folder) == [MIDDLE, NEW]


def test_runs_that_died_cost_no_whole_version(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    for number in range(4):
        (tmp_path / f"20260103T00000{number}Z-dead" / "items" / "_temporary").mkdir(parents=True)
    last = "20260104T000000Z-0000"
    make(tmp_path, last)
    versions.commit(folder, last, keep=3)
    assert {OLD, NEW, last} <= set(versions.run_ids(folder))


def test_an_unfinished_version_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    old, written_to, young = run_id_of(2), run_id_of(1.5), run_id_of(0.5)
    for run_id in (old, written_to, young):
        (tmp_path / run_id / "items").mkdir(parents=True)
        age(tmp_path / run_id, 2)
    (tmp_path / written_to / "items" / "part-0.parquet").touch()
    now = versions.new_run_id()
    versions.commit(make(tmp_path, now), now, keep=1)
    assert versions.run_ids(str(tmp_path)) == [written_to, young, now]


def test_a_killed_writer_s_version_goes_and_a_living_one_s_stays(tmp_path: Path) -> None:
    claim = f"from seqrec.storage import versions; versions.claim('{tmp_path}/{OLD}')"
    writer = f"import sys; {claim}; print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    folder = make(tmp_path, MIDDLE, NEW)
    (tmp_path / OLD / "items").mkdir(parents=True)
    age(tmp_path / OLD, 400)
    versions.commit(folder, MIDDLE, keep=1)
    assert versions.run_ids(folder) == [OLD, MIDDLE, NEW]
    process.kill()
    process.communicate()
    versions.commit(folder, NEW, keep=1)
    assert versions.run_ids(folder) == [NEW]
    assert list(tmp_path.glob(".*Z-*.lock")) == []


def test_a_finished_version_that_is_still_held_stays(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    versions.claim(f"{folder}/{OLD}")
    versions.commit(folder, NEW, keep=1)
    versions.commit(folder, OLD, keep=1)
    assert versions.run_ids(folder) == [OLD, NEW]
    assert versions.resolve(folder) == f"{folder}/{OLD}"  # the last commit, though the run began first
    last = "20260104T000000Z-0000"
    versions.commit(make(tmp_path, last), last, keep=1)
    assert versions.run_ids(folder) == [last]


def test_subsets_are_never_current_and_are_counted_alone(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, MIDDLE)
    versions.commit(folder, MIDDLE, keep=2)
    for run_id in SUBSETS:
        make(tmp_path, run_id, users=["7"])
        versions.commit(folder, run_id, keep=2)
    assert versions.resolve(folder) == f"{folder}/{MIDDLE}"
    assert versions.run_ids(folder) == [OLD, MIDDLE, *SUBSETS[-2:]]
    assert versions.resolve(folder, SUBSETS[-1]) == f"{folder}/{SUBSETS[-1]}"
    last = "20260104T000000Z-0000"
    versions.commit(make(tmp_path, last), last, keep=1)
    assert versions.run_ids(folder) == [*SUBSETS[-2:], last]


def test_only_whole_versions_are_committed(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    versions.commit(folder, OLD, keep=1)
    (tmp_path / NEW / "items" / "part-1.parquet").unlink()
    with pytest.raises(UserError, match=r"items/part-1\.parquet is missing"):
        versions.commit(folder, NEW, keep=1)
    (tmp_path / NEW / "meta.json").unlink()
    with pytest.raises(UserError, match=r"isn't whole \(no meta\.json\): nothing was committed"):
        versions.commit(folder, NEW, keep=1)
    assert versions.resolve(folder) == f"{folder}/{OLD}"


def test_many_commits_at_once_leave_a_whole_version(tmp_path: Path) -> None:
    run_ids = [f"2026010{day}T000000Z-0000" for day in range(1, 10)]
    folder = make(tmp_path, *run_ids)
    for run_id in run_ids:
        versions.claim(f"{folder}/{run_id}")
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(versions.commit, folder, run_id, keep=1) for run_id in reversed(run_ids)]:
            done.result()
    current = versions.resolve(folder)
    assert len(versions.table_files(f"{current}/items")) == 2


def test_an_odd_version_is_never_removed(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    (tmp_path / OLD / "meta.json").write_text("[")
    age(tmp_path / OLD, 400)
    versions.commit(folder, NEW, keep=1)
    assert versions.run_ids(folder) == [OLD, NEW]


def test_what_cannot_be_removed_is_said_and_costs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make(tmp_path, OLD, NEW)
    (tmp_path / OLD / "meta.json").unlink()
    (tmp_path / OLD / "meta.json").mkdir()
    with caplog.at_level("WARNING"):
        versions.commit(folder, NEW, keep=1)
    assert f"version {NEW} is whole, but not all old versions of {folder} could be removed" in caplog.text
    assert versions.resolve(folder) == f"{folder}/{NEW}"


def test_a_commit_whose_version_another_removed_mends_current(tmp_path: Path) -> None:
    """As without locks, where a newer commit removes a version between its check and its CURRENT."""
    folder = make(tmp_path, OLD, MIDDLE, NEW)
    (tmp_path / "CURRENT").write_text("20251231T000000Z-0000")
    make(tmp_path, SUBSETS[0], users=["7"])
    versions.commit(folder, SUBSETS[0], keep=1)
    assert versions.resolve(folder) == f"{folder}/{NEW}"


@pytest.mark.parametrize("run_id", ["../model", "model", "", "20260101T000000Z-aaaa/items", "20260101T000000Z-aaaa\n", "./"])
def test_what_is_no_run_id_is_refused(tmp_path: Path, run_id: str) -> None:
    (tmp_path / "model").mkdir()
    folder = make(tmp_path / "output", OLD)
    with pytest.raises(UserError, match=f"is no version of .*/output: give a run id such as .*; the newest are: {OLD}"):
        versions.resolve(folder, run_id)


@pytest.mark.parametrize("content", [b"", b"../model", b"latest\n", b"\xff\xfe\x00", b"20260101T000000Z-aaaa/items", b"x" * 9999])
def test_an_odd_current_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model").mkdir()
    folder = make(tmp_path / "output", OLD)
    (tmp_path / "output" / "CURRENT").write_bytes(content)
    with pytest.raises(UserError, match=f"output/CURRENT holds .*, which is no run id.* the newest are: {OLD}") as raised:
        versions.resolve(folder)
    assert len(str(raised.value)) < 500
    versions.commit(folder, OLD, keep=1)
    assert versions.resolve(folder) == f"{folder}/{OLD}"


def test_a_version_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path, OLD)
    assert versions.resolve(f"{folder}/{OLD}/") == f"{folder}/{OLD}"
    monkeypatch.chdir(tmp_path)
    assert versions.resolve(OLD) == f"./{OLD}"
    with pytest.raises(UserError, match=f"has no version {NEW}; the newest are: {OLD}"):
        versions.resolve(f"{folder}/{NEW}/")


def test_a_version_that_was_removed_meanwhile_is_said(tmp_path: Path) -> None:
    folder = make(tmp_path, OLD, NEW)
    path = versions.resolve(folder, OLD)
    versions.commit(folder, NEW, keep=1)
    with pytest.raises(UserError, match=f"{OLD} doesn't exist: run the job that writes .* again \\(`keep` removes old versions"):
        versions.read_meta(path)


def test_tables_are_recorded_and_compared(tmp_path: Path) -> None:
    table = tmp_path / OLD / "items"
    make(tmp_path, OLD)
    sizes = {path.name: path.stat().st_size for path in sorted(table.glob("*.parquet"))}
    assert versions.read_meta(f"{tmp_path}/{OLD}")["tables"] == {"items": {"rows": 5, "files": sizes}}
    (table / ".part-0.parquet.crc").touch()
    assert versions.table_files(f"{table}/") == ["part-0.parquet", "part-1.parquet"]
    first, content = table / "part-0.parquet", (table / "part-0.parquet").read_bytes()
    for cut in (content[:-1], b""):
        first.write_bytes(cut)
        with pytest.raises(
            UserError, match=rf"part-0\.parquet has {len(cut):,} bytes, {len(content):,} were written: run build_seq"
        ):
            versions.table_files(str(table))
    first.unlink()
    with pytest.raises(
        UserError, match=r"items/part-0\.parquet is missing, one of the 2 files of this table: run build_sequences"
    ):
        versions.table_files(str(table))
    first.write_bytes(content)
    (table / "part-2.parquet").write_bytes(content)
    with pytest.raises(
        UserError, match=r"items/part-2\.parquet is none of the 2 files that meta\.json names for this table: remove"
    ):
        versions.table_files(str(table))
    for path in table.iterdir():
        path.unlink()
    table.rmdir()
    with pytest.raises(UserError, match=r"items of 2 files can't be read: its folder is missing; run build_sequences again"):
        versions.table_files(str(table))


def test_a_part_that_was_truncated_before_the_end_is_refused(tmp_path: Path) -> None:
    write_items(tmp_path / OLD)
    (tmp_path / OLD / "items" / "part-0.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(UserError, match=r"items/part-0\.parquet isn't a whole Parquet file: run build_sequences again"):
        versions.write_meta(f"{tmp_path}/{OLD}", {})


def test_a_table_without_a_record_is_read_as_before(tmp_path: Path) -> None:
    write_items(tmp_path / OLD)
    (tmp_path / OLD / "meta.json").write_text('{"run_id": "x"}')
    table = tmp_path / OLD / "items"
    assert versions.table_files(str(table)) == ["part-0.parquet", "part-1.parquet"]
    (table / "_SUCCESS").unlink()
    with pytest.raises(UserError, match=r"items is unfinished \(no _SUCCESS\): run build_sequences again"):
        versions.table_files(str(table))


def test_tables_of_others_need_no_success(tmp_path: Path) -> None:
    write_items(tmp_path)
    table = tmp_path / "items"
    (table / "_SUCCESS").unlink()
    assert versions.table_files(str(table)) == ["part-0.parquet", "part-1.parquet"]
    (table / "_temporary").mkdir()
    with pytest.raises(UserError, match=r"items is unfinished \(it holds _temporary\): wait until"):
        versions.table_files(str(table))
    (table / "_delta_log").mkdir()
    with pytest.raises(UserError, match="items is a Delta table, whose files hold deleted rows too: export it as Parquet"):
        versions.table_files(str(table))


def test_a_footer_of_any_size_is_read(tmp_path: Path) -> None:
    names = [f"column_{number:04}" for number in range(1500)]
    (tmp_path / OLD / "wide").mkdir(parents=True)
    pq.write_table(pa.table({name: [1, 2] for name in names}), tmp_path / OLD / "wide" / "part-0.parquet")
    (tmp_path / OLD / "wide" / "_SUCCESS").touch()
    versions.write_meta(f"{tmp_path}/{OLD}", {})
    assert versions.read_meta(f"{tmp_path}/{OLD}")["tables"]["wide"]["rows"] == 2


def test_meta_round_trips_with_the_packages(tmp_path: Path) -> None:
    versions.write_meta(str(tmp_path), {"run_id": NEW, "name": "ü"})
    meta = versions.read_meta(str(tmp_path))
    assert (meta["run_id"], meta["name"]) == (NEW, "ü")
    assert meta["versions"]["pyarrow"] == "14.0.2"
    assert "ü" in (tmp_path / "meta.json").read_text()


def test_a_bad_meta_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"meta\.json is missing: run the job that writes"):
        versions.read_meta(str(tmp_path))
    (tmp_path / "meta.json").write_text(json.dumps({"a": 1})[:-1])
    with pytest.raises(UserError, match=r"meta\.json is not valid JSON"):
        versions.read_meta(str(tmp_path))
