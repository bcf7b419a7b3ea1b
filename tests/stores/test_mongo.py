"""What every MongoDB server must do: the same tests on H2, in memory, and on MONGODB_URI_TEST."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.stores import mongo, mongo_collection
from seqrec.stores.mongo import find_documents, first_documents
from seqrec.stores.mongo_collection import MongoCollection, MongoServer
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.timeouts import Timeouts
from seqrec.tables import schemas

A, B, C = (f"2026010{day}T000000000000Z-0000" for day in (1, 2, 3))
WHEN = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
BATCHING = Batching(writers=2, batch_size=2)
AWKWARD = ["$where", "a.b", "😀", "", "'", '"', "\\", "\x00", "5", "é" * 300]
INTEGERS = [5, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]


def recommendations(spark: SparkSession, users: list[Any], *, score: float) -> DataFrame:
    kind = schemas.IDS["string" if isinstance(users[0], str) else "bigint"]
    rows = [(user, [(7, score), (9, 0.25)], "model", "sasrec", "run", WHEN) for user in users]
    table = spark.createDataFrame(rows, schemas.recommendations(kind, schemas.IDS["bigint"]))
    return table.withColumnRenamed("user_id", "_id")


def upsert(
    spark: SparkSession, users: list[Any], collection: MongoCollection, publish_id: str, *, score: float = 0.5
) -> mongo.Upserted:
    table = recommendations(spark, users, score=score)
    return mongo.upsert(collection, table, publish_id=publish_id, rows=len(users), batching=BATCHING)


def stage(spark: SparkSession, users: list[Any], collection: MongoCollection, publish_id: str) -> None:
    table = recommendations(spark, users, score=0.5)
    mongo.stage(collection, table, publish_id=publish_id, rows=len(users), batching=BATCHING)


def require_renames(collection: MongoCollection) -> None:
    if not collection.server.renames:
        pytest.skip("the embedded server on H2 has no swap")


def test_upsert_writes_documents_as_described(spark: SparkSession, collection: MongoCollection) -> None:
    assert upsert(spark, [5], collection, A) == mongo.Upserted(documents=1, newer=0)
    [document] = find_documents(collection, [5])
    assert type(document["_id"]).__name__ == type(document["items"][0]["item_id"]).__name__ == "Int64"
    assert document == {
        "_id": 5,
        "items": [{"item_id": 7, "score": 0.5}, {"item_id": 9, "score": 0.25}],
        "source": "model",
        "model": "sasrec",
        "run_id": "run",
        "publish_id": A,
        "generated_at": WHEN.replace(tzinfo=None),
    }


@pytest.mark.parametrize("ids", [AWKWARD, INTEGERS])
def test_awkward_ids_go_through_unharmed(spark: SparkSession, collection: MongoCollection, ids: list[Any]) -> None:
    upsert(spark, ids, collection, A)
    assert [document["_id"] for document in find_documents(collection, ids)] == ids
    upsert(spark, ids, collection, B, score=0.75)
    assert {document["items"][0]["score"] for document in find_documents(collection, ids)} == {0.75}
    assert mongo.largest_publication(collection) == len(ids)


def test_an_older_publication_neither_overwrites_nor_removes_a_newer_one(
    spark: SparkSession, collection: MongoCollection
) -> None:
    upsert(spark, [1, 2], collection, B)
    written = upsert(spark, [1, 2, 3], collection, A)
    assert written == mongo.Upserted(documents=1, newer=2)
    assert mongo.remove_older(collection, publish_id=A) == 0
    assert [document["publish_id"] for document in find_documents(collection, [1, 2, 3])] == [B, B, A]


def test_removal_takes_older_documents_and_those_of_no_publication(spark: SparkSession, collection: MongoCollection) -> None:
    upsert(spark, [1, 2], collection, A)
    with mongo_collection.connected(collection, "inserting failed") as live:
        live.insert_one({"_id": "by hand"})
    upsert(spark, [2, 3], collection, B)
    assert mongo.remove_older(collection, publish_id=B) == 2
    assert [document["_id"] for document in first_documents(collection, 9)] == [2, 3]
    assert mongo.newest_publication(collection) == B


def test_newest_is_none_without_publications(collection: MongoCollection) -> None:
    assert mongo.newest_publication(collection) is None
    with mongo_collection.connected(collection, "inserting failed") as live:
        live.insert_one({"_id": 1})
    assert mongo.newest_publication(collection) is None


def test_swap_is_seen_at_once_and_keeps_indexes(spark: SparkSession, collection: MongoCollection) -> None:
    require_renames(collection)
    upsert(spark, [1, 2], collection, A)
    with mongo_collection.connected(collection, "indexing failed") as live:
        live.create_index("source", name="mine")
    stage(spark, ["$where", ""], collection, B)
    assert [document["_id"] for document in first_documents(collection, 9)] == [1, 2]
    mongo.switch(collection, publish_id=B)
    mongo.switch(collection, publish_id=B)
    assert sorted(document["_id"] for document in first_documents(collection, 9)) == ["", "$where"]
    with mongo_collection.connected(collection, "listing failed") as live:
        assert {"_id_", "mine", "publish_id_1"} == set(live.index_information())
        assert live.database.list_collection_names() == ["recommendations"]


def test_staging_goes_on_where_a_killed_one_stopped(spark: SparkSession, collection: MongoCollection) -> None:
    require_renames(collection)
    stage(spark, [1, 2], collection, A)
    stage(spark, [1, 2, 3, 4, 5], collection, A)
    mongo.switch(collection, publish_id=A)
    assert [document["_id"] for document in first_documents(collection, 9)] == [1, 2, 3, 4, 5]
    stage(spark, [1, 2, 3, 4, 5], collection, A)
    with mongo_collection.connected(collection, "listing failed") as live:
        assert live.database.list_collection_names() == ["recommendations"]


def test_a_staging_that_was_killed_before_its_indexes_gets_them(spark: SparkSession, collection: MongoCollection) -> None:
    require_renames(collection)
    upsert(spark, [9], collection, A)
    with mongo_collection.connected(collection, "writing failed") as live:
        live.create_index("source", name="mine")
        live.database[f"{collection.name}__staging__{B}"].insert_many([{"_id": user, "publish_id": B} for user in (1, 2)])
    stage(spark, [1, 2], collection, B)
    mongo.switch(collection, publish_id=B)
    with mongo_collection.connected(collection, "listing failed") as live:
        assert set(live.index_information()) == {"_id_", "mine", "publish_id_1"}


@pytest.mark.parametrize(
    ("database", "collection"),
    [("", "c"), ("a.b", "c"), ("a b", "c"), ("d" * 64, "c"), ("d", ""), ("d", "$c"), ("d", ".c"), ("d", "c."), ("d", "c" * 220)],
)
def test_names_that_mongodb_refuses(mongodb: MongoServer, database: str, collection: str) -> None:
    with pytest.raises(UserError, match=r"MongoDB has no (database|collection) .*; set mongo.database and mongo.collection"):
        mongodb.collection(database, collection)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("tls=true&tlsCAFile=/none.pem", "No such file or directory: '/none.pem'"),
        ("retryWrites=maybe", "must be 'true' or 'false'"),
        ("nonsense=1", "Unknown option: nonsense"),
    ],
)
def test_options_that_are_wrong_are_said_on_one_line(options: str, message: str) -> None:
    with pytest.raises(UserError, match=r"can't be reached: .*nothing was changed") as caught:
        mongo_collection.open_server(f"mongodb://127.0.0.1:1/?{options}", name="m", timeouts=Timeouts(reach_s=0.3))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_of_two_publications_side_by_side(spark: SparkSession, collection: MongoCollection) -> None:
    assert mongo.largest_publication(collection) == 0
    upsert(spark, [1, 2, 3], collection, A)
    upsert(spark, [3, 4], collection, B)
    assert mongo.largest_publication(collection) == 2


def test_a_short_staging_is_refused_and_the_old_documents_stand(spark: SparkSession, collection: MongoCollection) -> None:
    require_renames(collection)
    upsert(spark, [1], collection, A)
    with pytest.raises(UserError, match="2 documents were staged for 3 rows"):
        stage(spark, [1, 2, 2], collection, B)
    assert [document["publish_id"] for document in first_documents(collection, 9)] == [A]


def test_an_older_staging_is_not_put_over_a_newer_publication(spark: SparkSession, collection: MongoCollection) -> None:
    require_renames(collection)
    stage(spark, [1], collection, A)
    upsert(spark, [2], collection, B)
    with pytest.raises(UserError, match=f"newer publication {B} stands"):
        mongo.switch(collection, publish_id=A)
    assert [document["_id"] for document in first_documents(collection, 9)] == [2]


def test_a_switch_without_staging_is_an_error(collection: MongoCollection) -> None:
    require_renames(collection)
    with pytest.raises(UserError, match="the switch failed"):
        mongo.switch(collection, publish_id=A)


def test_only_dead_stagings_are_dropped(spark: SparkSession, collection: MongoCollection) -> None:
    for publish_id in (A, B):
        stage(spark, [1], collection, publish_id)
    mongo.remove_stagings(collection, is_dead=lambda publish_id: publish_id == A)
    with mongo_collection.connected(collection, "listing failed") as live:
        assert live.database.list_collection_names() == [f"recommendations__staging__{B}"]


def test_mode(collection: MongoCollection) -> None:
    assert mongo.choose_mode(collection, "upsert") == "upsert"
    lasting = replace(collection, server=replace(collection.server, renames=collection.server.mongod))
    assert mongo.choose_mode(lasting, "auto") == ("swap" if collection.server.mongod else "upsert")
    with pytest.raises(UserError, match="mode=swap: "):
        mongo.choose_mode(replace(collection, server=replace(collection.server, renames=False)), "swap")


def test_an_unreachable_server_is_named_without_its_password() -> None:
    uri = "mongodb://ann:s3cr%40t@127.0.0.1:1/?authSource=admin"
    with pytest.raises(UserError, match="can't be reached") as caught:
        mongo_collection.open_server(uri, name="mongodb://***@127.0.0.1:1", timeouts=Timeouts(reach_s=0.3))
    assert "s3cr" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_a_failure_in_a_task_is_one_line(spark: SparkSession, collection: MongoCollection) -> None:
    uri = "mongodb://ann:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300"
    gone = replace(collection, server=replace(collection.server, uri=uri, timeouts=Timeouts(return_s=0.5)))
    with pytest.raises(UserError, match="failed: ") as caught:
        upsert(spark, [1], gone, A)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
