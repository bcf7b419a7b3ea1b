"""Small files: whole or not at all, with any character in their path, and the same on a local path, a URL and Hadoop's way."""

import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.storage import files, local, paths, versions

AWKWARD = [
    "a b",
    "[x]",
    "{a,b}",
    "*",
    "?",
    "a%20b",
    "a #b",
    "a: b",
    "ü 日本 😀",
    "a\\b",
    "k=v",
    "$x",
    "'\"",
    "a+&;b",
    "[a]: b#?%",
    "my-bucket",  # a word of Hadoop's error of a bucket that isn't there
]


@pytest.mark.parametrize("scheme", ["", "file:", "file://", "file://localhost", "FILE://"])
@pytest.mark.parametrize("name", AWKWARD)
def test_local_files_round_trip(tmp_path: Path, scheme: str, name: str) -> None:
    path = files.join(f"{scheme}{tmp_path}", name, name)
    assert not files.exists(path)
    files.write_text(path, "Zürich\n")
    assert files.read_text(path) == "Zürich\n"
    assert files.names(f"{scheme}{tmp_path}") == [name]
    assert files.fetch(path, tmp_path / "unused") == tmp_path / name / name
    files.put(tmp_path / name / name, files.join(f"{scheme}{tmp_path}", name, "copy"))
    assert (tmp_path / name / "copy").read_text() == "Zürich\n"
    files.remove(f"{scheme}{tmp_path}/{name}")
    files.remove(f"{scheme}{tmp_path}/{name}")
    assert os.listdir(tmp_path) == []
    assert files.names(f"{scheme}{tmp_path}/{name}") == []


@contextmanager
def at_most_a_megabyte(pid: int) -> Iterator[None]:
    """A limit on the size of a process's files, which a write runs into as into a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path, source = tmp_path / "folder" / "CURRENT", tmp_path / "source"
    source.write_bytes(bytes(3 << 20))
    files.write_text(str(path), "old")
    with at_most_a_megabyte(os.getpid()):
        with pytest.raises(UserError, match=rf"{path} can't be written: File too large"):
            files.write_bytes(str(path), bytes(3 << 20))
        with pytest.raises(UserError, match=rf"{path} can't be written: File too large"):
            files.put(source, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path / "folder") == ["CURRENT"]


def test_a_source_that_is_cut_off_while_it_is_copied_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, path = tmp_path / "source", tmp_path / "folder" / "target"
    source.write_bytes(bytes(100))
    files.write_text(str(path), "old")
    monkeypatch.setattr(local, "CHUNK", 10)
    stream = local.chunks(source)
    next(stream)
    os.truncate(source, 50)
    monkeypatch.setattr(local, "chunks", lambda _: stream)
    with pytest.raises(UserError, match=r"target can't be written: .*source changed while it was copied: it had 100 bytes"):
        files.put(source, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path / "folder") == ["target"]


def test_what_a_killed_write_leaves_is_no_file_and_goes_with_a_later_write(tmp_path: Path) -> None:
    pipe, target = tmp_path / "pipe", tmp_path / "folder" / "target"
    os.mkfifo(pipe)
    files.write_text(str(target), "old")
    code = "import sys, pathlib; from seqrec.storage import files; files.put(pathlib.Path(sys.argv[1]), sys.argv[2])"
    with subprocess.Popen([sys.executable, "-c", code, str(pipe), str(target)]) as writer, pipe.open("wb") as source:
        source.write(bytes(1 << 20))
        source.flush()
        while not any(local.is_temporary(name) for name in os.listdir(target.parent)):
            time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert target.read_text() == "old"
    assert files.names(str(target.parent)) == ["target"]
    (left,) = (name for name in os.listdir(target.parent) if name != "target")
    files.write_text(str(target), "new")
    assert (target.parent / left).exists()  # it could be another process's
    os.utime(target.parent / left, (0, 0))
    files.write_text(str(target), "newer")
    assert os.listdir(target.parent) == ["target"]


def test_a_write_is_on_the_disk_before_it_has_the_name_and_the_name_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        steps.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve() == tmp_path else "file")
        fsync(descriptor)

    def replaced(source: str, target: Path) -> None:
        steps.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    files.write_text(str(tmp_path / "x"), "x")
    files.put(tmp_path / "x", str(tmp_path / "y"))
    assert steps == ["file", "name", "folder"] * 2


def test_written_files_can_be_read_by_others(tmp_path: Path) -> None:
    files.write_text(str(tmp_path / "meta.json"), "{}")
    files.put(tmp_path / "meta.json", str(tmp_path / "copy"))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o644}


def test_a_link_is_removed_and_what_it_names_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    files.remove(str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["folder"]


def test_a_missing_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_bytes(str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("ftp://host/x", r"ftp://host/x: the scheme ftp:// isn't supported"),
        ("ftp:/x", r"ftp:/x: the scheme ftp:// isn't supported"),
        ("file://data/x", r"file://data/x is on another machine, data; a local folder is written file:///data…"),
        ("s3a:/bucket/x", r"s3a:/bucket/x names no bucket: write s3a://BUCKET/FOLDER"),
        ("s3:///x", r"s3:///x names no bucket: write s3://BUCKET/FOLDER"),
    ],
)
def test_other_schemes_and_urls_without_a_host_are_refused(path: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        files.exists(path)


def test_errors_name_path_and_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, reason in (
        (f"{tmp_path}/file/x", "Not a directory|File exists"),
        (f"{tmp_path}/{'n' * 300}/x", "File name too long"),
    ):
        with pytest.raises(UserError, match=rf"^{path} can't be written: ({reason})"):
            files.write_text(path, "x")
    with pytest.raises(UserError, match=rf"^{tmp_path} can't be read: Is a directory$"):
        files.read_text(str(tmp_path))


def test_paths_are_joined_and_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert files.join("/", "a") == "/a"
    assert files.join("hdfs://host/a/", "b", "c") == "hdfs://host/a/b/c"
    assert files.absolute("data/x") == f"file://{tmp_path}/data/x"
    assert files.absolute("~/a b") == "file:///home/me/a b"
    assert files.absolute("a/~/b") == f"file://{tmp_path}/a/~/b"
    assert files.absolute("2024: a/~") == f"file://{tmp_path}/2024: a/~"
    assert files.absolute("hdfs:/x") == "hdfs:/x"
    assert files.uri("/a b/#%") == "file:///a%20b/%23%25"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/seqrec/x", "n" * 300])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / place)
    with pytest.raises(UserError, match=rf"^output: {folder} can't be written: .+; nothing was done") as raised:
        files.require_writable(folder, key="output")
    assert len(str(raised.value).splitlines()) == 1


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "not" / "there yet"):
        files.require_writable(str(place), key="output")
        files.require_writable(f"file:{place}", key="output")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def by_hadoop(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hadoop's local file system under a remote scheme's name: the way that hdfs:// goes while Spark runs."""
    monkeypatch.setattr(paths, "REMOTE_SCHEMES", ("file",))


