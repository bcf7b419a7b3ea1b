"""What every Milvus must do: the same tests on Milvus Lite and on MILVUS_URI_TEST."""

import math
from dataclasses import replace
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.stores import milvus, milvus_alias, vectors
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_index import Index
from seqrec.stores.milvus_neighbours import find_neighbours, first_item, parse_item_id
from seqrec.stores.vectors import Embeddings
from seqrec.tables import schemas

A, B, C = (f"2026010{day}T000000000000Z-0000" for day in (1, 2, 3))
RUNS = {A: "20260101T000000Z-aaaa", B: "20260102T000000Z-bbbb", C: "20260103T000000Z-cccc"}
AWKWARD = ["$where", "a.b", "😀", "", '"', "\\", "5", "é" * 300]
NOT_FOR_LITE = ["it's", "\x00", "\n"]


def embeddings(spark: SparkSession, vectors: dict[Any, list[float]]) -> DataFrame:
    kind = schemas.IDS["string" if isinstance(next(iter(vectors)), str) else "bigint"]
    rows = [(item, index, vector) for index, (item, vector) in enumerate(vectors.items(), schemas.FIRST_ITEM)]
    return spark.createDataFrame(rows, schemas.item_embeddings(kind))


def put(
    spark: SparkSession, vectors: dict[Any, list[float]], alias: MilvusAlias, publish_id: str, *, index: str = "AUTOINDEX"
) -> None:
    """Publish the way that suits the server."""
    table, dim, run_id = embeddings(spark, vectors), len(next(iter(vectors.values()))), RUNS[publish_id]
    if alias.server.aliases:
        stage(table, alias, publish_id, items=len(vectors), dim=dim, index=index)
        milvus.switch(alias, publish_id=publish_id)
    else:
        checked = Embeddings(table=table, rows=len(vectors), dim=dim)
        milvus.upsert(alias, checked, run_id=run_id, index=Index(kind=index, params={}))
        milvus.remove_other_runs(alias, run_id=run_id, rows=len(vectors))


def stage(table: DataFrame, alias: MilvusAlias, publish_id: str, *, items: int, dim: int = 2, index: str = "AUTOINDEX") -> None:
    milvus.stage(
        alias,
        Embeddings(table=table, rows=items, dim=dim),
        run_id=RUNS[publish_id],
        publish_id=publish_id,
        index=Index(kind=index, params={}),
        writers=2,
    )


def rows(alias: MilvusAlias) -> dict[Any, tuple[int, list[float], str]]:
    """All rows that a search reaches, by id."""
    with milvus_alias.connected(alias, "reading failed") as client:
        fields = ["item_id", "item_idx", "embedding", "run_id"]
        hits = client.query(alias.name, filter="item_idx >= 0", output_fields=fields, consistency_level="Strong")
    assert len({hit["item_id"] for hit in hits}) == len(hits)
    return {hit["item_id"]: (hit["item_idx"], list(map(float, hit["embedding"])), hit["run_id"]) for hit in hits}


def test_rows_are_as_described(spark: SparkSession, alias: MilvusAlias) -> None:
    put(spark, {2**62: [1.0, 0.5], -7: [0.0, 2.0]}, alias, A)
    assert rows(alias) == {2**62: (2, [1.0, 0.5], RUNS[A]), -7: (3, [0.0, 2.0], RUNS[A])}


def test_awkward_ids_go_through_unharmed(spark: SparkSession, alias: MilvusAlias) -> None:
    ids = AWKWARD + (NOT_FOR_LITE if alias.server.name not in ("lite", "aliases") else [])
    put(spark, {item: [1.0, float(number)] for number, item in enumerate(ids)}, alias, A)
    put(spark, {item: [2.0, float(number)] for number, item in enumerate(ids)}, alias, B)
    assert {item: row[1] for item, row in rows(alias).items()} == {item: [2.0, float(number)] for number, item in enumerate(ids)}
    assert find_neighbours(alias, "\\", k=1)[0]["item_id"] == "5"  # the angles of (2, 5), (2, 6), (2, 4): 68.2°, 71.6°, 63.4°


def test_a_publication_replaces_the_one_before(spark: SparkSession, alias: MilvusAlias) -> None:
    put(spark, {"a": [1.0, 0.0], "gone": [1.0, 1.0]}, alias, A)
    put(spark, {"a": [2.0, 0.0], "new": [0.0, 1.0]}, alias, B)
    assert rows(alias) == {"a": (2, [2.0, 0.0], RUNS[B]), "new": (3, [0.0, 1.0], RUNS[B])}


