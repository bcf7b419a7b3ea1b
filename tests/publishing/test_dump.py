"""Dumps into real stores: on H2 by upsert, in memory by swap, on Milvus Lite, and on servers where there are some."""

import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.publishing.destinations import MilvusDestination, MongoDestination
from seqrec.publishing.dump import Origin, dump_documents, dump_vectors, open_origin
from seqrec.publishing.dump_options import MAX_LOSS
from seqrec.storage import versions
from seqrec.stores import milvus_alias, mongo, mongo_collection
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo_collection import MongoCollection
from seqrec.stores.mongo_rows import Batching
from seqrec.tables import io

WHEN = datetime(2026, 1, 2, 3, 4, 5, 678_000)
FILMS = "movie_id int, title string, year int"
VECTORS = "movie_id bigint, title string, embedding array<double>, share float, tags array<string>"
VERSION = "20260101T000000Z-0000"


def dump(
    table: DataFrame, collection: MongoCollection, *, key: str = "movie_id", mode: Any = None, max_loss: float = MAX_LOSS
) -> int:
    """By swap where the server keeps renamed collections, else by upsert."""
    destination = MongoDestination(
        server=collection.server,
        database=collection.database,
        collection=collection.name,
        mode=mode or ("swap" if collection.server.renames else "auto"),
        batching=Batching(writers=2, batch_size=2),
    )
    return dump_documents(Origin(table, "t"), destination, key=key, max_loss=max_loss)


def standing(collection: MongoCollection) -> list[dict[str, Any]]:
    with mongo_collection.connected(collection, "reading failed") as live:
        assert live.database.list_collection_names() in ([collection.name], [])
        return list(live.find(sort=[("_id", 1)]))


def test_every_type_arrives_as_its_own(spark: SparkSession, collection: MongoCollection) -> None:
    table = spark.createDataFrame([(7,)], "movie_id bigint").selectExpr(
        "movie_id",
        "array(named_struct('item_id', 3L, 'score', float(0.5))) AS neighbours",
        "named_struct('a', named_struct('b', array(1, 2)), 'none', cast(null AS string)) AS nested",
        "timestamp '2026-01-02 03:04:05.678901' AS at",
        "timestamp_ntz '2026-01-02 03:04:05.678901' AS local",
        "date '2026-01-02' AS day",
        "1.50BD AS price",
        "unhex('00ff') AS raw",
        "map('x', 1, 'y', null) AS counts",
        "true AS flag",
        "cast(null AS array<int>) AS nothing",
    )
    assert dump(table, collection) == 1
    [document] = standing(collection)
    assert document.pop("publish_id") == mongo.newest_publication(collection)
    assert document.pop("price").to_decimal() == Decimal("1.50")
    assert {name: type(document[name]).__name__ for name in ("_id", "movie_id")} == {"_id": "Int64", "movie_id": "Int64"}
    assert document == {
        "_id": 7,
        "movie_id": 7,
        "neighbours": [{"item_id": 3, "score": 0.5}],
        "nested": {"a": {"b": [1, 2]}, "none": None},
        "at": WHEN,
        "local": WHEN,
        "day": datetime(2026, 1, 2),
        "raw": b"\x00\xff",
        "counts": {"x": 1, "y": None},
        "flag": True,
        "nothing": None,
    }


def test_a_dump_takes_the_place_of_what_was_there(spark: SparkSession, collection: MongoCollection) -> None:
    dump(spark.createDataFrame([(1, "a", 1990), (2, "b", 1991), (3, "c", 1992)], FILMS), collection)
    with mongo_collection.connected(collection, "writing failed") as live:
        live.insert_one({"_id": "by hand"})
        live.create_index("title", name="mine")
    titles = spark.createDataFrame([("b", 2000), ("d", None)], "title string, year int")
    assert dump(titles, collection, key="title", max_loss=0.5) == 2
    documents = standing(collection)
    assert [(document["_id"], document["title"], document["year"]) for document in documents] == [
        ("b", "b", 2000),
        ("d", "d", None),
    ]
    assert {document["publish_id"] for document in documents} == {mongo.newest_publication(collection)}
    with mongo_collection.connected(collection, "reading failed") as live:
        assert {"mine", "publish_id_1"} <= set(live.index_information())


