"""Versioned folders: what readers see, before, during and after a run."""

import json
from pathlib import Path

import pytest

from seqrec import versions
from seqrec.errors import UserError

OLD, MIDDLE, NEW = "20260101T000000Z-aaaa", "20260102T000000Z-0000", "20260102T000000Z-ffff"


def make(folder: Path, *run_ids: str) -> str:
    for run_id in run_ids:
        (folder / run_id).mkdir(parents=True)
    return str(folder)


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
