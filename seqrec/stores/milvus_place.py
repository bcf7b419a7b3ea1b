"""An alias of a Milvus server: its name, how it is reached, and how long it may take to answer."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc

from seqrec.errors import UserError
from seqrec.stores.address import hidden
from seqrec.stores.limits import LIMITS, Limits, patiently
from seqrec.stores.store_errors import UNCHANGED, explained

with hidden("MILVUS_URI"):  # pymilvus takes it for a server's address at its import, and ours may be a word
    from pymilvus import MilvusClient, MilvusException

NAME = re.compile(r"^[A-Za-z_]\w{0,199}$")
LOCAL_CALLS = ("close", "create_schema", "prepare_index_params")
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Place:
    """An alias of a server. Name shows the server without secrets; aliases is false for Milvus Lite."""

    uri: str = field(repr=False)
    token: str = field(repr=False)
    name: str
    alias: str
    aliases: bool
    limits: Limits = LIMITS

    def __str__(self) -> str:
        return f"Milvus {self.name}, alias {self.alias}" if self.alias else f"Milvus {self.name}"


class Client:
    """A MilvusClient whose every call of the server has a time limit, within which it also waits for a server that is gone."""

    def __init__(self, client: MilvusClient, answer_s: float) -> None:
        self._client, self._answer_s = client, answer_s

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return call if name in LOCAL_CALLS else partial(call, timeout=self._answer_s)


def try_server(uri: str, *, token: str, name: str, limits: Limits = LIMITS) -> bool:
    """Try the server, and say whether it has aliases (Milvus Lite hasn't); UserError if it can't be reached or refuses us."""
    place = Place(uri=uri, token=token, name=name, alias="", aliases=True, limits=limits)
    with connected(place, "can't be reached", return_s=0.0) as client:
        client.list_collections(timeout=limits.reach_s)
        try:
            client.get_server_version(timeout=limits.reach_s)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise
            return False
        return True


def open_place(uri: str, *, token: str, name: str, alias: str, aliases: bool, limits: Limits = LIMITS) -> Place:
    """An alias; UserError if the server can't have one of that name."""
    if not NAME.match(alias):
        raise UserError(f"{alias!r} is no name for Milvus (milvus.alias, --dest): letters, digits and _, no digit first")
    place = Place(uri=uri, token=token, name=name, alias=alias, aliases=aliases, limits=limits)
    with connected(place, "reading failed") as client:
        if aliases and alias in client.list_collections():
            raise UserError(f"{place}: a collection has the alias's name: drop or rename it, or take another alias")
    return place


@contextmanager
def connected(place: Place, what: str, *, state: str = UNCHANGED, return_s: float | None = None) -> Iterator[Client]:
    """A client that is closed in the end; errors name the place and keep its secrets.

    `state` is what an error says of the alias; return_s is how long a server that isn't there is waited for, by default as the
    place's limits say.
    """
    patience_s = place.limits.return_s if return_s is None else return_s
    secrets = (place.uri, place.token)
    kinds = (MilvusException, grpc.RpcError)
    with (
        explained(f"{place}: {what}", *kinds, secrets=secrets, state=state),
        closing(open_client(place.uri, place.token, place.limits, return_s=patience_s)) as client,
    ):
        yield client


def open_client(uri: str, token: str, limits: Limits, *, return_s: float) -> Client:
    """A client of a server that may come back within return_s seconds."""
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints errors that are caught here

    def connect() -> MilvusClient:
        return MilvusClient(uri, token=token, timeout=limits.reach_s, dedicated=True)

    return Client(patiently(connect, passes=lambda error: isinstance(error, MilvusException), return_s=return_s), limits.answer_s)


def wait_until(ready: Callable[[], bool], place: Place, what: str) -> None:
    """Ask until the server is ready; UserError if it isn't within the limit for work in bulk."""
    give_up = time.monotonic() + place.limits.bulk_s
    while not ready():
        if time.monotonic() > give_up:
            raise UserError(f"{place}: {what} took more than {place.limits.bulk_s:.0f} s; {UNCHANGED}")
        time.sleep(POLL_S)