def bad(spark: SparkSession, case: str) -> tuple[DataFrame, str]:
    """A table that can't be dumped by movie_id, and the message."""
    films = spark.createDataFrame([(1, "a", 1990), (None, "b", 1991), (None, "c", 1992), (1, "d", 1993)], FILMS)
    return {
        "null": (
            films,
            r"2 of 4 rows have no movie_id, e.g. \[{'movie_id': None, 'title': '[bc]', 'year': 199[12]}, .*fill or drop",
        ),
        "repeated": (films.dropna(), r"1 values of movie_id repeat, e.g. \[1\]"),
        "absent": (films.withColumnRenamed("movie_id", "film"), "no column 'movie_id' for --queryid; it has film, title, year"),
        "type": (films.selectExpr("year / 2 AS movie_id"), "movie_id is double: --queryid takes a column of integers or strings"),
        "reserved": (films.withColumnRenamed("year", "_ID"), "has a column _ID, which is a field of the dump's own"),
        "unfit": (films.selectExpr("*", "interval 1 day AS length"), r"can't hold length \(interval day"),
        "empty": (films.limit(0), "holds no rows"),
    }[case]


@pytest.mark.parametrize("case", ["null", "repeated", "absent", "type", "reserved", "unfit", "empty"])
@pytest.mark.parametrize("mongodb", ["memory"], indirect=True)
def test_what_cannot_be_dumped_leaves_the_collection(spark: SparkSession, collection: MongoCollection, case: str) -> None:
    with mongo_collection.connected(collection, "writing failed") as live:
        live.insert_one({"_id": 9})
    table, message = bad(spark, case)
    with pytest.raises(UserError, match=f"^t.*{message}"):
        dump(table, collection)
    assert standing(collection) == [{"_id": 9}]


def test_what_fails_underway_is_one_line_and_leaves_no_staging(spark: SparkSession, collection: MongoCollection) -> None:
    dump(spark.createDataFrame([(1, "a", 1990)], FILMS), collection)
    broken = spark.createDataFrame([(1, {"fine": 1}), (2, {"not\0fine": 2})], "movie_id int, counts map<string, int>")
    with pytest.raises(UserError, match=r"NULL|null") as caught:
        dump(broken, collection)
    assert "\n" not in str(caught.value)
    assert standing(collection)[0]["_id"] == 1


def test_the_swap_is_refused_where_it_does_not_last(spark: SparkSession, collection: MongoCollection) -> None:
    if collection.server.renames:
        pytest.skip("it lasts there")
    with pytest.raises(UserError, match=r"mode=swap: .* set the mode to auto or upsert"):
        dump(spark.createDataFrame([(1, "a", 1990)], FILMS), collection, mode="swap")


def dump_rows(
    table: DataFrame, alias: MilvusAlias, *, key: str = "movie_id", dim: int | None = None, max_loss: float = MAX_LOSS
) -> int:
    index = Index(kind="AUTOINDEX", params={})
    destination = MilvusDestination(server=alias.server, alias=alias.name, index=index, keep=1, writers=2)
    return dump_vectors(Origin(table, "t"), destination, key=key, embedding="embedding", dim=dim, max_loss=max_loss)


def vectors_of(alias: MilvusAlias, key: str = "movie_id") -> dict[Any, dict[str, Any]]:
    """What a search reaches, by key, with run_id counted."""
    with milvus_alias.connected(alias, "reading failed") as client:
        entities = client.query(alias.name, filter="", output_fields=["*"], limit=99, consistency_level="Strong")
    assert len({entity.pop("run_id") for entity in entities}) == 1
    return {entity.pop(key): {**entity, "embedding": list(map(float, entity["embedding"]))} for entity in entities}


