"""A Milvus server and an alias of it: their names, how they are reached, and how long they may take to answer.

    server = open_server("http://host:19530", token="", name="http://host:19530")
    with connected(server.alias("item_embeddings"), "counting failed") as client:
        client.describe_collection("item_embeddings")

Every call has a time limit, within which the client also waits for a server that is gone for a moment.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import grpc

from seqrec.errors import UserError
from seqrec.stores.address import milvus_name
from seqrec.stores.store_errors import UNCHANGED, as_user_errors
from seqrec.stores.timeouts import TIMEOUTS, Timeouts, patiently
from seqrec.variables import set_variable

with set_variable("MILVUS_URI", ""):  # pymilvus takes it for an address, of .env too if it is unset; here it may be a word
    from pymilvus import MilvusClient, MilvusException

NAME = re.compile(r"^[A-Za-z_]\w{0,199}$")
LOCAL_CALLS = ("close", "create_schema", "prepare_index_params")
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class MilvusServer:
    """A Milvus server that answers. `name` shows it without secrets; `aliases` is false for Milvus Lite, which has none."""

    uri: str = field(repr=False)
    token: str = field(repr=False)
    name: str
    aliases: bool
    timeouts: Timeouts = TIMEOUTS

    def __str__(self) -> str:
        return f"Milvus {self.name}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no message may show."""
        return (self.uri, self.token)

    def alias(self, name: str) -> "MilvusAlias":
        """An alias of the server, which need not exist yet; UserError if the server can't have one of that name."""
        if not NAME.match(name):
            raise UserError(f"{name!r} is no name for Milvus (milvus.alias, --dest): letters, digits and _, no digit first")
        alias = MilvusAlias(server=self, name=name)
        with connected(alias, "reading failed") as client:
            if self.aliases and name in client.list_collections():
                raise UserError(f"{alias}: a collection has the alias's name: drop or rename it, or take another alias")
        return alias


@dataclass(frozen=True, kw_only=True)
class MilvusAlias:
    """The name by which searches reach a collection; on Milvus Lite it is the collection's own name."""

    server: MilvusServer
    name: str

    def __str__(self) -> str:
        return milvus_name(self.server.name, alias=self.name)


class Client:
    """A MilvusClient whose every call of the server has a time limit, within which it also waits for a server that is gone."""

    def __init__(self, client: MilvusClient, answer_s: float) -> None:
        self._client, self._answer_s = client, answer_s

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return call if name in LOCAL_CALLS else partial(call, timeout=self._answer_s)


def open_server(uri: str, *, token: str, name: str, timeouts: Timeouts = TIMEOUTS) -> MilvusServer:
    """The server at an address, once it has answered; UserError if it can't be reached or refuses us.

    Milvus Lite is recognised by its error: it doesn't implement the call that asks for its version.
    """
    server = MilvusServer(uri=uri, token=token, name=name, aliases=True, timeouts=timeouts)
    with _session(server, f"{server}: can't be reached", state=UNCHANGED, return_s=0.0) as client:
        client.list_collections(timeout=timeouts.reach_s)
        try:
            client.get_server_version(timeout=timeouts.reach_s)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise
            return replace(server, aliases=False)
    return server


@contextmanager
def connected(alias: MilvusAlias, what: str, *, state: str = UNCHANGED) -> Iterator[Client]:
    """A client that is closed in the end; errors begin with the alias and `what`, and hide the server's secrets.

    `state` is what an error says of the alias.
    """
    return_s = alias.server.timeouts.return_s
    with _session(alias.server, f"{alias}: {what}", state=state, return_s=return_s) as client:
        yield client


def open_client(server: MilvusServer, *, return_s: float | None = None) -> Client:
    """A client; if the server is away, it is waited for, return_s seconds or by default as long as the server's timeouts say."""
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints errors that are caught here
    patience_s = server.timeouts.return_s if return_s is None else return_s

    def connect() -> MilvusClient:
        """One attempt."""
        return MilvusClient(server.uri, token=server.token, timeout=server.timeouts.reach_s, dedicated=True)

    client = patiently(connect, passes=lambda error: isinstance(error, MilvusException), return_s=patience_s)
    return Client(client, server.timeouts.answer_s)


def wait_until(ready: Callable[[], bool], alias: MilvusAlias, what: str) -> None:
    """Ask until the server is ready; UserError if it isn't within the limit for work in bulk."""
    limit_s = alias.server.timeouts.bulk_s
    give_up = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > give_up:
            raise UserError(f"{alias}: {what} took more than {limit_s:.0f} s; {UNCHANGED}")
        time.sleep(POLL_S)


@contextmanager
def _session(server: MilvusServer, what: str, *, state: str, return_s: float) -> Iterator[Client]:
    """A client whose errors become UserErrors that begin with `what`."""
    kinds = (MilvusException, grpc.RpcError)
    with (
        as_user_errors(what, *kinds, secrets=server.secrets, state=state),
        closing(open_client(server, return_s=return_s)) as client,
    ):
        yield client
