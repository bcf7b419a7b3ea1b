"""Stores for one machine: a MongoDB server on H2 in a JVM of its own, and Milvus Lite; both listen on loopback only.

The MongoDB server is mongo-java-server (https://github.com/bwaldvogel/mongo-java-server); nothing else uses its JVM, because
its netty isn't Spark's. Both servers end with the process that started them. Run as a module, it fetches the jars (--fetch)
or serves the stores until Ctrl-C (--serve).
"""

import argparse
import fcntl
import importlib.util
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from seqrec.command.entry import command_line
from seqrec.command.java import require_java
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.lock import hold
from seqrec.stores import h2, jars
from seqrec.stores.address import LOOPBACK

MONGO_PORT, MILVUS_PORT = 27017, 19530
WAIT_S = 10.0  # how long the servers of a process that was killed may take to end
JAVA_ANSWER_S = 120.0


@dataclass(frozen=True, kw_only=True)
class EmbeddedMongo:
    """A running server; renames says whether it keeps renamed collections, `flush` puts all it was given on disk."""

    uri: str
    renames: bool
    flush: Callable[[], None]


def data_folder() -> Path:
    """Where the stores keep their files: SEQREC_ROOT/stores, or the user's data folder where SEQREC_ROOT isn't a local path."""
    root = os.environ.get("SEQREC_ROOT", "")
    if root and files.is_local(root):
        return files.local_path(root) / "stores"
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "seqrec" / "stores"


@contextmanager
def hold_folder(folder: Path) -> Iterator[None]:
    """Be the one process that has the stores in a folder; UserError that says who else has."""
    remedy = (
        f"wait for it or stop it; if it is `make stores`, export MONGODB_URI=mongodb://{LOOPBACK}:{MONGO_PORT} "
        f"MILVUS_URI=http://{LOOPBACK}:{MILVUS_PORT} instead"
    )
    _require_folder(folder)
    with hold(folder / "LOCK", what=f"the embedded stores in {folder}", remedy=remedy):
        yield


@contextmanager
def mongo_server(folder: Path | None, *, port: int = 0) -> Iterator[EmbeddedMongo]:
    """Serve MongoDB on loopback, from a file in the folder, or from memory for None; port 0 takes a free one."""
    _require_free(port)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it logs with a trace what it raises, and a JVM's end as an error
    spark_jars = Path(jars.spark_home(), "jars")
    java_port, token, process = launch_gateway(
        jarpath=str(next(spark_jars.glob("py4j*.jar"))),
        classpath=jars.class_path(),
        javaopts=["-Xmx1g", "-XX:+UseSerialGC"],
        java_path=str(require_java() / "bin" / "java"),
        die_on_exit=True,
        create_new_process_group=True,
        enable_auth=True,
        return_proc=True,
    )
    parameters = GatewayParameters(port=java_port, auth_token=token, auto_convert=True, read_timeout=JAVA_ANSWER_S)
    gateway = JavaGateway(gateway_parameters=parameters)
    with ExitStack() as stack:
        stack.callback(_end_java, gateway, process)
        mongo = gateway.jvm.de.bwaldvogel.mongo
        if folder is None:
            backend, flush = mongo.backend.memory.MemoryBackend(), _nothing
        else:
            folder.mkdir(parents=True, exist_ok=True)
            backend = mongo.backend.h2.H2Backend(h2.opened(gateway, folder / "mongo.mv.db", wait_s=WAIT_S))
            flush = h2.flushing(backend, folder)
        server = mongo.MongoServer(backend)
        server.bind(LOOPBACK, port)
        stack.enter_context(h2.closing(server.shutdownNow, backend.close))
        yield EmbeddedMongo(uri=server.getConnectionString(), renames=folder is None, flush=flush)


