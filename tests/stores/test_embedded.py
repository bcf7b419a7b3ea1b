"""The embedded servers: one process, loopback, and an end with their process."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from seqrec.errors import UserError
from seqrec.storage.lock import hold
from seqrec.stores import embedded, embedded_milvus, embedded_mongo, jars

WRITER = """
import sys, time
from pathlib import Path
from pymongo import MongoClient
from seqrec.stores import embedded, embedded_milvus, embedded_mongo
folder = Path(sys.argv[1])
with embedded.hold_folder(folder), embedded_mongo.mongo_server(folder) as server, embedded_milvus.milvus_lite(folder):
    MongoClient(server.uri).db.kept.insert_one({"_id": "a.b"})
    server.flush()
    print(server.uri, flush=True)
    time.sleep(600)
"""


def test_what_was_flushed_outlives_a_kill_and_the_servers_do_not(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    uri = writer.stdout.readline().strip()
    with pytest.raises(UserError, match=rf"held by process {writer.pid} \("), embedded.hold_folder(tmp_path):
        pass
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with embedded.hold_folder(tmp_path), embedded_mongo.mongo_server(tmp_path) as server, embedded_milvus.milvus_lite(tmp_path):
        assert list(MongoClient[dict[str, str]](server.uri).db.kept.find()) == [{"_id": "a.b"}]
    deadline = time.monotonic() + 10
    while _answers(uri):
        assert time.monotonic() < deadline, "the server of the killed process still answers"
        time.sleep(0.1)


def test_servers_listen_on_loopback_only(tmp_path: Path) -> None:
    with embedded_mongo.mongo_server(None) as server:
        port = int(server.uri.rpartition(":")[2])
        assert server.uri == f"mongodb://127.0.0.1:{port}"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.2", port))  # would be taken by a server on all addresses
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1"), embedded_mongo.mongo_server(None, port=port):
            pass
    with embedded_milvus.milvus_lite(tmp_path) as uri:
        assert uri.startswith("unix:")


def test_the_end_of_a_server_hides_no_error(tmp_path: Path) -> None:
    """The JVM is gone when the store is closed, and what went wrong before is told."""

    def break_off(server: embedded_mongo.EmbeddedMongo) -> None:
        _kill_java(server)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _use(tmp_path, break_off)
    with pytest.raises(UserError, match="the embedded MongoDB didn't end as it should") as caught:
        _use(tmp_path, _kill_java)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_said_as_h2_says_it(tmp_path: Path) -> None:
    """A file of the JVM may not grow beyond 3 MB, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(server: embedded_mongo.EmbeddedMongo) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        noise: list[dict[str, Any]] = [{"_id": number, "noise": os.urandom(1000)} for number in range(9000)]
        with suppress(PyMongoError), MongoClient[dict[str, Any]](server.uri) as client:
            client.db.kept.insert_many(noise)
        server.flush()

    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, limits[1]))
    with pytest.raises(UserError, match=r"can't write its file: .*is the disk full\?") as caught:
        _use(tmp_path, fill)
    assert "\n" not in str(caught.value)


def _use(folder: Path, use: Callable[[embedded_mongo.EmbeddedMongo], None]) -> None:
    with embedded_mongo.mongo_server(folder) as server:
        use(server)


def _kill_java(server: embedded_mongo.EmbeddedMongo) -> None:
    port = int(server.uri.rpartition(":")[2])
    listening = [
        link for link in psutil.net_connections("tcp") if link.laddr and link.laddr.port == port and link.status == "LISTEN"
    ]
    assert listening[0].pid is not None
    os.kill(listening[0].pid, signal.SIGKILL)


def test_a_folder_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"where the embedded stores keep their files, can't be written \(.*\): mend that"),
        embedded.hold_folder(tmp_path / "file" / "stores"),
    ):
        pass


def test_missing_jars_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_cache", lambda: tmp_path)
    with pytest.raises(UserError, match=r"lacks 16 jars .* run `make setup` once"), embedded_mongo.mongo_server(None):
        pass


def test_nothing_is_fetched_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    embedded.main(["--fetch"])


def test_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEQREC_ROOT", f"file://{tmp_path}")
    assert embedded.data_folder() == tmp_path / "stores"
    monkeypatch.setenv("SEQREC_ROOT", "s3a://bucket/prefix")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert embedded.data_folder() == tmp_path / "seqrec" / "stores"


def test_a_lock_is_free_after_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with hold(tmp_path / "LOCK", what="it", remedy="wait"):
            assert f"process {os.getpid()} (" in (tmp_path / "LOCK").read_text()
    assert (tmp_path / "LOCK").read_text() == ""


def _answers(uri: str) -> bool:
    try:
        MongoClient[dict[str, str]](uri, serverSelectionTimeoutMS=200).admin.command("ping")
    except PyMongoError:
        return False
    return True
