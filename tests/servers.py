"""The stores that the tests run against: embedded ones, and servers where MONGODB_URI_TEST or MILVUS_URI_TEST is set."""

import os
import secrets
from collections.abc import Iterator

import pytest

from seqrec.stores import embedded, milvus_place, mongo_place
from seqrec.stores.address import masked
from seqrec.stores.targets import MilvusTarget, MongoTarget
from tests.stores.aliases import AliasClient

MONGO_SERVERS = ["h2", "memory", *(["server"] if os.environ.get("MONGODB_URI_TEST") else [])]
MILVUS_SERVERS = ["lite", "aliases", *(["server"] if os.environ.get("MILVUS_URI_TEST") else [])]


@pytest.fixture(scope="session", params=MONGO_SERVERS)
def mongodb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoTarget]:
    """MongoDB on H2, in memory (which keeps renamed collections), and the real one where there is one."""
    if request.param == "server":
        uri = os.environ["MONGODB_URI_TEST"]
        mongod = mongo_place.try_server(uri, name=masked(uri))
        yield MongoTarget(uri=uri, name=masked(uri), mongod=mongod, renames=mongod)
    else:
        folder = tmp_path_factory.mktemp("h2") if request.param == "h2" else None
        with embedded.mongo_server(folder) as server:
            yield MongoTarget(uri=server.uri, name=request.param, mongod=False, renames=server.renames, flush=server.flush)


@pytest.fixture(scope="session", params=MILVUS_SERVERS)
def milvus_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusTarget]:
    """Milvus Lite, Milvus Lite behind aliases of this process, and the real one where there is one."""
    if request.param == "server":
        uri, token = os.environ["MILVUS_URI_TEST"], os.environ.get("MILVUS_TOKEN_TEST", "")
        aliases = milvus_place.try_server(uri, token=token, name=masked(uri))
        yield MilvusTarget(uri=uri, token=token, name=masked(uri), aliases=aliases)
    else:
        with embedded.milvus_lite(tmp_path_factory.mktemp("lite")) as uri, pytest.MonkeyPatch.context() as patched:
            if request.param == "aliases":
                patched.setattr(milvus_place, "MilvusClient", AliasClient)
            yield MilvusTarget(uri=uri, token="", name=request.param, aliases=request.param == "aliases")


@pytest.fixture
def place(mongodb: MongoTarget) -> Iterator[mongo_place.Place]:
    """An empty collection, in a database that is dropped in the end."""
    found = mongodb.place(database=f"test_{secrets.token_hex(4)}", collection="recommendations")
    yield found
    with mongo_place.connected(found, "dropping failed") as live:
        live.database.client.drop_database(found.database)


@pytest.fixture
def alias(milvus_server: MilvusTarget) -> Iterator[milvus_place.Place]:
    """An alias that isn't there yet; its collections are dropped in the end."""
    found = milvus_server.place(alias=f"test_{secrets.token_hex(4)}")
    yield found
    with milvus_place.connected(found, "dropping failed") as client:
        if found.aliases and client.has_collection(found.alias):
            client.drop_alias(found.alias)
        for name in client.list_collections():
            if name.startswith(found.alias):
                client.drop_collection(name)