@contextmanager
def milvus_lite(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Serve Milvus Lite from a file in the folder, on a socket of its own, or on loopback at a port; yield the URI.

    The server ends when this process gives up the lock of its file, also by dying.
    """
    found = importlib.util.find_spec("milvus_lite")
    if found is None or not found.submodule_search_locations:
        raise UserError("Milvus Lite isn't installed: `pip install seqrec[stores]`, or set MILVUS_URI to a server or to none")
    binaries = Path(found.submodule_search_locations[0], "lib")
    _require_free(port or 0)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seqrec-") as sockets, (folder / ".milvus.db.lock").open("a") as lock:
        _lock_record(lock.fileno(), folder)
        address = f"{LOOPBACK}:{port}" if port else f"unix:{sockets}/milvus.sock"
        with (folder / "milvus.log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "milvus", folder / "milvus.db", address, "ERROR", lock.name],
                env={**os.environ, "LD_LIBRARY_PATH": str(binaries), "DYLD_LIBRARY_PATH": str(binaries)},
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        try:
            _wait_for(address, process, folder)
            yield f"http://{address}" if port else address
        finally:
            fcntl.lockf(lock.fileno(), fcntl.LOCK_UN)
            _ended(process)


def main(argv: list[str] | None = None) -> None:
    """Fetch the jars, or serve the embedded stores."""
    parser = argparse.ArgumentParser(prog="python -m seqrec.stores.embedded", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--fetch", action="store_true", help="fetch the jars of the MongoDB server into ~/.ivy2.5.2, once")
    choice.add_argument("--serve", action="store_true", help=f"serve MongoDB at {MONGO_PORT} and Milvus at {MILVUS_PORT}")
    parser.add_argument("--mongo-port", type=int, default=MONGO_PORT, help="port of MongoDB on loopback")
    parser.add_argument("--milvus-port", type=int, default=MILVUS_PORT, help="port of Milvus on loopback")
    arguments = parser.parse_args(argv)
    with command_line():
        if arguments.fetch:
            jars.fetch()
        else:
            serve(data_folder(), mongo_port=arguments.mongo_port, milvus_port=arguments.milvus_port)


def serve(folder: Path, *, mongo_port: int, milvus_port: int) -> None:
    """Serve both stores until SIGINT or SIGTERM, and say how to look into them."""
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with ExitStack() as stack:
        stack.enter_context(hold_folder(folder))
        mongo = stack.enter_context(mongo_server(folder, port=mongo_port)).uri
        milvus = stack.enter_context(milvus_lite(folder, port=milvus_port))
        sys.stdout.write(GREETING.format(folder=folder, mongo=mongo, milvus=milvus))
        sys.stdout.flush()
        end.wait()


GREETING = """\
The embedded stores of {folder} are served until Ctrl-C:
  MongoDB  {mongo}
  Milvus   {milvus}
Look into them from another terminal:
  export MONGODB_URI={mongo} MILVUS_URI={milvus}
  .venv/bin/python -m seqrec.stores.show
  .venv/bin/python -c 'import pymongo; print(pymongo.MongoClient("{mongo}").seqrec.recommendations.find_one())'
  .venv/bin/python -c 'import pymilvus; print(pymilvus.MilvusClient("{milvus}").describe_collection("item_embeddings"))'
  mongosh {mongo}/seqrec --eval 'db.recommendations.findOne()'
"""


def _nothing() -> None:
    return None


def _require_folder(folder: Path) -> None:
    """Make the folder; UserError if it can't be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{folder}, where the embedded stores keep their files, can't be written ({error.strerror}): mend that, or set "
            f"SEQREC_ROOT to another folder, or MONGODB_URI and MILVUS_URI to servers or to none"
        ) from None


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UserError(f"port {port} on {LOOPBACK}: {error.strerror}; stop what listens there") from None


def _lock_record(descriptor: int, folder: Path) -> None:
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise UserError(f"{folder}/milvus.db is held by another program: stop it") from None
            time.sleep(0.1)


def _wait_for(address: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Return when the server listens; UserError if it ends instead."""
    family, place = (socket.AF_UNIX, address.removeprefix("unix:")) if address.startswith("unix:") else (socket.AF_INET, address)
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket(family) as probe:
            host, _, port = place.rpartition(":")
            if probe.connect_ex((host, int(port)) if family == socket.AF_INET else place) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise UserError(f"Milvus Lite didn't start: see {folder}/milvus.log; or set MILVUS_URI to a server or to none")


def _end_java(gateway: JavaGateway, process: subprocess.Popen[bytes]) -> None:
    gateway.close()
    assert process.stdin is not None
    process.stdin.close()
    _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