def test_width_and_type_of_ids_may_change(spark: SparkSession, alias: MilvusAlias) -> None:
    put(spark, {"a": [1.0, 0.0]}, alias, A)
    put(spark, {7: [1.0, 0.0, 0.5]}, alias, B)
    assert rows(alias) == {7: (2, [1.0, 0.0, 0.5], RUNS[B])}


def test_publishing_again_after_any_interruption_is_harmless(spark: SparkSession, alias: MilvusAlias) -> None:
    for _ in range(2):
        put(spark, {"a": [1.0, 0.0], "b": [0.0, 1.0]}, alias, A)
    assert set(rows(alias)) == {"a", "b"}


def test_neighbours_by_cosine_without_the_bias(spark: SparkSession, alias: MilvusAlias) -> None:
    items = {"asked": [1.0, 1.0, 9.0], "same": [3.0, 3.0, -9.0], "near": [2.0, 0.0, 0.0], "far": [-1.0, 0.0, 50.0]}
    put(spark, items, alias, A)
    nearest = find_neighbours(alias, "asked", k=2, bias=True)
    assert [(entry["item_id"], entry["item_idx"]) for entry in nearest] == [("same", 3), ("near", 4)]
    assert nearest[0]["score"] == pytest.approx(1.0)
    assert nearest[1]["score"] == pytest.approx(1 / math.sqrt(2))
    assert find_neighbours(alias, "asked", k=1)[0]["item_id"] == "far"  # (-1 + 450) / (sqrt(83) sqrt(2501)) = 0.985
    assert (first_item(alias), parse_item_id(alias, "7")) == ("asked", "7")
    with pytest.raises(UserError, match="no item has the id 'nobody'"):
        find_neighbours(alias, "nobody", k=1)


def test_nothing_published_yet_is_said(alias: MilvusAlias) -> None:
    assert milvus.newest_publication(alias) is None
    for ask in (lambda: find_neighbours(alias, 1, k=1), lambda: first_item(alias), lambda: parse_item_id(alias, "1")):
        with pytest.raises(UserError, match="nothing was published there yet"):
            ask()


def test_stage_switch_keep(spark: SparkSession, alias: MilvusAlias) -> None:
    if not alias.server.aliases:
        pytest.skip("Milvus Lite has no aliases")
    for publish_id in (A, B):
        put(spark, {publish_id: [1.0, 0.0]}, alias, publish_id)
    stage(embeddings(spark, {C: [1.0, 0.0]}), alias, C, items=1)
    assert set(rows(alias)) == {B}
    with pytest.raises(UserError, match=f"newer publication {B} stands"):
        milvus.switch(alias, publish_id=A)
    milvus.switch(alias, publish_id=C)
    milvus.switch(alias, publish_id=C)
    assert (set(rows(alias)), milvus.newest_publication(alias)) == ({C}, C)
    milvus.remove_collections(alias, publish_id=C, keep=2, is_dead=lambda _: True)
    with milvus_alias.connected(alias, "listing failed") as client:
        names = [name for name in client.list_collections() if name.startswith(alias.name)]
    assert sorted(names) == [milvus.collection_name(alias, publish_id) for publish_id in (B, C)]


def test_unfinished_collections_stay_unless_dead(spark: SparkSession, alias: MilvusAlias) -> None:
    if not alias.server.aliases:
        pytest.skip("Milvus Lite has no aliases")
    with pytest.raises(UserError, match="has 1 rows for 2 items"):
        stage(embeddings(spark, {"a": [1.0, 0.0]}), alias, A, items=2)
    put(spark, {"b": [1.0, 0.0]}, alias, B)
    with milvus_alias.connected(alias, "releasing failed") as client:
        client.release_collection(milvus.collection_name(alias, A))
    for dead, left in ((False, 2), (True, 1)):
        milvus.remove_collections(alias, publish_id=B, keep=1, is_dead=lambda _, dead=dead: dead)  # type: ignore[misc]
        with milvus_alias.connected(alias, "listing failed") as client:
            assert len([name for name in client.list_collections() if name.startswith(alias.name)]) == left


def test_an_index_in_use_is_not_rebuilt(spark: SparkSession, alias: MilvusAlias) -> None:
    if not alias.server.aliases:
        pytest.skip("Milvus Lite has no aliases")
    put(spark, {"a": [1.0, 0.0]}, alias, A, index="FLAT")
    with pytest.raises(UserError, match="is in use, and isn't 1 rows by IVF_FLAT and IP: publish as it was begun, then again"):
        stage(embeddings(spark, {"a": [1.0, 0.0]}), alias, A, items=1, index="IVF_FLAT")
    assert set(rows(alias)) == {"a"}


