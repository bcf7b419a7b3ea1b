"""The stores that the tests run against: embedded ones, and servers where MONGODB_URI_TEST or MILVUS_URI_TEST is set."""

import os
import secrets
from collections.abc import Iterator

import pytest

from seqrec.stores import embedded_milvus, embedded_mongo, milvus_alias, mongo_collection
from seqrec.stores.address import masked
from seqrec.stores.milvus_alias import MilvusAlias, MilvusServer
from seqrec.stores.mongo_collection import MongoCollection, MongoServer
from tests.stores.aliases import AliasClient

MONGO_SERVERS = ["h2", "memory", *(["server"] if os.environ.get("MONGODB_URI_TEST") else [])]
MILVUS_SERVERS = ["lite", "aliases", *(["server"] if os.environ.get("MILVUS_URI_TEST") else [])]


@pytest.fixture(scope="session", params=MONGO_SERVERS)
def mongodb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """MongoDB on H2, in memory (which keeps renamed collections), and the real one where there is one."""
    if request.param == "server":
        uri = os.environ["MONGODB_URI_TEST"]
        yield mongo_collection.open_server(uri, name=masked(uri))
    else:
        folder = tmp_path_factory.mktemp("h2") if request.param == "h2" else None
        with embedded_mongo.mongo_server(folder) as server:
            yield MongoServer(uri=server.uri, name=request.param, mongod=False, renames=server.renames, flush=server.flush)


@pytest.fixture(scope="session", params=MILVUS_SERVERS)
def milvus_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """Milvus Lite, Milvus Lite behind aliases of this process, and the real one where there is one."""
    if request.param == "server":
        uri, token = os.environ["MILVUS_URI_TEST"], os.environ.get("MILVUS_TOKEN_TEST", "")
        yield milvus_alias.open_server(uri, token=token, name=masked(uri))
    else:
        with embedded_milvus.milvus_lite(tmp_path_factory.mktemp("lite")) as uri, pytest.MonkeyPatch.context() as patched:
            if request.param == "aliases":
                patched.setattr(milvus_alias, "MilvusClient", AliasClient)
            yield MilvusServer(uri=uri, token="", name=request.param, aliases=request.param == "aliases")


@pytest.fixture
def collection(mongodb: MongoServer) -> Iterator[MongoCollection]:
    """An empty collection, in a database that is dropped in the end."""
    empty = mongodb.collection(f"test_{secrets.token_hex(4)}", "recommendations")
    yield empty
    with mongo_collection.connected(empty, "dropping failed") as live:
        live.database.client.drop_database(empty.database)


@pytest.fixture
def alias(milvus_server: MilvusServer) -> Iterator[MilvusAlias]:
    """An alias that isn't there yet; its collections are dropped in the end."""
    unused = milvus_server.alias(f"test_{secrets.token_hex(4)}")
    yield unused
    with milvus_alias.connected(unused, "dropping failed") as client:
        if unused.server.aliases and client.has_collection(unused.name):
            client.drop_alias(unused.name)
        for name in client.list_collections():
            if name.startswith(unused.name):
                client.drop_collection(name)
