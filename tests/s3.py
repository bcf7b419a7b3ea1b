"""A real S3 server, versitygw, built once where Go is at hand; and servers that refuse requests or never answer."""

import http.client
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from seqrec.storage.lock import hold

VERSION = "v1.8.0"
CACHE = Path("~/.cache/seqrec-tests").expanduser()
KEYS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "only-for-tests"}
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def build() -> Path | None:
    """The server's binary, built if it isn't yet; None where there is no Go, or it can't be built."""
    binary, go = CACHE / f"versitygw-{VERSION}", shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    with hold(CACHE / "lock", what="the S3 server for tests", remedy="wait until it is built", wait_s=600):
        if not binary.exists() and go is not None:
            command = [go, "install", f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"]
            done = subprocess.run(command, env={**os.environ, "GOBIN": str(CACHE / "bin")}, capture_output=True, check=False)
            if done.returncode == 0:
                (CACHE / "bin" / "versitygw").rename(binary)
    return binary if binary.exists() else None


@contextmanager
def serve(binary: Path, buckets: Path, notes: Path) -> Iterator[str]:
    """The address of a server whose buckets are the folders in a folder; it keeps its notes on them in another."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    command = [str(binary), "--quiet", "--port", f"127.0.0.1:{port}", "posix", "--sidecar", str(notes), str(buckets)]
    with subprocess.Popen(command, env={**os.environ, **keys}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while not _listens(port) and server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


@contextmanager
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing(address: str, refuses: Callable[[str, int], bool]) -> Iterator[str]:
    """The address of a server that answers 503 where `refuses(method, number of the request)`, and passes on all else."""
    handler = type(
        "Handler", (_PassOn,), {"target": address.removeprefix("http://"), "refuses": staticmethod(refuses), "count": 0}
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _PassOn(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: str
    count: int
    refuses: Callable[[str, int], bool]

    def handle_request(self) -> None:
        type(self).count += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if type(self).refuses(self.command, type(self).count):
            self._answer(503, [("Content-Type", "application/xml")], SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(self.target, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        self._answer(answer.status, answer.getheaders(), answer.read())
        connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing."""

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding") and not (name.lower() == "content-length" and body):
                self.send_header(name, value)
        if body or status == 503:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