def test_an_alias_leaves_what_is_another_s(spark: SparkSession, alias: MilvusAlias) -> None:
    """Neither the collections of an alias whose name goes on with __, nor one of its own that another alias points to."""
    if not alias.server.aliases:
        pytest.skip("Milvus Lite has no aliases")
    german = replace(alias, name=f"{alias.name}__de")
    put(spark, {"a": [1.0, 0.0]}, german, A)
    put(spark, {"b": [1.0, 0.0]}, alias, A)
    with milvus_alias.connected(alias, "naming failed") as client:
        client.create_alias(milvus.collection_name(alias, A), f"{alias.name}_frozen")
    put(spark, {"c": [1.0, 0.0]}, alias, B)
    milvus.remove_collections(alias, publish_id=C, keep=1, is_dead=lambda _: True)
    assert (set(rows(german)), set(rows(alias))) == ({"a"}, {"c"})
    frozen = replace(alias, name=f"{alias.name}_frozen")
    assert set(rows(frozen)) == {"b"}
    with milvus_alias.connected(alias, "dropping failed") as client:
        for name in (german.name, frozen.name):
            client.drop_alias(name)


def test_after_the_way_back_an_older_publication_does_not_take_the_alias(spark: SparkSession, alias: MilvusAlias) -> None:
    """A and C publish one run, B another one: once C has it, B comes too late."""
    if not alias.server.aliases:
        pytest.skip("Milvus Lite has no aliases")
    put(spark, {"a": [1.0, 0.0]}, alias, A)
    stage(embeddings(spark, {"b": [1.0, 0.0]}), alias, B, items=1)
    again = Embeddings(table=embeddings(spark, {"a": [1.0, 0.0]}), rows=1, dim=2)
    index = Index(kind="AUTOINDEX", params={})
    milvus.stage(alias, again, run_id=RUNS[A], publish_id=C, index=index, writers=1)
    milvus.switch(alias, publish_id=C)
    assert milvus.newest_publication(alias) == C
    with pytest.raises(UserError, match=f"the newer publication {C} stands"):
        milvus.switch(alias, publish_id=B)
    assert set(rows(alias)) == {"a"}


@pytest.mark.parametrize(
    "other", [Index(kind="FLAT", params={}, metric="COSINE"), Index(kind="IVF_FLAT", params={"nlist": 8})], ids=["metric", "type"]
)
def test_another_index_or_metric_is_made_anew(spark: SparkSession, alias: MilvusAlias, other: Index) -> None:
    if alias.server.aliases:
        pytest.skip("each publication has a collection of its own there")
    put(spark, {"a": [1.0, 0.0]}, alias, A, index="FLAT")
    table = embeddings(spark, {"b": [1.0, 0.0]})
    milvus.upsert(alias, Embeddings(table=table, rows=1, dim=2), run_id=RUNS[B], index=other)
    milvus.remove_other_runs(alias, run_id=RUNS[B], rows=1)
    with milvus_alias.connected(alias, "reading failed") as client:
        described = client.describe_index(alias.name, "embedding")
    assert (described["index_type"], described["metric_type"]) == (other.kind, other.metric)
    assert set(rows(alias)) == {"b"}


def test_the_largest_of_two_runs_side_by_side(spark: SparkSession, alias: MilvusAlias) -> None:
    assert milvus.largest_publication(alias) == 0
    put(spark, {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 1.0]}, alias, A)
    if not alias.server.aliases:  # what a kill in the midst of an upsert leaves
        index = Index(kind="AUTOINDEX", params={})
        table = embeddings(spark, {"c": [1.0, 0.0], "d": [0.0, 1.0]})
        milvus.upsert(alias, Embeddings(table=table, rows=2, dim=2), run_id=RUNS[B], index=index)
    assert milvus.largest_publication(alias) == (3 if alias.server.aliases else 2)


def test_an_unreachable_server_is_named_without_its_token() -> None:
    with pytest.raises(UserError, match=r"Milvus http://127.0.0.1:1: can't be reached") as caught:
        milvus_alias.open_server("http://127.0.0.1:1", token="s3cret", name="http://127.0.0.1:1")
    assert "s3cret" not in str(caught.value)


def test_a_batch_stays_below_its_bytes(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_BYTES", 2 * (4 * 2 + 1 + vectors.ROW_BYTES))  # two rows: D = 2, ids of one byte
    batches = list(vectors.local_batches(embeddings(spark, {item: [1.0, 2.0] for item in "abcde"}).coalesce(1)))
    assert [len(entities) for entities in vectors.to_entities(batches, run_id="r")] == [2, 2, 1]
