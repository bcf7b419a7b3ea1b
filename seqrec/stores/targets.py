"""The stores of a publication, opened: servers by their addresses, or embedded ones for as long as they are needed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.stores import embedded, milvus_place, mongo_place
from seqrec.stores.address import EMBEDDED, NONE, check, masked
from seqrec.stores.limits import LIMITS, Limits


@dataclass(frozen=True, kw_only=True)
class MongoTarget:
    """A MongoDB server that answers; see mongo_place.Place. Flush puts what an embedded one was given on disk."""

    uri: str = field(repr=False)
    name: str
    mongod: bool
    renames: bool
    flush: Callable[[], None] = field(default=lambda: None, repr=False)
    limits: Limits = LIMITS

    def place(self, *, database: str, collection: str) -> mongo_place.Place:
        """A collection of it; UserError if the server can't have one of that name."""
        mongo_place.check_names(database, collection)
        return mongo_place.Place(
            uri=self.uri,
            name=self.name,
            database=database,
            collection=collection,
            mongod=self.mongod,
            renames=self.renames,
            limits=self.limits,
        )


@dataclass(frozen=True, kw_only=True)
class MilvusTarget:
    """A Milvus server that answers; see milvus_place.Place."""

    uri: str = field(repr=False)
    token: str = field(repr=False)
    name: str
    aliases: bool
    limits: Limits = LIMITS

    def place(self, *, alias: str) -> milvus_place.Place:
        """An alias of it, checked; UserError if it can't be one."""
        return milvus_place.open_place(
            self.uri, token=self.token, name=self.name, alias=alias, aliases=self.aliases, limits=self.limits
        )


@dataclass(frozen=True, kw_only=True)
class Targets:
    """Where to publish; None for a store that is skipped."""

    mongodb: MongoTarget | None
    milvus: MilvusTarget | None

    def require_mongodb(self) -> MongoTarget:
        """The MongoDB server; UserError if it is skipped."""
        if self.mongodb is None:
            raise UserError(f"MONGODB_URI={NONE}: the store is left out; set it to a server or to {EMBEDDED}")
        return self.mongodb

    def require_milvus(self) -> MilvusTarget:
        """The Milvus server; UserError if it is skipped."""
        if self.milvus is None:
            raise UserError(f"MILVUS_URI={NONE}: the store is left out; set it to a server or to {EMBEDDED}")
        return self.milvus


@contextmanager
def connect(spark: SparkSession, *, mongodb_uri: str, milvus_uri: str, milvus_token: str, folder: str = "") -> Iterator[Targets]:
    """Start the embedded servers where asked, try both stores, and stop the servers at the end.

    Folder is where the embedded stores keep their files; empty: `embedded.data_folder`, which is
    SEQREC_ROOT/stores. Raises UserError for an invalid URI, an unreachable store, or `embedded` with a cluster.
    """
    if EMBEDDED in (mongodb_uri, milvus_uri) and not session.runs_locally(spark):
        master = spark.sparkContext.master
        raise UserError(f"the embedded stores are for one machine, and the master is {master}: set MONGODB_URI and MILVUS_URI")
    where = files.local_path(folder) if folder else embedded.data_folder()
    with open_targets(mongodb_uri=mongodb_uri, milvus_uri=milvus_uri, milvus_token=milvus_token, folder=Path(where)) as targets:
        yield targets


@contextmanager
def open_targets(*, mongodb_uri: str, milvus_uri: str, milvus_token: str, folder: Path) -> Iterator[Targets]:
    """Check the addresses, start the embedded servers where asked, try both, and stop the servers at the end.

    Folder is where the embedded stores keep their files; one process at a time has it. Raises UserError for an invalid
    address, an unreachable store, or a folder that another process holds.
    """
    check(mongodb_uri, "MONGODB_URI")
    check(milvus_uri, "MILVUS_URI")
    with ExitStack() as stack:
        if EMBEDDED in (mongodb_uri, milvus_uri):
            stack.enter_context(embedded.hold_folder(folder))
        yield Targets(
            mongodb=None if mongodb_uri == NONE else _mongo(stack, mongodb_uri, folder),
            milvus=None if milvus_uri == NONE else _milvus(stack, milvus_uri, milvus_token, folder),
        )


def _mongo(stack: ExitStack, uri: str, folder: Path) -> MongoTarget:
    if uri != EMBEDDED:
        mongod = mongo_place.try_server(uri, name=masked(uri))
        return MongoTarget(uri=uri, name=masked(uri), mongod=mongod, renames=mongod)
    server = stack.enter_context(embedded.mongo_server(folder))
    mongod = mongo_place.try_server(server.uri, name=_embedded(folder))
    return MongoTarget(uri=server.uri, name=_embedded(folder), mongod=mongod, renames=server.renames, flush=server.flush)


def _milvus(stack: ExitStack, uri: str, token: str, folder: Path) -> MilvusTarget:
    name = _embedded(folder) if uri == EMBEDDED else masked(uri)
    if uri == EMBEDDED:
        uri = stack.enter_context(embedded.milvus_lite(folder))
    return MilvusTarget(uri=uri, token=token, name=name, aliases=milvus_place.try_server(uri, token=token, name=name))


def _embedded(folder: Path) -> str:
    return f"{EMBEDDED} in {folder}"
