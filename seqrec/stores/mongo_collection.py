"""A MongoDB server and a collection of it: their names, how they are reached, and how long they may take to answer.

    server = open_server("mongodb://host:27017", name="mongodb://host:27017")
    with connected(server.collection("seqrec", "recommendations"), "counting failed") as live:
        live.count_documents({})

Every call has a time limit. If a server is away for a moment (a restart, an election), calls wait for it: see `persistent`. A
write has succeeded once a majority of the replica set has it; reads go to the primary.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError, WTimeoutError

from seqrec.errors import UserError
from seqrec.stores.address import mongodb_name
from seqrec.stores.store_errors import UNCHANGED, as_user_errors
from seqrec.stores.timeouts import TIMEOUTS, Timeouts, patiently

DriverCollection = Collection[dict[str, Any]]
Client = MongoClient[dict[str, Any]]

NO_COMMAND, UNCONFIRMED = 59, 64  # codes of MongoDB's errors
STAGING = "__staging__"
LONGEST_DATABASE, LONGEST_NAMESPACE, PUBLISH_ID_BYTES = 63, 255, 27
NOT_IN_DATABASE = '/\\."$*<>:|? \0'
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")


def _nothing() -> None:
    """The flush of a server that needs none: it writes its files by itself."""


@dataclass(frozen=True, kw_only=True)
class MongoServer:
    """A MongoDB server that answers. `name` shows it without secrets.

    `mongod` is false for the embedded server, which reads a whole collection for a condition on more than an _id. `renames` is
    false where a renamed collection is lost at the server's next start. `flush` makes an embedded server write its file.
    """

    uri: str = field(repr=False)
    name: str
    mongod: bool
    renames: bool
    flush: Callable[[], None] = field(default=_nothing, repr=False)
    timeouts: Timeouts = TIMEOUTS

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no message may show."""
        return (self.uri,)

    def collection(self, database: str, name: str) -> "MongoCollection":
        """A collection of the server, which need not exist yet; UserError if the server can't have one of that name."""
        check_names(database, name)
        return MongoCollection(server=self, database=database, name=name)


@dataclass(frozen=True, kw_only=True)
class MongoCollection:
    """A collection of a MongoDB server."""

    server: MongoServer
    database: str
    name: str

    def __str__(self) -> str:
        return mongodb_name(self.server.name, database=self.database, collection=self.name)


def check_names(database: str, collection: str) -> None:
    """Raise UserError for a database or a collection that MongoDB refuses, staging collections included."""
    size = len(f"{database}.{collection}{STAGING}".encode()) + PUBLISH_ID_BYTES
    remedy = "set mongo.database and mongo.collection (a dump's --database and --dest) to others"
    if not database or len(database.encode()) > LONGEST_DATABASE or set(database) & set(NOT_IN_DATABASE):
        shown = " ".join(NOT_IN_DATABASE.strip("\0 "))
        raise UserError(f"MongoDB has no database {database!r}: a name has 1 to 63 bytes, no blank and none of {shown}; {remedy}")
    if not collection or set(collection) & {"$", "\0"} or collection.startswith((".", "system.")) or collection.endswith("."):
        raise UserError(f"MongoDB has no collection {collection!r}: no $, no dot at the ends, no system. first; {remedy}")
    if size > LONGEST_NAMESPACE:
        excess = f"with database and staging it takes {size} bytes, and {LONGEST_NAMESPACE} are allowed"
        raise UserError(f"MongoDB has no collection {collection!r}: {excess}; {remedy}")


def open_server(uri: str, *, name: str, timeouts: Timeouts = TIMEOUTS) -> MongoServer:
    """The server at an address, once it has answered.

    A server that doesn't know the command `hello` is taken for the embedded one. Raises UserError if the address has an unknown
    option or names a file that doesn't exist, and if the server can't be reached or refuses us.
    """
    kinds = (PyMongoError, ValueError, OSError, UserWarning)
    with as_user_errors(f"MongoDB {name} can't be reached", *kinds, secrets=(uri,)), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # pymongo only warns of unknown options, and ignores them
        with open_client(uri, timeouts) as client:
            mongod = _is_mongod(client)
    return MongoServer(uri=uri, name=name, mongod=mongod, renames=mongod, timeouts=timeouts)


@contextmanager
def connected(
    collection: MongoCollection, what: str, *, state: str = UNCHANGED, bulk: bool = False
) -> Iterator[DriverCollection]:
    """The collection on a client that is closed in the end; errors begin with its name and `what`, and hide its secrets.

    `state` is what an error says of the collection. `bulk` is for calls that the server works on for minutes.
    """
    server = collection.server
    with (
        as_user_errors(f"{collection}: {what}", PyMongoError, secrets=server.secrets, state=state),
        open_client(server.uri, server.timeouts, bulk=bulk) as client,
    ):
        try:
            yield driver_collection(client, collection.database, collection.name, server.timeouts)
        except WTimeoutError as error:
            raise OperationFailure(unconfirmed(server.timeouts.confirm_s), UNCONFIRMED) from error


def driver_collection(client: Client, database: str, name: str, timeouts: Timeouts) -> DriverCollection:
    """A collection that is read from the primary, and written to a majority of the members within the time limit."""
    concern = WriteConcern("majority", wtimeout=round(1000 * timeouts.confirm_s))
    return client.get_database(database, read_preference=ReadPreference.PRIMARY, write_concern=concern)[name]


def open_client(uri: str, timeouts: Timeouts, *, bulk: bool = False) -> Client:
    """A client that waits for the server, and for each answer, as long as the timeouts say, or the options of the URI."""
    silence_s = timeouts.bulk_s if bulk else timeouts.answer_s
    options: dict[str, Any] = {
        "serverSelectionTimeoutMS": round(1000 * timeouts.reach_s),
        "connectTimeoutMS": round(1000 * timeouts.reach_s),
        "socketTimeoutMS": round(1000 * silence_s),
    }
    in_uri = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    defaults = {name: value for name, value in options.items() if name.lower() not in in_uri}
    return MongoClient(uri, appname="seqrec", **defaults)


def may_return(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, comes from a server that may be back in a moment: gone, electing or restarting."""
    return isinstance(error, AutoReconnect) or (error is not None and may_return(error.__cause__))


def persistent(verb: Callable[Concatenate[MongoCollection, P], T]) -> Callable[Concatenate[MongoCollection, P], T]:
    """Decorates a verb on a collection: it is called again while the server is away, so it must be harmless to call twice."""

    @wraps(verb)
    def calls(collection: MongoCollection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the verb until it succeeds, fails for good, or the server has been away too long."""
        return patiently(
            lambda: verb(collection, *args, **kwargs), passes=may_return, return_s=collection.server.timeouts.return_s
        )

    return calls


def unconfirmed(confirm_s: float) -> str:
    """The message for a write that a majority of the members didn't confirm in time."""
    return (
        f"the primary has the documents, but a majority of the replica set's members didn't confirm them within "
        f"{confirm_s:.0f} s: some are down or behind (rs.status() shows them)"
    )


def _is_mongod(client: Client) -> bool:
    """Whether the server knows the command `hello`."""
    try:
        client.admin.command("hello")
    except OperationFailure as error:
        if error.code != NO_COMMAND:
            raise
        return False
    return True
