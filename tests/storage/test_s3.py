"""S3, against a real server: files through pyarrow, and through Spark's Hadoop with a whole chain of jobs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from seqrec.errors import UserError
from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import arrow, files, hadoop
from tests import s3

ROOT = Path(__file__).parents[2]
BUCKET = "s3a://bucket"
AWKWARD = ["a b", "[x]", "{a,b}", "*", "?", "a%20b", "a #b", "a: b", "ü 日本", "a\\b", "k=v", "a+&;b", "[a]: b#?%"]
PUT_AND_GO_ON = """\
import pathlib, sys
from seqrec.storage import files
try:
    files.put(pathlib.Path(sys.argv[1]), sys.argv[2])
except OSError as error:
    print(error)
print(files.read_text(sys.argv[2]))
"""
PUT = "import sys, pathlib; from seqrec.storage import files; files.put(pathlib.Path(sys.argv[1]), sys.argv[2])"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The server's address and the folder of its one bucket."""
    binary = s3.build()
    if binary is None:
        pytest.skip("no S3 server: there is no Go to build versitygw, or it can't be built")
    folder = tmp_path_factory.mktemp("s3")
    for name in ("buckets/bucket", "notes"):
        (folder / name).mkdir(parents=True)
    with s3.serve(binary, folder / "buckets", folder / "notes") as address:
        yield address, folder / "buckets" / "bucket"


@pytest.fixture
def bucket(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bucket's folder; this process talks to the server by pyarrow, whether Spark runs or not."""
    for name, value in {**s3.KEYS, "AWS_ENDPOINT_URL": server[0]}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(hadoop, "runs", lambda: False)
    return server[1]


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("name", AWKWARD)
def test_files_round_trip(tmp_path: Path, name: str) -> None:
    root = f"{BUCKET}/round"
    path = files.join(root, name, name)
    assert not files.exists(path)
    with pytest.raises(FileNotFoundError):
        files.read_text(path)
    files.require_writable(files.join(root, name), key="model")
    files.write_text(path, "old")
    files.write_text(path, "Zürich\n")
    assert files.read_text(path) == "Zürich\n"
    assert files.names(root) == [name]
    copy = files.fetch(path, tmp_path)
    assert copy.read_text() == "Zürich\n"
    files.put(copy, files.join(root, name, "copy"))
    assert files.read_text(files.join(root, name, "copy")) == "Zürich\n"
    assert files.names(files.join(root, name)) == sorted([name, "copy"])
    assert files.sizes(files.join(root, name)) == {name: 8, "copy": 8}
    assert files.read_end(path, 3) == b"ch\n"
    assert (files.read_part(path, 4, 2), files.size_of(path)) == (b"ic", 8)
    assert files.names(path) == []
    files.remove(files.join(root, name, "copy"))
    files.remove(files.join(root, name))
    files.remove(files.join(root, name))
    assert not files.exists(path)


def test_a_source_that_ends_too_early_leaves_the_old_file_while_the_process_lives_and_when_it_ended(
    bucket: Path, tmp_path: Path
) -> None:
    """The pipe has no bytes by its size, so that what it delivers is a file that changes while it is copied."""
    path, pipe = f"{BUCKET}/early", tmp_path / "pipe"
    files.write_text(path, "old")
    os.mkfifo(pipe)
    with subprocess.Popen([sys.executable, "-c", PUT_AND_GO_ON, str(pipe), path], stdout=subprocess.PIPE, text=True) as writer:
        with _opened(pipe, writer) as source:
            source.write(bytes(30 << 20))
        said, _ = writer.communicate(timeout=60)
    reason = f"{pipe} changed while it was copied: it had 0 bytes, {30 << 20} were read"
    assert (said, writer.returncode) == (f"{path} can't be written: {reason}\nold\n", 0)
    assert files.read_text(path) == "old"


def test_a_writer_that_is_killed_leaves_the_old_file(bucket: Path, tmp_path: Path) -> None:
    path = f"{BUCKET}/left/x"
    files.write_text(path, "old")
    _leave_an_upload(bucket, tmp_path / "pipe")
    assert _uploads(bucket)
    assert files.read_text(path) == "old"
    files.put(Path(__file__), path)
    assert files.read_text(path) == Path(__file__).read_text()


@pytest.mark.usefixtures("bucket")
def test_what_is_wrong_is_said_soon_and_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(path: str) -> str:
        started = time.monotonic()
        with pytest.raises(UserError) as raised:
            files.require_writable(path, key="model")
        assert time.monotonic() - started < 20
        (line,) = str(raised.value).splitlines()
        assert line.startswith(f"model: {path} can't be written: ")
        return line

    assert "there is no such bucket" in refusal("s3a://no-bucket/model")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        assert "the server refuses the key AWS_SECRET_ACCESS_KEY" in refusal(f"{BUCKET}/model")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert "no server answers: is AWS_ENDPOINT_URL" in refusal(f"{BUCKET}/model")
    with s3.silent() as address, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address)
        patch.setattr(arrow, "QUICK_S", 1.0)
        assert "no server answers: is AWS_ENDPOINT_URL" in refusal(f"{BUCKET}/model")


