"""The archive of Java's classes: who is told of it, and that it fits the JVM that it is for. `make setup` makes it."""

import os
import sys
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from seqrec.command import make_class_archive
from seqrec.command.class_archive import MADE_BY, NAME, archive_options, java_of

ARCHIVE = Path(pyspark.__file__).resolve().parent / NAME
REMEDY = f"make it anew: {sys.executable} -m seqrec.command.make_class_archive"


def test_a_jvm_is_told_of_an_archive_that_is_there(tmp_path: Path) -> None:
    assert archive_options(tmp_path) == []
    (tmp_path / NAME).touch()
    assert archive_options(tmp_path)[-1] == f"-XX:SharedArchiveFile={tmp_path / NAME}"


def test_without_a_place_for_it_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    make_class_archive.main(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path} can't be written: {make_class_archive.WITHOUT}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_spark_that_doesn_t_start_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[bool] = []

    class JavaError(Exception):
        """As py4j's, it asks the JVM what it says."""

        def __str__(self) -> str:
            if ended:
                raise ConnectionRefusedError
            return "can't bind"

    def fail(spark: Path) -> None:
        (spark / f"{NAME}.{os.getpid()}").touch()
        raise JavaError

    monkeypatch.setattr(make_class_archive, "make_archive", fail)
    monkeypatch.setattr(make_class_archive, "_end_java", lambda: ended.append(True))  # that of the tests goes on
    make_class_archive.main(tmp_path)
    reason = "JavaError: can't bind"
    assert capsys.readouterr().out == f"no archive of Java's classes could be made ({reason}): {make_class_archive.WITHOUT}\n"
    assert ended
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not ARCHIVE.exists(), reason="make setup makes the archive")
def test_the_archive_fits_the_jvm_of_the_tests(spark: SparkSession) -> None:
    """One that doesn't fit is ignored without a word."""
    assert spark._jvm is not None
    made_by = ARCHIVE.with_name(MADE_BY)
    if made_by.exists() and (java := java_of(spark._jvm)) != made_by.read_text():
        pytest.skip(f"this Java is {java.strip()}, the archive is of {made_by.read_text().strip()}; {REMEDY}")
    pid = spark._jvm.java.lang.ProcessHandle.current().pid()
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert f" {ARCHIVE}\n" in maps, f"the archive is of other jars, or of another Java; {REMEDY}"
