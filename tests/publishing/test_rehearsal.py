"""What the stores would refuse is found before the scoring."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.publishing import rehearsal
from seqrec.publishing.destinations import Destinations, to_milvus, to_mongodb
from seqrec.serving import sealed
from seqrec.serving.exports import open_export
from seqrec.settings.stores import Milvus, Mongo
from seqrec.stores import milvus, milvus_alias, mongo_collection
from seqrec.stores.milvus_alias import MilvusServer
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo_collection import MongoCollection
from seqrec.tables import io, schemas
from tests.scoring.toy import write_model
from tests.stores.test_milvus import embeddings

pytestmark = pytest.mark.parametrize("milvus_server", ["lite", "aliases"], indirect=True)
IN_MEMORY = pytest.mark.parametrize("mongodb", ["memory"], indirect=True)


def write(spark: SparkSession, folder: Path, items: dict[str, list[float]], *, max_len: int = 4) -> str:
    """An exported model of these items."""
    matrix = np.zeros((len(items) + 2, 2), np.float32)
    write_model(folder, matrix, list(items), [1] * len(items), max_len=max_len)
    io.write_table(embeddings(spark, items), str(folder / sealed.EMBEDDINGS), schemas.item_embeddings(schemas.IDS["string"]))
    return str(folder)


@pytest.fixture
def destinations(milvus_server: MilvusServer, collection: MongoCollection) -> Destinations:
    return Destinations(
        mongodb=to_mongodb(collection.server, Mongo(database=collection.database)),
        milvus=to_milvus(milvus_server, Milvus(alias=f"alias_{collection.database}")),
    )


def rehearse(spark: SparkSession, destinations: Destinations, model: str, *, whole: bool = True, **lengths: Any) -> None:
    """Of lists of nine items, and of others if their lengths say so."""
    asked = rehearsal.ListLengths(items=9, **lengths)
    rehearsal.rehearse(spark, destinations, export=open_export(model), lengths=asked, whole=whole)


@IN_MEMORY
def test_nothing_of_it_stays(
    spark: SparkSession,
    destinations: Destinations,
    collection: MongoCollection,
    milvus_server: MilvusServer,
    tmp_path: Path,
) -> None:
    rehearse(spark, destinations, write(spark, tmp_path / "model", {"a": [1.0, 0.0], "b": [0.0, 1.0]}))
    with mongo_collection.connected(collection, "listing failed") as live:
        assert live.database.list_collection_names() == []
    with milvus_alias.connected(milvus_server.alias("x"), "listing failed") as client:
        assert [name for name in client.list_collections() if collection.database in name] == []


@IN_MEMORY
def test_an_id_that_milvus_lite_refuses(
    spark: SparkSession, destinations: Destinations, milvus_server: MilvusServer, tmp_path: Path
) -> None:
    model = write(spark, tmp_path / "model", {"it's": [1.0, 0.0], "b": [0.0, 1.0]})
    if milvus_server.aliases:
        rehearse(spark, destinations, model)
    else:
        with pytest.raises(UserError, match=r"without ' or the character 0, not \"it's\""):
            rehearse(spark, destinations, model)
        rehearse(spark, destinations, model, whole=False)


def test_ids_are_checked_before_a_training(spark: SparkSession, milvus_server: MilvusServer, tmp_path: Path) -> None:
    items = spark.createDataFrame([("it's", 2, 1), ("b", 3, 1)], schemas.items(schemas.IDS["string"]))
    io.write_table(items, f"{tmp_path}/items", items.schema)
    destination = to_milvus(milvus_server, Milvus(alias="rehearsed", index="FLAT"))
    if milvus_server.aliases:
        rehearsal.rehearse_items(spark, destination, tables=[f"{tmp_path}/items"], dim=2)
    else:
        with pytest.raises(UserError, match=r"items: .* takes a item_id of .* not \"it's\""):
            rehearsal.rehearse_items(spark, destination, tables=[f"{tmp_path}/items"], dim=2)


def test_an_index_that_the_server_has_not(milvus_server: MilvusServer) -> None:
    alias = milvus_server.alias("unindexed")
    with pytest.raises(UserError, match=r"a trial of what is to be written failed: .*invalid index type: HNSW"):
        milvus.try_to_write(alias, dim=2, index=Index(kind="HNSW", params={"M": 4}))
    with milvus_alias.connected(alias, "listing failed") as client:
        assert [name for name in client.list_collections() if name.startswith(alias.name)] == []


@IN_MEMORY
def test_a_list_that_is_no_document(
    spark: SparkSession, destinations: Destinations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two entries of 33 + 1 + 6 bytes, beside 4096 others."""
    model = write(spark, tmp_path / "model", {"a": [1.0, 0.0], "b": [0.0, 1.0]})
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * 40)
    rehearse(spark, destinations, model)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * 40 - 1)
    with pytest.raises(UserError, match=r"top_k=9: a list of 2 items takes up to .* set top_k to at most 1, or publish=false"):
        rehearse(spark, destinations, model)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 3 * 40)
    rehearse(spark, destinations, model, next_items=1)
    with pytest.raises(UserError, match=r"top_k=9 horizon=2: a list of 4 items .* set top_k \+ horizon to at most 3, or"):
        rehearse(spark, destinations, model, next_items=2)
    with pytest.raises(UserError, match=r"top_k=9 explain=3: .* holds 16: set explain to less than 2, or publish=false"):
        rehearse(spark, destinations, model, reasons=3)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * (40 + 14 + 2 * 40))
    rehearse(spark, destinations, model, reasons=3)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * (40 + 14 + 2 * 40) - 1)
    with pytest.raises(UserError, match="top_k to at most 1, or explain to less than 2, or publish=false"):
        rehearse(spark, destinations, model, reasons=3)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * (40 + 21))
    rehearse(spark, destinations, model, reranked=True)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * (40 + 21) - 1)
    with pytest.raises(UserError, match="set top_k to at most 1, or publish=false"):
        rehearse(spark, destinations, model, reranked=True)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * (40 + 14 + 40))
    rehearse(spark, destinations, write(spark, tmp_path / "short", {"a": [1.0, 0.0], "b": [0.0, 1.0]}, max_len=1), reasons=3)
