"""A server of this folder's tests, anew for each of them; no request may leave this machine."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.enrichment.services import Services, running_services


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The services, for a process that connects to 127.0.0.1 alone and knows no proxy."""
    connect = socket.socket.connect

    def local_connect(self: socket.socket, address: Any) -> None:
        assert not isinstance(address, tuple) or address[0] == "127.0.0.1", f"a request to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_connect)
    monkeypatch.setenv("no_proxy", "*")
    with running_services() as server:
        yield server
