"""The embedded Milvus: the server of Milvus Lite, as a process that ends with the one that started it."""

import fcntl
import importlib.util
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqrec.errors import UserError
from seqrec.stores.address import LOOPBACK
from seqrec.stores.embedded_process import WAIT_S, require_free_port, wait_for_end


@contextmanager
def milvus_lite(folder: Path, *, port: int | None = None) -> Iterator[str]:
    """Serve Milvus Lite from a file in the folder, on a Unix socket, or on loopback at a port; yield the URI.

    The server ends when this process releases the lock of its file, even if it is killed. It needs a HOME, which a scheduler may
    not set.
    """
    package = importlib.util.find_spec("milvus_lite")
    if package is None or not package.submodule_search_locations:
        raise UserError("Milvus Lite isn't installed: `pip install seqrec[stores]`, or set MILVUS_URI to a server or to none")
    binaries = Path(package.submodule_search_locations[0], "lib")
    require_free_port(port or 0)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="seqrec-") as sockets, (folder / ".milvus.db.lock").open("a") as lock:
        _lock_record(lock.fileno(), folder)
        address = f"{LOOPBACK}:{port}" if port else f"unix:{sockets}/milvus.sock"
        with (folder / "milvus.log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "milvus", folder / "milvus.db", address, "ERROR", lock.name],
                env={"HOME": str(folder), **os.environ, "LD_LIBRARY_PATH": str(binaries), "DYLD_LIBRARY_PATH": str(binaries)},
                stdout=log,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        try:
            _wait_for_start(address, process, folder)
            yield f"http://{address}" if port else address
        finally:
            fcntl.lockf(lock.fileno(), fcntl.LOCK_UN)
            wait_for_end(process)


def _lock_record(descriptor: int, folder: Path) -> None:
    """Lock the file that the server watches, when the server of a killed process has ended; UserError if it doesn't in time."""
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= give_up:
                raise UserError(f"{folder}/milvus.db is held by another program: stop it") from None
            time.sleep(0.1)


def _wait_for_start(address: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    """Return when the server listens; UserError if it ends instead, or doesn't listen in time."""
    family, target = _socket_address(address)
    give_up = time.monotonic() + WAIT_S
    while time.monotonic() < give_up and process.poll() is None:
        with socket.socket(family) as probe:
            if probe.connect_ex(target) == 0:
                return
        time.sleep(0.05)
    process.kill()
    raise UserError(f"Milvus Lite didn't start: see {folder}/milvus.log; or set MILVUS_URI to a server or to none")


def _socket_address(address: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """The family and the address for Python's sockets, of unix:PATH or HOST:PORT."""
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    return socket.AF_INET, (host, int(port))
