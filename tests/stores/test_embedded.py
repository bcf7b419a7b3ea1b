"""The embedded servers: one process, loopback, and an end with their process."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from seqrec.errors import UserError
from seqrec.lock import hold
from seqrec.stores import embedded, jars

WRITER = """
import sys, time
from pathlib import Path
from pymongo import MongoClient
from seqrec.stores import embedded
folder = Path(sys.argv[1])
with embedded.hold_folder(folder), embedded.mongo_server(folder) as server, embedded.milvus_lite(folder):
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
    with embedded.hold_folder(tmp_path), embedded.mongo_server(tmp_path) as server, embedded.milvus_lite(tmp_path):
        assert list(MongoClient[dict[str, str]](server.uri).db.kept.find()) == [{"_id": "a.b"}]
    deadline = time.monotonic() + 10
    while _answers(uri):
        assert time.monotonic() < deadline, "the server of the killed process still answers"
        time.sleep(0.1)


def test_servers_listen_on_loopback_only(tmp_path: Path) -> None:
    with embedded.mongo_server(None) as server:
        port = int(server.uri.rpartition(":")[2])
        assert server.uri == f"mongodb://127.0.0.1:{port}"
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.2", port))  # would be taken by a server on all addresses
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1"), embedded.mongo_server(None, port=port):
            pass
    with embedded.milvus_lite(tmp_path) as uri:
        assert uri.startswith("unix:")


def test_missing_jars_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "_cache", lambda: tmp_path)
    with pytest.raises(UserError, match=r"lacks 16 jars .* run `make setup` once"), embedded.mongo_server(None):
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