@pytest.mark.usefixtures("by_hadoop")
@pytest.mark.parametrize("name", AWKWARD)
def test_hadoop_paths_go_through_spark(tmp_path: Path, name: str) -> None:
    root = f"file://{tmp_path}"
    path = files.join(root, name, "CURRENT")
    with pytest.raises(FileNotFoundError):
        files.read_text(path)
    assert files.names(files.join(root, name)) == []
    files.write_text(path, "first")
    files.write_text(path, "second\n")
    assert files.read_text(path) == "second\n"
    assert files.names(files.join(root, name)) == ["CURRENT"]
    assert files.names(path) == []
    assert files.fetch(path, tmp_path / "copy").read_text() == "second\n"
    for _ in range(2):
        files.put(tmp_path / "copy" / "CURRENT", files.join(root, "put", name, "CURRENT"))
    assert (tmp_path / "put" / name / "CURRENT").read_text() == "second\n"
    assert files.names(files.join(root, "put", name)) == ["CURRENT"]
    files.require_writable(files.join(root, name, "not", "there"), key="output")
    files.remove(files.join(root, name))
    assert sorted(os.listdir(tmp_path)) == ["copy", "put"]


def write_some(folder: Path) -> None:
    """Files of 3 and 0 bytes, one that isn't whole yet, and a folder with a newer file of 100,000 bytes, of 2001."""
    (folder / "inner").mkdir(parents=True)
    (folder / "b").write_bytes(b"abc")
    (folder / "a").touch()
    (folder / f"{local.TEMPORARY[0]}1{local.TEMPORARY[1]}").touch()
    (folder / "inner" / "c").write_bytes(bytes(99_999) + b"z")
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (9e8, 9e8))
    os.utime(folder / "inner" / "c", (1e9, 1e9))


def check_some(folder: str) -> None:
    assert list(files.sizes(folder).items()) == [("a", 0), ("b", 3), ("inner", None)]
    assert files.newest_change(folder) == 1e9
    assert files.read_end(f"{folder}/b", 2) == b"bc"
    assert files.read_end(f"{folder}/b", 99) == b"abc"
    assert files.read_end(f"{folder}/inner/c", 90_000) == bytes(89_999) + b"z"
    assert (files.sizes(f"{folder}/none"), files.newest_change(f"{folder}/none")) == ({}, 0.0)
    assert (files.read_part(f"{folder}/b", 1, 1), files.read_part(f"{folder}/b", 2, 99)) == (b"b", b"c")
    assert (files.size_of(f"{folder}/b"), files.size_of(f"{folder}/inner")) == (3, None)
    for read in (lambda path: files.read_end(path, 1), lambda path: files.read_part(path, 0, 1), files.size_of):
        with pytest.raises(FileNotFoundError):
            read(f"{folder}/none")


def test_sizes_times_and_ends_of_files(tmp_path: Path) -> None:
    write_some(tmp_path / "some")
    check_some(f"{tmp_path}/some")


