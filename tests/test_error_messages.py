"""Errors that nobody foresaw, each as one line: real ones where they can be made, else the text that Spark gives."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from seqrec.error_messages import DISK_FULL, explain, hide_secrets
from seqrec.errors import UserError
from seqrec.settings.enrich_items import Llm

JAVA = """An error occurred while calling o64.parquet.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 1.0 failed 1 times
\tat org.apache.spark.scheduler.DAGScheduler.$anonfun$abortStage$3(DAGScheduler.scala:2935)
Caused by: {cause}
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
"""


def raised(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("java.io.IOException: No space left on device", f"{DISK_FULL} (IOException: No space left on device)"),
        (
            "java.lang.OutOfMemoryError: Java heap space",
            "Java's memory is too small (OutOfMemoryError): give it more, by SPARK_D",
        ),
        ("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)", "a Python worker of Spark ended within"),
        (
            "software.amazon.awssdk.services.s3.model.NoSuchBucketException: The specified bucket does not exist (Service: S3)",
            "S3 has no such bucket",
        ),
        ("java.nio.file.AccessDeniedException: s3a://b/x: Forbidden (Service: S3, Status Code: 403)", "S3 refuses the keys"),
        (
            "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Connection refused",
            "S3 doesn't answer: look whether AWS_ENDPOINT_URL",
        ),
        (
            "java.net.ConnectException: Call From a/10.0.0.1 to nn:8020 failed on connection exception: refused",
            "HDFS at nn:8020 doesn't answer",
        ),
        ("org.apache.spark.SparkException: Could not parse Master URL: 'sprak://x'", "Spark's master can't be reached: look at"),
        (
            "java.lang.RuntimeException: file:/x/part-0.parquet is not a Parquet file. Expected magic number",
            "RuntimeException: file:/x/part-0.parquet is not a Parquet file. Expected magic number: a file is broken",
        ),
        ("java.lang.IllegalStateException: something new", "IllegalStateException: something new"),
    ],
)
def test_the_root_of_java_s_errors_is_said(cause: str, said: str) -> None:
    line = explain(RuntimeError(JAVA.format(cause=cause)))
    assert line.startswith(said)
    assert "\n" not in line
    assert "DAGScheduler" not in line


def test_the_operating_system_s_errors_name_the_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert explain(raised(lambda: (tmp_path / "none").read_text())) == f"{tmp_path}/none: no such file or folder"
    assert explain(raised(lambda: (tmp_path / "file" / "x").mkdir())).startswith(f"{tmp_path}/file/x: a file is where a folder")
    assert explain(raised(lambda: tmp_path.read_text())).startswith(f"{tmp_path}: it is a folder")
    assert explain(raised(lambda: Path("/dev/full").write_text("x"))) == DISK_FULL
    assert (
        explain(PermissionError(13, "Permission denied", "/x")) == "/x: no permission: take another folder, or change whose it is"
    )


def test_the_first_cause_counts() -> None:
    def fail() -> None:
        try:
            raise OSError(28, "No space left on device", "/data/x")
        except OSError as error:
            raise RuntimeError("the export failed") from error

    assert explain(raised(fail)) == f"/data/x: {DISK_FULL}"
    assert explain(MemoryError()) == "memory ran out: take smaller batches, or free memory"
    assert explain(ValueError("first line\nsecond")) == "ValueError: first line"
    assert explain(ZeroDivisionError()) == "ZeroDivisionError"


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_TOKEN", "root:hidden-token")
    monkeypatch.setenv("MONGODB_URI", "mongodb://u:p%40ss@h/x")
    text = hide_secrets("mongodb://u:p%40ss@h/x said root:hidden-token, s3a://key:secret@bucket/x")
    assert text == "mongodb://***@h/x said ***, s3a://***@bucket/x"
    assert hide_secrets('["http://x","ann@example.org"]') == '["http://x","ann@example.org"]'


def test_keys_of_language_models_are_masked_whatever_variable_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hidden-one")
    monkeypatch.setenv("OUR_MODEL_KEY", "sk-hidden-two")
    assert hide_secrets("sk-hidden-one sk-hidden-two") == "*** sk-hidden-two"
    Llm(key_variable="OUR_MODEL_KEY")
    assert hide_secrets("sk-hidden-one sk-hidden-two") == "*** ***"


def test_the_errors_of_spark_s_python_workers_are_one_line(spark: SparkSession) -> None:
    def user_error(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        raise UserError("what, where, what to do")

    def other_error(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        raise ValueError("a value of x")

    def die(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        os._exit(9)

    lines = [explain(raised(spark.range(2).mapInArrow(fail, "id bigint").collect)) for fail in (user_error, other_error, die)]
    assert lines[:2] == ["what, where, what to do", "ValueError: a value of x"]
    assert lines[2].startswith("a Python worker of Spark ended within its task")


def test_spark_s_own_errors_are_one_line(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("user_id,item_id")
    missing = explain(raised(lambda: spark.read.parquet(f"{tmp_path}/none")))
    broken = explain(raised(lambda: spark.read.parquet(f"{tmp_path}/x.parquet").collect()))
    column = explain(raised(lambda: spark.range(2).select("no_such").collect()))
    assert f"Path does not exist: file:{tmp_path}/none" in missing
    assert "x.parquet is not a Parquet file" in broken
    assert broken.endswith("run the job again that writes it")
    assert "`no_such`" in column
    assert all("\n" not in line and "\tat " not in line and "JVM stacktrace" not in line for line in (missing, broken, column))