def test_embeddings_arrive_with_their_plain_columns(
    spark: SparkSession, alias: MilvusAlias, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [(2**62, "it's", [1.0, 0.5], 0.25, ["x"]), (-7, "b", [0.0, 2.0], 0.5, None)]
    with caplog.at_level(logging.WARNING):
        assert dump_rows(spark.createDataFrame(rows, VECTORS), alias, dim=2) == 2
    assert vectors_of(alias) == {
        2**62: {"title": "it's", "embedding": [1.0, 0.5], "share": 0.25},
        -7: {"title": "b", "embedding": [0.0, 2.0], "share": 0.5},
    }
    assert "left out, as Milvus has no such fields: tags" in caplog.text


def test_a_dump_of_embeddings_takes_the_place_of_another(spark: SparkSession, alias: MilvusAlias) -> None:
    schema = "user_id string, embedding array<float>, model string"
    dump_rows(spark.createDataFrame([("a", [1.0, 0.0], "m"), ("gone", [1.0, 1.0], "m")], schema), alias, key="user_id")
    dump_rows(spark.createDataFrame([("a", [2.0, 0.0], "n"), ("new", [0.0, 1.0], "n")], schema), alias, key="user_id")
    assert vectors_of(alias, "user_id") == {
        "a": {"embedding": [2.0, 0.0], "model": "n"},
        "new": {"embedding": [0.0, 1.0], "model": "n"},
    }
    wider = spark.createDataFrame([(5, [1.0, 0.0, 3.0])], "movie_id int, embedding array<float>")
    dump_rows(wider, alias, max_loss=0.5)
    assert vectors_of(alias) == {5: {"embedding": [1.0, 0.0, 3.0]}}


@pytest.mark.parametrize(
    ("rows", "dim", "message"),
    [
        (
            [(1, "a", [1.0, 2.0]), (2, "b", [1.0]), (3, "c", None), (4, "d", [1.0, 2.0])],
            None,
            "2 of 4 .* not 2 wide, .* 2 has 1 v",
        ),
        ([(1, "a", [1.0, 2.0])], 3, "1 of 1 embeddings are not 3 wide, e.g. that of movie_id 1 has 2 values"),
        ([(1, "a", [1.0, None])], None, "1 of 1 embeddings aren't finite, e.g. that of movie_id 1"),
        ([(1, "a", [1.0]), (1, "b", [1.0])], None, r"1 values of movie_id repeat, e.g. \[1\]"),
        ([(1, "a", [1.0]), (None, "b", [1.0])], None, "1 of 2 rows have no movie_id"),
        ([(1, "a", [1.0]), (2, None, [1.0])], None, "1 of 2 rows have no title: fill them, or drop the column"),
        ([(1, "a", None)], None, "holds no embeddings"),
    ],
)
def test_embeddings_that_cannot_be_dumped(
    spark: SparkSession, alias: MilvusAlias, rows: list[Any], dim: int | None, message: str
) -> None:
    table = spark.createDataFrame(rows, "movie_id int, title string, embedding array<float>")
    with pytest.raises(UserError, match=f"^t.*{message}"):
        dump_rows(table, alias, dim=dim)
    with milvus_alias.connected(alias, "listing failed") as client:
        assert not [name for name in client.list_collections() if name.startswith(alias.name)]


def test_columns_of_embeddings_are_named(spark: SparkSession, alias: MilvusAlias) -> None:
    films = spark.createDataFrame([(1, "a", 1990)], FILMS)
    with pytest.raises(UserError, match="no column 'embedding' for --embedding; it has movie_id, title, year"):
        dump_rows(films, alias)
    with pytest.raises(UserError, match="column embedding is string, expected an array of numbers"):
        dump_rows(films.withColumnRenamed("title", "embedding"), alias)


def test_an_origin_is_a_path_or_a_name(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    films = spark.createDataFrame([(1, "a", 1990)], FILMS).coalesce(1)
    folder = tmp_path / "seqrec" / "dataset"
    io.write_table(films, f"{folder}/{VERSION}/films", films.schema)
    versions.write_meta(f"{folder}/{VERSION}", {"run_id": VERSION})
    versions.commit(str(folder), VERSION, keep=1)
    [part] = (folder / VERSION / "films").glob("part-*.parquet")
    pandas = tmp_path / "pandas"
    pandas.mkdir()
    pq.write_table(pa.table({"movie_id": [1], "title": ["a"], "year": [1990]}), pandas / "0.parquet")
    (tmp_path / "unfinished" / "_temporary").mkdir(parents=True)
    (tmp_path / "text.parquet").write_text("no Parquet")
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path / "seqrec"))
    origins = [
        ("films", str(folder)),
        ("films", None),
        ("films", f"{folder}/{VERSION}"),
        (f"{folder}/{VERSION}/films", None),
        (str(part), None),
        (str(pandas), None),
    ]
    for origin, data in origins:
        table, path = open_origin(spark, origin, data=data)
        assert table.columns == ["movie_id", "title", "year"]
        assert path in (f"{folder}/{VERSION}/films", str(part), str(pandas))
    wrong = {
        "film": f"{VERSION} has no table film; it has films",
        f"{tmp_path}/none": "none doesn't exist",
        f"{tmp_path}/unfinished": "is unfinished",
        f"{tmp_path}/text.parquet": "text.parquet can't be read as Parquet",
    }
    for origin, message in wrong.items():
        with pytest.raises(UserError, match=message):
            open_origin(spark, origin, data=None)
    monkeypatch.delenv("SEQREC_ROOT")
    with pytest.raises(UserError, match="say by --data FOLDER where it is"):
        open_origin(spark, "films", data=None)


