"""Small files: whole or not at all, and the same on a local path, a file:// URL and Hadoop's file systems."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from seqrec import files
from seqrec.errors import UserError


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_local_files_round_trip(tmp_path: Path, scheme: str) -> None:
    path = files.join(f"{scheme}{tmp_path}", "a folder", "ü.txt")
    assert not files.exists(path)
    files.write_text(path, "Zürich\n")
    assert files.read_text(path) == "Zürich\n"
    assert files.names(f"{scheme}{tmp_path}") == ["a folder"]
    assert files.fetch(path, tmp_path / "unused") == tmp_path / "a folder" / "ü.txt"
    files.remove(f"{scheme}{tmp_path}/a folder")
    files.remove(f"{scheme}{tmp_path}/a folder")
    assert not files.exists(path)
    assert files.names(f"{scheme}{tmp_path}/a folder") == []


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "CURRENT"
    files.write_text(str(path), "old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        files.write_text(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["CURRENT"]


def test_written_files_can_be_read_by_others(tmp_path: Path) -> None:
    files.write_text(str(tmp_path / "meta.json"), "{}")
    assert (tmp_path / "meta.json").stat().st_mode & 0o777 == 0o644


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_bytes(str(tmp_path / "none"))


def test_other_schemes_are_refused() -> None:
    with pytest.raises(UserError, match=r"ftp://host/x: the scheme ftp:// isn't supported"):
        files.exists("ftp://host/x")


def test_paths_are_joined_and_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert files.join("/", "a") == "/a"
    assert files.join("hdfs://host/a/", "b", "c") == "hdfs://host/a/b/c"
    assert files.absolute("data/x") == f"file://{tmp_path}/data/x"


def test_hadoop_paths_go_through_spark(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop's local file system under a remote scheme's name: the branch that hdfs:// takes while Spark runs."""
    monkeypatch.setattr(files, "REMOTE_SCHEMES", ("file",))
    root = f"file://{tmp_path}"
    path = files.join(root, "folder", "CURRENT")
    with pytest.raises(FileNotFoundError):
        files.read_text(path)
    assert files.names(files.join(root, "folder")) == []
    files.write_text(path, "first")
    files.write_text(path, "second\n")
    assert files.read_text(path) == "second\n"
    assert files.names(files.join(root, "folder")) == ["CURRENT"]
    assert files.fetch(path, tmp_path / "copy").read_text() == "second\n"
    files.put(tmp_path / "copy" / "CURRENT", files.join(root, "put", "CURRENT"))
    assert (tmp_path / "put" / "CURRENT").read_text() == "second\n"
    files.remove(files.join(root, "folder"))
    assert not (tmp_path / "folder").exists()
