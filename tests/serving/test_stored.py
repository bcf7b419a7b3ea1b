"""Readers of the stores against the embedded servers, and servers where MONGODB_URI_TEST or MILVUS_URI_TEST is set."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bson import Int64

from seqrec.errors import UserError
from seqrec.reranking.nearest import nearest_by_cosine, search_nearest, short_length
from seqrec.serving import stored
from seqrec.serving.stored import StoredItems, StoredLists
from seqrec.stores import milvus_alias, mongo_collection
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_neighbours import find_neighbours
from seqrec.stores.mongo_collection import MongoCollection
from tests.stores.aliases import AliasClient

POPULAR = [(9, 40.0), (8, 30.0), (7, 20.0)]
VECTORS = np.random.default_rng(7).normal(size=(40, 4)).astype(np.float32)


def document(user: int | str, items: list[int]) -> dict[str, Any]:
    return {"_id": user, "source": "model", "items": [{"item_id": item, "score": 1 / item} for item in items]}


def publish(collection: MongoCollection, *documents: dict[str, Any]) -> None:
    with mongo_collection.connected(collection, "writing failed") as live:
        live.insert_many(list(documents))


def lists_of(collection: MongoCollection) -> StoredLists:
    uri = collection.server.uri
    return StoredLists.open(uri, popular=POPULAR, database=collection.database, collection=collection.name)


def test_a_user_gets_the_first_items_of_the_own_list(collection: MongoCollection) -> None:
    publish(collection, document(1, [3, 2, 5]), document(2, [4]))
    lists = lists_of(collection)
    assert lists.of_user(1, k=2) == document(1, [3, 2])
    assert lists.of_user(2) == document(2, [4])


def test_an_unknown_user_gets_what_is_popular(collection: MongoCollection) -> None:
    publish(collection, document(1, [3]))
    found = lists_of(collection).of_user(99, k=2)
    assert found == {"_id": 99, "source": "popular", "items": [{"item_id": 9, "score": 40.0}, {"item_id": 8, "score": 30.0}]}


def test_an_id_of_another_type_is_refused(collection: MongoCollection) -> None:
    """Else every user of a service that passes texts would get the popular list. Documents have integers of 64 bits."""
    publish(collection, document(Int64(1), [3]))
    assert lists_of(collection).of_user(1) == document(1, [3])
    with pytest.raises(UserError, match="user '1': the users' ids are of type int"):
        lists_of(collection).of_user("1")


def test_an_empty_collection_is_refused(collection: MongoCollection) -> None:
    with pytest.raises(UserError, match=f"no documents in {collection.database}.recommendations"):
        lists_of(collection)


def test_a_list_that_is_published_later_is_read(collection: MongoCollection) -> None:
    publish(collection, document(1, [3]))
    lists = lists_of(collection)
    publish(collection, document(2, [4]))
    assert lists.of_user(2) == document(2, [4])


@pytest.fixture(autouse=True)
def _aliases_of_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The aliases that Milvus Lite lacks, for the reader too."""
    if "alias" in request.fixturenames and request.getfixturevalue("alias").server.name == "aliases":
        monkeypatch.setattr(stored, "MilvusClient", AliasClient)


@pytest.fixture
def items(alias: MilvusAlias) -> Iterator[StoredItems]:
    """Forty items with ids 100 to 139, and indices from 2 on."""
    from pymilvus import DataType

    with milvus_alias.connected(alias, "writing failed") as client:
        name = f"{alias.name}__1" if alias.server.aliases else alias.name
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("item_id", DataType.INT64, is_primary=True)
        schema.add_field("item_idx", DataType.INT64)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=VECTORS.shape[1])
        index = client.prepare_index_params()
        index.add_index("embedding", index_type="FLAT", metric_type="IP")
        client.create_collection(name, schema=schema, index_params=index)
        client.insert(
            name, [{"item_id": 100 + row, "item_idx": 2 + row, "embedding": vector} for row, vector in enumerate(VECTORS)]
        )
        if alias.server.aliases:
            client.create_alias(name, alias.name)
    opened = StoredItems.open(alias.server.uri, token=alias.server.token, alias=alias.name)
    yield opened
    opened.client.close()