@pytest.mark.usefixtures("by_hadoop")
def test_sizes_times_and_ends_of_files_by_hadoop(tmp_path: Path) -> None:
    write_some(tmp_path / "some")
    check_some(f"file://{tmp_path}/some")


def test_a_file_that_vanishes_while_a_folder_is_listed_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_some(tmp_path / "some")
    listing, walking = os.scandir, Path.rglob

    @contextmanager
    def scandir(root: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with listing(root) as entries:
            found = list(entries)
        (root / "b").unlink()
        yield iter(found)

    def rglob(root: Path, pattern: str) -> list[Path]:
        found = list(walking(root, pattern))
        (root / "inner" / "c").unlink()
        return found

    with monkeypatch.context() as while_listed:
        while_listed.setattr(os, "scandir", scandir)
        assert files.sizes(f"{tmp_path}/some") == {"a": 0, "inner": None}
    monkeypatch.setattr(Path, "rglob", rglob)
    assert files.newest_change(f"{tmp_path}/some") == (tmp_path / "some" / "inner").stat().st_mtime


@pytest.mark.usefixtures("by_hadoop")
def test_versions_without_locks(tmp_path: Path) -> None:
    old, new = "20260101T000000Z-aaaa", "20260102T000000Z-ffff"
    for run_id in (old, new):
        path = f"file://{tmp_path}/{run_id}"
        versions.claim(path)
        (tmp_path / run_id / "items").mkdir(parents=True)
        pq.write_table(pa.table({"item_id": [1, 2]}), tmp_path / run_id / "items" / "part-0.parquet")
        (tmp_path / run_id / "items" / "_SUCCESS").touch()
        versions.write_meta(path, {"run_id": run_id})
        assert versions.read_meta(path)["tables"]["items"]["rows"] == 2
        versions.commit(f"file://{tmp_path}", run_id, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".crc") == [new, "CURRENT"]
    assert versions.table_files(f"{versions.resolve(f'file://{tmp_path}')}/items") == ["part-0.parquet"]


@pytest.mark.usefixtures("by_hadoop")
def test_a_failed_write_by_hadoop_leaves_the_old_file_and_no_other(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(3 << 20))
    (tmp_path / "folder").mkdir()
    path = f"file://{tmp_path}/folder/CURRENT"
    files.write_text(path, "old")
    assert spark._jvm is not None
    with at_most_a_megabyte(int(spark._jvm.java.lang.ProcessHandle.current().pid())):
        with pytest.raises(UserError, match=rf"^{path} can't be written: .*File too large"):
            files.write_bytes(path, bytes(3 << 20))
        with pytest.raises(UserError, match=rf"^{path} can't be written: .*File too large"):
            files.put(tmp_path / "source", path)
    assert files.read_text(path) == "old"
    assert sorted(os.listdir(tmp_path / "folder")) == [".CURRENT.crc", "CURRENT"]


@pytest.mark.usefixtures("by_hadoop")
def test_errors_of_java_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = f"file://{tmp_path}/file/x"
    with pytest.raises(UserError, match=rf"^{below} can't be written: .+$") as raised:
        files.write_text(below, "x")
    assert len(str(raised.value).splitlines()) == 1
    with pytest.raises(UserError, match=rf"^{below} can't be written: .+$"):
        files.put(tmp_path / "file", below)
    with pytest.raises(UserError, match=rf"^output: {below} can't be written: .+; nothing was done"):
        files.require_writable(below, key="output")


def test_s3_means_s3a_unless_spark_has_another_file_system_for_it(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    path = "s3://a-bucket/a b#c"
    with caplog.at_level("INFO", logger="seqrec"):
        assert [files.absolute(path) for _ in range(2)] == ["s3a://a-bucket/a b#c"] * 2
        assert files.uri(path) == "s3a://a-bucket/a%20b%23c"
    said = "s3://a-bucket is read as s3a://a-bucket: this Spark has no other file system for s3://"
    assert [record.message for record in caplog.records] == [said]
    with pytest.raises(
        UserError, match=r"^s3://a-bucket/a b#c can't be looked at: this Spark lacks the package of that file system"
    ):
        files.exists(path)
    settings = cast(Any, spark.sparkContext)._jsc.hadoopConfiguration()
    settings.set("fs.s3.impl", "org.apache.hadoop.fs.RawLocalFileSystem")
    try:
        assert files.absolute(path) == path
    finally:
        settings.unset("fs.s3.impl")


@pytest.mark.usefixtures("by_hadoop")
def test_a_long_wait_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(files, "PATIENCE_S", 0.01)
    os.mkfifo(tmp_path / "pipe")
    with (
        subprocess.Popen(["bash", "-c", 'sleep 0.3; echo late > "$0"', str(tmp_path / "pipe")]),
        caplog.at_level(logging.WARNING),
    ):
        assert files.read_text(f"file://{tmp_path}/pipe") == "late\n"
    assert f"waiting for file://{tmp_path}/pipe to be read" in caplog.text
