"""Servers that fall silent, go away for a moment, or refuse: limits, tries again, and what the error says of the store."""

import os
import re
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.stores import embedded_milvus, embedded_mongo, milvus, mongo, mongo_collection
from seqrec.stores.milvus_alias import MilvusAlias, MilvusServer
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo import first_documents
from seqrec.stores.mongo_collection import MongoCollection, MongoServer
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.timeouts import Timeouts
from seqrec.stores.vectors import Embeddings
from seqrec.tables import schemas
from tests.stores.proxy import Door, door
from tests.stores.test_milvus import RUNS
from tests.stores.test_mongo import A, B, recommendations, stage, upsert

HASTY = Timeouts(reach_s=2.0, answer_s=2.0, bulk_s=3.0, return_s=1.0)
PATIENT = Timeouts(reach_s=5.0, answer_s=20.0, bulk_s=30.0, return_s=30.0)
ITEMS, DIM = 3000, 32


@pytest.fixture(scope="module")
def memory() -> Iterator[embedded_mongo.EmbeddedMongo]:
    with embedded_mongo.mongo_server(None) as server:
        yield server


@pytest.fixture
def gate(memory: embedded_mongo.EmbeddedMongo) -> Iterator[Door]:
    """The way to MongoDB."""
    with door(int(memory.uri.rpartition(":")[2])) as opened:
        yield opened


@pytest.fixture
def collection(gate: Door, memory: embedded_mongo.EmbeddedMongo, request: pytest.FixtureRequest) -> MongoCollection:
    """A collection behind the door, the test's own."""
    database = re.sub(r"\W", "_", request.node.name)[:60]
    uri = f"mongodb://127.0.0.1:{gate.port}"
    server = MongoServer(uri=uri, name="door", mongod=False, renames=True, timeouts=HASTY)
    return server.collection(database, "lists")


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with embedded_milvus.milvus_lite(tmp_path_factory.mktemp("lite"), port=port):
        yield port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def vectors(spark: SparkSession) -> DataFrame:
    columns = "id AS item_id", "cast(id + 2 AS int) AS item_idx", f"array_repeat(cast(id AS float), {DIM}) AS embedding"
    return spark.range(ITEMS).selectExpr(*columns).to(schemas.item_embeddings(schemas.IDS["bigint"]))


def put(spark: SparkSession, alias: MilvusAlias, run_id: str = RUNS[A]) -> None:
    checked = Embeddings(table=vectors(spark), rows=ITEMS, dim=DIM)
    milvus.upsert(alias, checked, run_id=run_id, index=Index(kind="FLAT", params={}))


def test_milvus_that_falls_silent_in_the_upload_is_given_up(spark: SparkSession, lite: int) -> None:
    with door(lite) as gate:
        alias = alias_behind(gate, "silent", HASTY)
        gate.after(200_000, gate.stall)
        with pytest.raises(
            UserError, match=r"alias silent: writing failed: .*DEADLINE_EXCEEDED.*some of it may be new"
        ) as caught:
            put(spark, alias)
        assert time.monotonic() - gate.acted_at < 15
        assert "\n" not in str(caught.value)


def test_milvus_that_is_gone_for_three_seconds_is_waited_for(spark: SparkSession, lite: int) -> None:
    with door(lite) as gate:
        alias = alias_behind(gate, "gone", PATIENT)
        gate.after(200_000, lambda: gate.shut(3))
        put(spark, alias)
        milvus.remove_other_runs(alias, run_id=RUNS[A], rows=ITEMS)


def alias_behind(gate: Door, name: str, timeouts: Timeouts) -> MilvusAlias:
    server = MilvusServer(uri=f"http://127.0.0.1:{gate.port}", token="", name="door", aliases=False, timeouts=timeouts)
    return MilvusAlias(server=server, name=name)


@pytest.mark.parametrize(
    ("write", "message"),
    [(upsert, "writing failed: .*some of it may be new"), (stage, "staging failed: .*what stood before still stands")],
)
def test_mongodb_that_falls_silent_is_given_up(
    spark: SparkSession, gate: Door, collection: MongoCollection, write: Any, message: str
) -> None:
    users = list(range(4000))
    gate.after(200_000, gate.stall)
    with pytest.raises(UserError, match=message) as caught:
        write(spark, users, collection, A)
    assert time.monotonic() - gate.acted_at < 15
    assert "\n" not in str(caught.value)


def test_mongodb_that_is_gone_for_three_seconds_is_waited_for(
    spark: SparkSession, gate: Door, collection: MongoCollection
) -> None:
    patient = replace(collection, server=replace(collection.server, timeouts=PATIENT))
    gate.after(200_000, lambda: gate.shut(3))
    table = recommendations(spark, list(range(4000)), score=0.5)
    mongo.stage(patient, table, publish_id=A, rows=4000, batching=Batching(writers=2, batch_size=500))
    mongo.switch(patient, publish_id=A)
    gate.shut(1)
    assert mongo.newest_publication(patient) == A
    assert len(first_documents(patient, 9999)) == 4000


REFUSED = {"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on seqrec to execute command"}


@pytest.mark.parametrize(("mode", "command"), [("swap", "insert"), ("upsert", "update"), ("upsert", "delete")])
def test_a_right_that_lacks_is_found_by_a_trial(gate: Door, collection: MongoCollection, mode: Any, command: str) -> None:
    mongo.try_to_write(collection, mode)
    gate.answers[command] = REFUSED
    with pytest.raises(UserError, match=f"a trial of the rights to write by {mode} failed: not authorized .*nothing was changed"):
        mongo.try_to_write(collection, mode)


def test_a_majority_that_does_not_confirm_is_said(spark: SparkSession, gate: Door, collection: MongoCollection) -> None:
    late = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}
    gate.answers["insert"] = {"ok": 1.0, "n": 2, "writeConcernError": late}
    with pytest.raises(UserError, match="a majority of the replica set's members didn't confirm them within 1 s"):
        stage(spark, [1, 2], collection, A)
    with mongo_collection.connected(collection, "reading failed") as live:
        assert live.write_concern.document == {"w": "majority", "wtimeout": 1000}


def test_a_worker_that_dies_while_it_writes_is_said(spark: SparkSession, collection: MongoCollection) -> None:
    def die(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        os.kill(os.getpid(), signal.SIGKILL)
        return batches

    table = recommendations(spark, [1, 2], score=0.5)
    dying = table.mapInArrow(die, table.schema)
    with pytest.raises(UserError, match=r"writing failed: a Python worker of Spark died, .*some of it may be new") as caught:
        mongo.upsert(collection, dying, publish_id=A, rows=2, batching=Batching(writers=1, batch_size=2))
    assert "\n" not in str(caught.value)


def test_the_steps_of_an_error_are_those_of_its_phase(spark: SparkSession, gate: Door, collection: MongoCollection) -> None:
    """What fails in a switch or a removal says what stands then."""
    upsert(spark, [1], collection, A)
    upsert(spark, [2], collection, B)
    gate.answers["delete"] = REFUSED
    with pytest.raises(UserError, match=r"removing older documents failed: .*; the new stands"):
        mongo.remove_older(collection, publish_id=B)
    stage(spark, [3], collection, "20260109T000000000000Z-0000")
    gate.answers["renameCollection"] = REFUSED
    with pytest.raises(UserError, match=r"the switch failed: .*; either the old or the new stands, whole"):
        mongo.switch(collection, publish_id="20260109T000000000000Z-0000")