def test_a_server_that_refuses_every_write_is_given_up_and_the_old_file_stays(
    server: tuple[str, Path], bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{BUCKET}/refused"
    files.write_text(path, "old")
    with s3.refusing(server[0], lambda method, _: method in ("PUT", "POST")) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        started = time.monotonic()
        with pytest.raises(UserError, match=r"s3a://bucket/refused can't be written: .*"):
            files.write_text(path, "new")
        assert time.monotonic() - started < 30
        assert files.read_text(path) == "old"


def test_every_tenth_refused_request_is_survived(server: tuple[str, Path], bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3.refusing(server[0], lambda _, number: number % 10 == 0) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        for number in range(6):
            files.write_text(f"{BUCKET}/tenth/{number}", str(number))
            assert files.read_text(f"{BUCKET}/tenth/{number}") == str(number)
        assert len(files.names(f"{BUCKET}/tenth")) == 6


@pytest.mark.usefixtures("bucket")
def test_a_server_that_stops_answering_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow, "ANSWER_S", 1.0)
    with s3.silent() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(UserError, match=r"s3a://bucket/x can't be read: .*Timeout"):
            files.read_text(f"{BUCKET}/x")


@pytest.mark.skipif(
    not os.environ.get("SEQREC_TEST_S3"),
    reason="fetches Spark's packages for S3, 1.1 GB, if Ivy lacks them: set SEQREC_TEST_S3=1",
)
def test_the_chain_runs_on_s3_by_spark(bucket: Path, tmp_path: Path) -> None:
    """From ratings to recommendations in an s3:// folder with an awkward name, in one JVM; and what files do on s3a://."""
    tree = tmp_path / "tree"
    for folder in ("jobs", "conf"):
        shutil.copytree(ROOT / folder, tree / folder)
    (tree / "seqrec").symlink_to(ROOT / "seqrec")
    shutil.copy(ROOT / "spark-submit.sh", tree)
    shutil.copy(ROOT / "tests" / "s3_chain.py", tree / "jobs")
    (tree / "conf" / "s3_chain.yaml").write_text("data: ${SEQREC_ROOT}\n")
    write_ratings(tmp_path / "ratings.csv", Simulation(users=40, items=60, events=500, seed=1))
    variables = {
        "SEQREC_ROOT": "s3://bucket/[a] b: #%ü",
        "MONGODB_URI": "none",
        "MILVUS_URI": "none",
        "SPARK_DRIVER_MEMORY": "1g",
        "SPARK_SUBMIT_OPTS": os.environ["SPARK_SUBMIT_OPTS"],
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK", "PYSPARK", "SEQREC"))}
    environment = {**kept, **variables, "PYSPARK_PYTHON": sys.executable}
    _leave_an_upload(bucket, tmp_path / "pipe")
    with s3.silent() as address:
        command = [str(tree / "spark-submit.sh"), "s3_chain", f"ratings={tmp_path}/ratings.csv", f"silent={address}"]
        command += ["--", "--master", "local[2]", "--conf", "spark.ui.enabled=false"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("found "))
    found = json.loads(line.removeprefix("found "))
    assert found["users"] == 40
    assert found["pictures"] == ["train_loss.png", "val_ndcg10.png", "val_recall10.png"]
    assert (found["sections"], found["problems"]) == (8, 1)  # of the report, which says that no evaluation is there
    for name, words in (
        ("bucket", "there is no such bucket"),
        ("key", "access is denied"),
        ("server", "no server answers"),
        ("silent", "the server doesn't answer in time"),
    ):
        assert words in found["refusals"][name]["message"]
        assert len(found["refusals"][name]["message"].splitlines()) == 1
        assert found["refusals"][name]["seconds"] < 25
    assert not [path for path in bucket.rglob("*") if path.name.startswith(("__magic", ".seqrec.")) or "pending" in path.name]
    assert not _uploads(bucket)


def _opened(pipe: Path, reader: subprocess.Popen[Any]) -> BinaryIO:
    """The pipe, once the process reads from it; an AssertionError if the process ends before, where a plain open would hang."""
    while True:
        try:
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert reader.poll() is None, f"the reader of {pipe} ended with {reader.returncode}"
            time.sleep(0.02)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb")


def _leave_an_upload(bucket: Path, pipe: Path) -> None:
    """Begin to write s3a://bucket/left/x and be killed."""
    os.mkfifo(pipe)
    command = [sys.executable, "-c", PUT, str(pipe), f"{BUCKET}/left/x"]
    with subprocess.Popen(command) as writer, _opened(pipe, writer) as source:
        source.write(bytes(30 << 20))
        source.flush()
        deadline = time.monotonic() + 30
        while not _uploads(bucket) and time.monotonic() < deadline:
            time.sleep(0.02)
        writer.send_signal(signal.SIGKILL)
        writer.wait()


def _uploads(bucket: Path) -> list[Path]:
    """The parts of uploads that were neither completed nor aborted."""
    return [part for part in bucket.glob(".sgwtmp/multipart/*/*/*") if part.is_file()]
