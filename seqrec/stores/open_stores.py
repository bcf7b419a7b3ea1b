"""The stores that the environment names, opened: servers at their addresses, or embedded ones for as long as they are needed.

    with connect(spark, Addresses.from_environment("MONGODB_URI", "MILVUS_URI")) as stores:
        stores.require_mongodb().collection("seqrec", "recommendations")

Addresses hold passwords and the token: only this module hands them on, and their reprs are empty.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.command.config import Stores, store_uri
from seqrec.errors import UserError
from seqrec.stores import embedded, embedded_milvus, embedded_mongo, milvus_alias, mongo_collection
from seqrec.stores.address import EMBEDDED, NONE, check_address
from seqrec.stores.milvus_alias import MilvusServer
from seqrec.stores.mongo_collection import MongoServer


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the stores are: a server's URI, `embedded`, or `none` for a store that is left out."""

    mongodb: str = field(default=NONE, repr=False)
    milvus: str = field(default=NONE, repr=False)
    milvus_token: str = field(default="", repr=False)

    @classmethod
    def from_settings(cls, stores: Stores) -> Self:
        """The addresses in a job's settings."""
        return cls(
            mongodb=stores.mongodb_uri.get_secret_value(),
            milvus=stores.milvus_uri.get_secret_value(),
            milvus_token=stores.milvus_token.get_secret_value(),
        )

    @classmethod
    def from_environment(cls, *variables: str) -> Self:
        """The addresses in the named variables, MONGODB_URI or MILVUS_URI; UserError for one that is unset or empty."""
        uris = {variable: store_uri(variable) for variable in variables}
        return cls(
            mongodb=uris.get("MONGODB_URI", NONE),
            milvus=uris.get("MILVUS_URI", NONE),
            milvus_token=os.environ.get("MILVUS_TOKEN", ""),
        )

    @property
    def any_embedded(self) -> bool:
        """Whether a server is to be started."""
        return EMBEDDED in (self.mongodb, self.milvus)


@dataclass(frozen=True, kw_only=True)
class OpenStores:
    """The stores of a run, which answer; None for one that is left out."""

    mongodb: MongoServer | None
    milvus: MilvusServer | None

    def require_mongodb(self) -> MongoServer:
        """The MongoDB server; UserError if it is left out."""
        if self.mongodb is None:
            raise UserError(f"MONGODB_URI={NONE}: the store is left out; set it to a server or to {EMBEDDED}")
        return self.mongodb

    def require_milvus(self) -> MilvusServer:
        """The Milvus server; UserError if it is left out."""
        if self.milvus is None:
            raise UserError(f"MILVUS_URI={NONE}: the store is left out; set it to a server or to {EMBEDDED}")
        return self.milvus


@contextmanager
def connect(spark: SparkSession | None, addresses: Addresses) -> Iterator[OpenStores]:
    """Check the addresses, start the embedded servers, try both stores, and stop the servers at the end.

    The embedded stores keep their files in `embedded.data_folder()`, which one process at a time can hold. Raises UserError for
    an invalid address, an unreachable store, a folder that another process holds, and embedded stores where Spark runs on a
    cluster; a program without Spark passes None.
    """
    if addresses.any_embedded and spark is not None and not session.runs_locally(spark):
        master = spark.sparkContext.master
        raise UserError(f"the embedded stores are for one machine, and the master is {master}: set MONGODB_URI and MILVUS_URI")
    check_address(addresses.mongodb, "MONGODB_URI")
    check_address(addresses.milvus, "MILVUS_URI")
    folder = embedded.data_folder()
    with ExitStack() as stack:
        if addresses.any_embedded:
            stack.enter_context(embedded.hold_folder(folder))
        yield OpenStores(
            mongodb=None if addresses.mongodb == NONE else _open_mongodb(stack, addresses.mongodb, folder),
            milvus=None if addresses.milvus == NONE else _open_milvus(stack, addresses, folder),
        )


def _open_mongodb(stack: ExitStack, uri: str, folder: Path) -> MongoServer:
    """The MongoDB server, an embedded one until the stack ends."""
    name = embedded.server_name(uri)
    if uri != EMBEDDED:
        return mongo_collection.open_server(uri, name=name)
    started = stack.enter_context(embedded_mongo.mongo_server(folder))
    server = mongo_collection.open_server(started.uri, name=name)
    return replace(server, renames=started.renames, flush=started.flush)


def _open_milvus(stack: ExitStack, addresses: Addresses, folder: Path) -> MilvusServer:
    """The Milvus server, an embedded one until the stack ends."""
    uri, name = addresses.milvus, embedded.server_name(addresses.milvus)
    if uri == EMBEDDED:
        uri = stack.enter_context(embedded_milvus.milvus_lite(folder))
    return milvus_alias.open_server(uri, token=addresses.milvus_token, name=name)
