"""A door before a server on loopback: shut for a while, open without an answer, or answering in the server's place."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import bson

OP_MSG = 2013
Act = Callable[[], None]


class Door:
    """Passes on what clients and the server say to each other, until told otherwise."""

    def __init__(self, port: int) -> None:
        self.server, self.answers = port, dict[str, dict[str, Any]]()
        self._stalled, self._closed = threading.Event(), threading.Event()
        self._open: list[socket.socket] = []
        self._left, self._act, self.acted_at = -1, self.stall, 0.0
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def stall(self) -> None:
        """Say nothing any more, to nobody."""
        self._stalled.set()

    def shut(self, seconds: float) -> None:
        """End all connections, and refuse others for so long."""
        self._listener.close()
        self._end_all()

        def reopen() -> None:
            time.sleep(seconds)
            if not self._closed.is_set():
                self._listener = self._listen(self.port)

        threading.Thread(target=reopen, daemon=True).start()

    def after(self, size: int, act: Act) -> None:
        """Act once clients have sent so many bytes."""
        self._act, self._left = act, size

    def close(self) -> None:
        self._closed.set()
        self._stalled.set()
        self._listener.close()
        self._end_all()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), reuse_port=True)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _end_all(self) -> None:
        for link in self._open:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server))
                self._open += [client, server]
                for ends in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if from_client and self._left >= 0:
                    self._left -= len(data)
                    if self._left < 0:
                        self.acted_at = time.monotonic()
                        self._act()
                if self._stalled.is_set():
                    continue
                answer = self._answer(data) if from_client and self.answers else None
                (sink if answer is None else source).sendall(data if answer is None else answer)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _answer(self, data: bytes) -> bytes | None:
        """The reply to a MongoDB command that `answers` has a document for."""
        length, request, _, kind = struct.unpack_from("<iiii", data)
        if kind != OP_MSG or length > 16 << 20:
            return None
        size = struct.unpack_from("<i", data, 21)[0]
        command = next(iter(bson.decode(data[21 : 21 + size])))
        if command not in self.answers:
            return None
        body = b"\0\0\0\0\0" + bson.encode(self.answers[command])
        return struct.pack("<iiii", 16 + len(body), 0, request, OP_MSG) + body


@contextmanager
def door(port: int) -> Iterator[Door]:
    """A door before the server at a port of loopback."""
    gate = Door(port)
    try:
        yield gate
    finally:
        gate.close()
