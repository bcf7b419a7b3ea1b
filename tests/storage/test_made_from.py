"""What a version was made from, and the states of its inputs."""

import os
from pathlib import Path

import pytest

from seqrec.errors import UserError
from seqrec.storage import made_from, versions
from seqrec.storage.made_from import MadeFrom, read_made_from, record, state_of

MADE = MadeFrom(job="train", settings={"seed": 1}, inputs={"data": "x", "init": None}, code="0123")


def write_version(folder: Path, **content: str) -> str:
    run_id = versions.new_run_id()
    versions.write_meta(f"{folder}/{run_id}", {"run_id": run_id, **content})
    versions.commit(str(folder), run_id, keep=5)
    return run_id


def test_a_version_says_what_it_was_made_from_and_keeps_what_it_said(tmp_path: Path) -> None:
    path = f"{tmp_path}/{write_version(tmp_path, name='m')}"
    assert read_made_from(path) is None
    before = versions.read_meta(path)
    record(path, MADE)
    assert read_made_from(path) == MADE
    assert {key: value for key, value in versions.read_meta(path).items() if key != made_from.KEY} == before
    assert read_made_from(f"{tmp_path}/none") is None
    (Path(path) / "meta.json").write_text('{"made_from": {"job": 3}}')
    with pytest.raises(UserError, match=r"meta\.json has job 3, expected a string: remove made_from from it"):
        read_made_from(path)


def test_the_state_of_a_versioned_folder_is_its_current_version(tmp_path: Path) -> None:
    first = write_version(tmp_path)
    assert state_of(str(tmp_path)) == state_of(f"{tmp_path}/{first}/") == first
    second = write_version(tmp_path)
    assert state_of(str(tmp_path)) == second
    assert state_of(f"{tmp_path}/20260101T000000Z-0000") is None


def test_the_state_of_a_model_is_its_training_and_its_best_checkpoint(tmp_path: Path) -> None:
    versions.write_meta(str(tmp_path), {"run_id": "r"})
    (tmp_path / "checkpoints").mkdir()
    assert state_of(str(tmp_path)) == "r"
    (tmp_path / "checkpoints" / "last.pt").write_text("1")
    assert str(state_of(str(tmp_path))).startswith("r 1 file, 1 bytes, ")  # a training without validation has no best one
    (tmp_path / "checkpoints" / "best_step9_ndcg10_0.1.pt").touch()
    (tmp_path / "checkpoints" / "last.pt").touch()
    assert state_of(str(tmp_path)) == "r best_step9_ndcg10_0.1.pt"
    assert state_of(f"{tmp_path}/exports") is None  # a model that isn't exported
    versions.write_meta(str(tmp_path), {"run_id": "r", "export": "e", "files": {}})
    assert str(state_of(f"{tmp_path}/exports")).startswith("r e ")  # a folder that is an export


def test_the_state_of_files_is_their_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text("1")
    before = state_of(f"{tmp_path}/in")
    assert str(before).startswith("1 file, 1 bytes, ")
    (tmp_path / "in" / "_SUCCESS").touch()
    (tmp_path / "in" / ".a.csv.crc").touch()
    os.utime(tmp_path / "in" / "a.csv", (1, 1))
    assert state_of(f"{tmp_path}/in") == before
    assert state_of(f"{tmp_path}/in/*.csv") == before
    (tmp_path / "in" / "b" / "c.csv").write_text("22")
    assert str(state_of(f"{tmp_path}/in")).startswith("2 files, 3 bytes, ")
    monkeypatch.setattr(made_from, "HASHED_BYTES", 2)
    large = state_of(f"{tmp_path}/in")
    os.utime(tmp_path / "in" / "a.csv", (2, 2))
    assert state_of(f"{tmp_path}/in") != large  # files that are too large are compared by their times
    assert state_of(f"{tmp_path}/none") is None
    assert state_of(f"{tmp_path}/in/*.json") is None


def test_the_files_of_a_pattern_are_those_that_spark_reads(tmp_path: Path) -> None:
    for name in ("b.csv", "c.csv", "_day=1/part.csv"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("1")
    pair, folder = state_of(f"{tmp_path}/in/{{b,c}}.csv"), state_of(f"{tmp_path}/in")
    assert str(pair).startswith("2 files, 2 bytes, ")
    assert str(folder).startswith("3 files, 3 bytes, ")
    (tmp_path / "in" / "c.csv").write_text("2")
    assert state_of(f"{tmp_path}/in/{{b,c}}.csv") != pair
    assert state_of(f"{tmp_path}/in") != folder
    folder = state_of(f"{tmp_path}/in")
    (tmp_path / "in" / "_day=1" / "part.csv").write_text("2")
    assert state_of(f"{tmp_path}/in") != folder


def test_a_broken_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("1")
    before = state_of(f"{tmp_path}/in")
    (tmp_path / "in" / "b.csv").symlink_to(tmp_path / "gone.csv")
    assert state_of(f"{tmp_path}/in") == state_of(f"{tmp_path}/in/*.csv") == before