def by_loop(row: int, kept: range) -> list[int]:
    """The ids of the rows nearest to one by cosine, best first."""

    def cosine(other: int) -> float:
        return float(VECTORS[row] @ VECTORS[other] / np.linalg.norm(VECTORS[row]) / np.linalg.norm(VECTORS[other]))

    return [100 + other for other in sorted(kept, key=cosine, reverse=True) if other != row]


def test_neighbours_are_the_nearest_by_cosine(items: StoredItems, alias: MilvusAlias) -> None:
    found = items.neighbours(105, k=6)
    assert [entry["item_id"] for entry in found] == by_loop(5, range(40))[:6]
    assert found == find_neighbours(alias, 105, k=6)


def test_a_filter_keeps_others_out(items: StoredItems) -> None:
    found = items.neighbours(105, k=50, where="item_idx < 12 or item_idx == 40")
    kept = [one for one in by_loop(5, range(40)) if one < 110 or one == 138]
    assert [entry["item_id"] for entry in found] == kept


@pytest.mark.parametrize("bias", [False, True])
def test_short_vectors_are_found_behind_many_long_ones(bias: bool) -> None:
    """By the inner product 300 long vectors come before the nearest ones."""
    rng = np.random.default_rng(5)
    query = np.array([1.0, 0.2, 0.2, 0.0 if bias else 0.1])
    short = rng.normal([0.05, 0, 0, 0], 0.01, size=(40, 4))
    vectors = np.concatenate([rng.normal(9, size=(300, 4)), short]).astype(np.float32)
    found = [{"item_id": row, "item_idx": row, "embedding": vector} for row, vector in enumerate(vectors)]
    searches: list[int] = []

    def search(limit: int) -> list[dict[str, Any]]:
        searches.append(limit)
        return sorted(found, key=lambda entity: -float(entity["embedding"] @ query))[:limit]

    nearest = search_nearest(search, query, k=5, short=short_length(found, bias=bias), bias=bias)
    assert nearest == nearest_by_cosine(query, found, k=5, bias=bias)
    assert {entity["item_id"] for entity in nearest} <= set(range(300, 340))
    assert searches == [100, 1000]
    assert search_nearest(search, query, k=5, short=None, bias=bias) != nearest
    assert searches == [100, 1000, 100]
    once = search_nearest(search, query, k=5, short=short_length(found, bias=bias), bias=bias, most=100)
    assert once != nearest
    assert searches == [100, 1000, 100, 100]


def test_ids_and_k_are_checked(items: StoredItems, collection: MongoCollection) -> None:
    publish(collection, document(1, [3, 2, 5]))
    lists = lists_of(collection)
    assert lists.of_user(np.int64(1), k=2) == document(1, [3, 2])  # type: ignore[arg-type]
    assert items.neighbours(np.int64(105), k=6) == items.neighbours(105, k=6)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="k=-1: ask for at least 1 item"):
        lists.of_user(1, k=-1)
    with pytest.raises(UserError, match="k=0: ask for at least 1 item"):
        items.neighbours(105, k=0)
    with pytest.raises(UserError, match="item '105': the items' ids are of type int"):
        items.neighbours("105")


def test_an_unknown_item_is_an_error(items: StoredItems) -> None:
    with pytest.raises(UserError, match="no item has the id 7 in Milvus'"):
        items.neighbours(7)


def test_an_alias_that_is_not_there_is_an_error(alias: MilvusAlias) -> None:
    with pytest.raises(UserError, match=f"no collection or alias {alias.name}"):
        StoredItems.open(alias.server.uri, token=alias.server.token, alias=alias.name)


def test_a_reader_loads_neither_torch_nor_spark() -> None:
    code = "import sys, seqrec.serving.stored; print({'torch', 'pyspark', 'py4j'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
