"""A collection of a MongoDB server: its names, how it is reached, and how long it may take to answer."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl, urlsplit

from pymongo import MongoClient, ReadPreference, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError, WTimeoutError

from seqrec.errors import UserError
from seqrec.stores.limits import LIMITS, Limits, patiently
from seqrec.stores.store_errors import UNCHANGED, explained

Documents = Collection[dict[str, Any]]
Client = MongoClient[dict[str, Any]]

NO_COMMAND, UNCONFIRMED = 59, 64
STAGING = "__staging__"
LONGEST_DATABASE, LONGEST_NAMESPACE, PUBLISH_ID_BYTES = 63, 255, 27
NOT_IN_DATABASE = '/\\."$*<>:|? \0'
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A collection of a server; name shows the server without secrets.

    Mongod is false for the embedded server, which scans for a condition beside an _id; renames is false where a renamed
    collection doesn't last.
    """

    uri: str = field(repr=False)
    name: str
    database: str
    collection: str
    mongod: bool
    renames: bool
    limits: Limits = LIMITS

    def __str__(self) -> str:
        return f"MongoDB {self.name}, collection {self.database}.{self.collection}"


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
        said = f"with database and staging it takes {size} bytes, and {LONGEST_NAMESPACE} are allowed"
        raise UserError(f"MongoDB has no collection {collection!r}: {said}; {remedy}")


def try_server(uri: str, *, name: str, limits: Limits = LIMITS) -> bool:
    """Try the server, and say whether it is a mongod.

    A server that doesn't know `hello` is the embedded one, whose renamed collections are gone at its next start. Raises UserError
    if the URI has an option that isn't one or a file that isn't there, and if the server can't be reached or refuses us.
    """
    kinds = (PyMongoError, ValueError, OSError, UserWarning)
    with explained(f"MongoDB {name} can't be reached", *kinds, secrets=(uri,)), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # pymongo warns of options that it doesn't know, and goes on without them
        with open_client(uri, limits) as client:
            try:
                client.admin.command("hello")
            except OperationFailure as error:
                if error.code != NO_COMMAND:
                    raise
                return False
            return True


@contextmanager
def connected(place: Place, what: str, *, state: str = UNCHANGED, bulk: bool = False) -> Iterator[Documents]:
    """The live collection, on a client that is closed in the end; errors name the place and keep its secrets.

    `state` is what an error says of the collection; bulk is for calls that the server works on for minutes.
    """
    with (
        explained(f"{place}: {what}", PyMongoError, secrets=(place.uri,), state=state),
        open_client(place.uri, place.limits, bulk=bulk) as client,
    ):
        try:
            yield collection_of(client, place.database, place.collection, place.limits)
        except WTimeoutError as error:
            raise OperationFailure(unconfirmed(place.limits.confirm_s), UNCONFIRMED) from error


def collection_of(client: Client, database: str, name: str, limits: Limits) -> Documents:
    """A collection that is read from the primary, and written to a majority of the members within the limit."""
    concern = WriteConcern("majority", wtimeout=round(1000 * limits.confirm_s))
    return client.get_database(database, read_preference=ReadPreference.PRIMARY, write_concern=concern)[name]


def open_client(uri: str, limits: Limits, *, bulk: bool = False) -> Client:
    """A client that waits for a server, and for each answer, as long as the limits say, or the URI's own options."""
    silence_s = limits.bulk_s if bulk else limits.answer_s
    options: dict[str, Any] = {
        "serverSelectionTimeoutMS": round(1000 * limits.reach_s),
        "connectTimeoutMS": round(1000 * limits.reach_s),
        "socketTimeoutMS": round(1000 * silence_s),
    }
    chosen = {name.lower() for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    left = {name: value for name, value in options.items() if name.lower() not in chosen}
    return MongoClient(uri, appname="seqrec", **left)


def returns(error: BaseException | None) -> bool:
    """Whether an error, or what it was made of, is a server that may be back in a moment: gone, electing, or restarting."""
    return isinstance(error, AutoReconnect) or (error is not None and returns(error.__cause__))


def persistent(verb: Callable[P, T]) -> Callable[P, T]:
    """A verb whose first argument is the place, or has it, called again while its server is gone for a moment."""

    @wraps(verb)
    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        place = next(one for one in (*args, *kwargs.values()) if isinstance(one, Place))
        return patiently(lambda: verb(*args, **kwargs), passes=returns, return_s=place.limits.return_s)

    return patient


def unconfirmed(confirm_s: float) -> str:
    """What the end of the time for a majority means."""
    return (
        f"the primary has the documents, but a majority of the replica set's members didn't confirm them within "
        f"{confirm_s:.0f} s: some are down or behind (rs.status() shows them)"
    )
