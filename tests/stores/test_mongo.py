"""What every MongoDB server must do: the same tests on H2, in memory, and on MONGODB_URI_TEST."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.stores import mongo, mongo_place
from seqrec.stores.limits import Limits
from seqrec.stores.mongo_place import Place
from seqrec.stores.mongo_reading import first, read
from seqrec.stores.targets import MongoTarget
from seqrec.tables import schemas

A, B, C = (f"2026010{day}T000000000000Z-0000" for day in (1, 2, 3))
WHEN = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
AWKWARD = ["$where", "a.b", "😀", "", "'", '"', "\\", "\x00", "5", "é" * 300]
INTEGERS = [5, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]


def recommendations(spark: SparkSession, users: list[Any], *, score: float) -> DataFrame:
    kind = schemas.IDS["string" if isinstance(users[0], str) else "bigint"]
    rows = [(user, [(7, score), (9, 0.25)], "model", "sasrec", "run", WHEN) for user in users]
    table = spark.createDataFrame(rows, schemas.recommendations(kind, schemas.IDS["bigint"]))
    return table.withColumnRenamed("user_id", "_id")


def upsert(spark: SparkSession, users: list[Any], place: Place, publish_id: str, *, score: float = 0.5) -> mongo.Written:
    table = recommendations(spark, users, score=score)
    return mongo.upsert(table, place, publish_id=publish_id, rows=len(users), writers=2, batch_size=2)


def stage(spark: SparkSession, users: list[Any], place: Place, publish_id: str) -> None:
    mongo.stage(recommendations(spark, users, score=0.5), place, publish_id=publish_id, rows=len(users), writers=2, batch_size=2)


def require_renames(place: Place) -> None:
    if not place.renames:
        pytest.skip("the embedded server on H2 has no swap")


def test_upsert_writes_documents_as_described(spark: SparkSession, place: Place) -> None:
    assert upsert(spark, [5], place, A) == mongo.Written(documents=1, newer=0)
    [document] = read(place, [5])
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
def test_awkward_ids_go_through_unharmed(spark: SparkSession, place: Place, ids: list[Any]) -> None:
    upsert(spark, ids, place, A)
    assert [one["_id"] for one in read(place, ids)] == ids
    upsert(spark, ids, place, B, score=0.75)
    assert {one["items"][0]["score"] for one in read(place, ids)} == {0.75}
    assert mongo.largest(place) == len(ids)


def test_an_older_publication_neither_overwrites_nor_removes_a_newer_one(spark: SparkSession, place: Place) -> None:
    upsert(spark, [1, 2], place, B)
    written = upsert(spark, [1, 2, 3], place, A)
    assert written == mongo.Written(documents=1, newer=2)
    assert mongo.remove_older(place, publish_id=A) == 0
    assert [one["publish_id"] for one in read(place, [1, 2, 3])] == [B, B, A]


def test_removal_takes_older_documents_and_those_of_no_publication(spark: SparkSession, place: Place) -> None:
    upsert(spark, [1, 2], place, A)
    with mongo_place.connected(place, "inserting failed") as live:
        live.insert_one({"_id": "by hand"})
    upsert(spark, [2, 3], place, B)
    assert mongo.remove_older(place, publish_id=B) == 2
    assert [one["_id"] for one in first(place, 9)] == [2, 3]
    assert mongo.newest(place) == B


def test_newest_is_none_without_publications(place: Place) -> None:
    assert mongo.newest(place) is None
    with mongo_place.connected(place, "inserting failed") as live:
        live.insert_one({"_id": 1})
    assert mongo.newest(place) is None


def test_swap_is_seen_at_once_and_keeps_indexes(spark: SparkSession, place: Place) -> None:
    require_renames(place)
    upsert(spark, [1, 2], place, A)
    with mongo_place.connected(place, "indexing failed") as live:
        live.create_index("source", name="mine")
    stage(spark, ["$where", ""], place, B)
    assert [one["_id"] for one in first(place, 9)] == [1, 2]
    mongo.switch(place, publish_id=B)
    mongo.switch(place, publish_id=B)
    assert sorted(one["_id"] for one in first(place, 9)) == ["", "$where"]
    with mongo_place.connected(place, "listing failed") as live:
        assert {"_id_", "mine", "publish_id_1"} == set(live.index_information())
        assert live.database.list_collection_names() == ["recommendations"]


def test_staging_goes_on_where_a_killed_one_stopped(spark: SparkSession, place: Place) -> None:
    require_renames(place)
    stage(spark, [1, 2], place, A)
    stage(spark, [1, 2, 3, 4, 5], place, A)
    mongo.switch(place, publish_id=A)
    assert [one["_id"] for one in first(place, 9)] == [1, 2, 3, 4, 5]
    stage(spark, [1, 2, 3, 4, 5], place, A)
    with mongo_place.connected(place, "listing failed") as live:
        assert live.database.list_collection_names() == ["recommendations"]


def test_a_staging_that_was_killed_before_its_indexes_gets_them(spark: SparkSession, place: Place) -> None:
    require_renames(place)
    upsert(spark, [9], place, A)
    with mongo_place.connected(place, "writing failed") as live:
        live.create_index("source", name="mine")
        live.database[f"{place.collection}__staging__{B}"].insert_many([{"_id": user, "publish_id": B} for user in (1, 2)])
    stage(spark, [1, 2], place, B)
    mongo.switch(place, publish_id=B)
    with mongo_place.connected(place, "listing failed") as live:
        assert set(live.index_information()) == {"_id_", "mine", "publish_id_1"}


@pytest.mark.parametrize(
    ("database", "collection"),
    [("", "c"), ("a.b", "c"), ("a b", "c"), ("d" * 64, "c"), ("d", ""), ("d", "$c"), ("d", ".c"), ("d", "c."), ("d", "c" * 220)],
)
def test_names_that_mongodb_refuses(mongodb: MongoTarget, database: str, collection: str) -> None:
    with pytest.raises(UserError, match=r"MongoDB has no (database|collection) .*; set mongo.database and mongo.collection"):
        mongodb.place(database=database, collection=collection)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("tls=true&tlsCAFile=/none.pem", "No such file or directory: '/none.pem'"),
        ("retryWrites=maybe", "must be 'true' or 'false'"),
        ("nonsense=1", "Unknown option: nonsense"),
    ],
)
def test_options_that_are_wrong_are_said_on_one_line(options: str, said: str) -> None:
    with pytest.raises(UserError, match=r"can't be reached: .*nothing was changed") as caught:
        mongo_place.try_server(f"mongodb://127.0.0.1:1/?{options}", name="m", limits=Limits(reach_s=0.3))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_of_two_publications_side_by_side(spark: SparkSession, place: Place) -> None:
    assert mongo.largest(place) == 0
    upsert(spark, [1, 2, 3], place, A)
    upsert(spark, [3, 4], place, B)
    assert mongo.largest(place) == 2


def test_a_short_staging_is_refused_and_the_old_documents_stand(spark: SparkSession, place: Place) -> None:
    require_renames(place)
    upsert(spark, [1], place, A)
    with pytest.raises(UserError, match="2 documents were staged for 3 rows"):
        stage(spark, [1, 2, 2], place, B)
    assert [one["publish_id"] for one in first(place, 9)] == [A]


def test_an_older_staging_is_not_put_over_a_newer_publication(spark: SparkSession, place: Place) -> None:
    require_renames(place)
    stage(spark, [1], place, A)
    upsert(spark, [2], place, B)
    with pytest.raises(UserError, match=f"newer publication {B} stands"):
        mongo.switch(place, publish_id=A)
    assert [one["_id"] for one in first(place, 9)] == [2]


def test_a_switch_without_staging_is_an_error(place: Place) -> None:
    require_renames(place)
    with pytest.raises(UserError, match="the switch failed"):
        mongo.switch(place, publish_id=A)


def test_only_dead_stagings_are_dropped(spark: SparkSession, place: Place) -> None:
    for publish_id in (A, B):
        stage(spark, [1], place, publish_id)
    mongo.remove_stagings(place, dead=lambda publish_id: publish_id == A)
    with mongo_place.connected(place, "listing failed") as live:
        assert live.database.list_collection_names() == [f"recommendations__staging__{B}"]


def test_mode(place: Place) -> None:
    assert mongo.choose_mode(place, "upsert") == "upsert"
    lasting = replace(place, renames=place.mongod)
    assert mongo.choose_mode(lasting, "auto") == ("swap" if place.mongod else "upsert")
    with pytest.raises(UserError, match="mode=swap: "):
        mongo.choose_mode(replace(place, renames=False), "swap")


def test_an_unreachable_server_is_named_without_its_password() -> None:
    uri = "mongodb://ann:s3cr%40t@127.0.0.1:1/?authSource=admin"
    with pytest.raises(UserError, match="can't be reached") as caught:
        mongo_place.try_server(uri, name="mongodb://***@127.0.0.1:1", limits=Limits(reach_s=0.3))
    assert "s3cr" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


def test_a_failure_in_a_task_is_one_line(spark: SparkSession, place: Place) -> None:
    gone = replace(place, uri="mongodb://ann:s3cret@127.0.0.1:1/?serverSelectionTimeoutMS=300", limits=Limits(return_s=0.5))
    with pytest.raises(UserError, match="failed: ") as caught:
        upsert(spark, [1], gone, A)
    assert "\n" not in str(caught.value)
    assert "s3cret" not in str(caught.value)