def test_a_dump_of_far_fewer_rows_needs_a_word(spark: SparkSession, collection: MongoCollection, alias: MilvusAlias) -> None:
    films = spark.range(20).selectExpr("cast(id AS int) AS movie_id", "'a' AS title", "1990 AS year")
    vectors = films.selectExpr("movie_id", "array(float(1), float(2)) AS embedding")
    dump(films, collection)
    dump_rows(vectors, alias)
    with pytest.raises(UserError, match=r"t has 17 rows, and MongoDB .* holds 20: more than --max-loss=0.1 of them would go"):
        dump(films.limit(17), collection)
    with pytest.raises(UserError, match=r"t has 17 rows, and Milvus .* holds 20: more than --max-loss=0.1 of them would go"):
        dump_rows(vectors.limit(17), alias)
    assert (len(standing(collection)), len(vectors_of(alias))) == (20, 20)
    dump(films.limit(18), collection)
    dump_rows(vectors.limit(18), alias)
    dump(films.limit(1), collection, max_loss=1.0)
    dump_rows(vectors.limit(1), alias, max_loss=1.0)
    assert (len(standing(collection)), len(vectors_of(alias))) == (1, 1)


def test_a_killed_upsert_does_not_raise_the_bound(spark: SparkSession, collection: MongoCollection) -> None:
    """Ten documents, and nine others of a dump that was killed before it removed the ten."""
    films = spark.range(19).selectExpr("cast(id AS int) AS movie_id", "'a' AS title", "1990 AS year")
    dump(films.where("movie_id < 10"), collection, mode="upsert")
    late = films.where("movie_id >= 10").withColumn("_id", F.col("movie_id"))
    batching = Batching(writers=1, batch_size=9)
    mongo.upsert(collection, late, publish_id="29990101T000000000000Z-0000", rows=9, batching=batching)
    assert dump(films.where("movie_id >= 10"), collection, mode="upsert") == 9
    assert len(standing(collection)) == 9


def test_days_before_1970_are_days(spark: SparkSession, collection: MongoCollection) -> None:
    dump(
        spark.createDataFrame(
            [(1, date(1931, 3, 14), datetime(1931, 3, 14, 1, tzinfo=UTC))], "movie_id int, day date, at timestamp"
        ),
        collection,
    )
    assert [(document["day"], document["at"]) for document in standing(collection)] == [
        (datetime(1931, 3, 14), datetime(1931, 3, 14, 1))
    ]
