"""What every Milvus must do: the same tests on Milvus Lite and on MILVUS_URI_TEST."""

import math
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec import schemas
from seqrec.errors import UserError
from seqrec.stores import milvus, vectors
from seqrec.stores.milvus import Place
from seqrec.stores.neighbours import neighbours, some_item, typed_id

A, B, C = (f"2026010{day}T000000000000Z-0000" for day in (1, 2, 3))
RUNS = {A: "20260101T000000Z-aaaa", B: "20260102T000000Z-bbbb", C: "20260103T000000Z-cccc"}
AWKWARD = ["$where", "a.b", "😀", "", '"', "\\", "5", "é" * 300]
NOT_FOR_LITE = ["it's", "\x00", "\n"]


def embeddings(spark: SparkSession, vectors: dict[Any, list[float]]) -> DataFrame:
    kind = schemas.IDS["string" if isinstance(next(iter(vectors)), str) else "bigint"]
    rows = [(item, index, vector) for index, (item, vector) in enumerate(vectors.items(), schemas.FIRST_ITEM)]
    return spark.createDataFrame(rows, schemas.item_embeddings(kind))


def put(spark: SparkSession, vectors: dict[Any, list[float]], place: Place, publish_id: str, *, index: str = "AUTOINDEX") -> None:
    """Publish the way that suits the server."""
    table, dim, run_id = embeddings(spark, vectors), len(next(iter(vectors.values()))), RUNS[publish_id]
    if place.aliases:
        stage(table, place, publish_id, items=len(vectors), dim=dim, index=index)
        milvus.switch(place, run_id=run_id, publish_id=publish_id)
    else:
        milvus.upsert(table, place, run_id=run_id, dim=dim, index=index, index_params={})
        milvus.remove_stale(place, run_id=run_id, items=len(vectors))


def stage(table: DataFrame, place: Place, publish_id: str, *, items: int, dim: int = 2, index: str = "AUTOINDEX") -> None:
    milvus.stage(
        table,
        place,
        run_id=RUNS[publish_id],
        publish_id=publish_id,
        items=items,
        dim=dim,
        index=index,
        index_params={},
        writers=2,
    )


def rows(place: Place) -> dict[Any, tuple[int, list[float], str]]:
    """All rows that a search reaches, by id."""
    with milvus.connected(place, "reading failed") as client:
        fields = ["item_id", "item_idx", "embedding", "run_id"]
        found = client.query(place.alias, filter="item_idx >= 0", output_fields=fields, consistency_level="Strong")
    assert len({one["item_id"] for one in found}) == len(found)
    return {one["item_id"]: (one["item_idx"], list(map(float, one["embedding"])), one["run_id"]) for one in found}


def test_rows_are_as_described(spark: SparkSession, alias: Place) -> None:
    put(spark, {2**62: [1.0, 0.5], -7: [0.0, 2.0]}, alias, A)
    assert rows(alias) == {2**62: (2, [1.0, 0.5], RUNS[A]), -7: (3, [0.0, 2.0], RUNS[A])}


def test_awkward_ids_go_through_unharmed(spark: SparkSession, alias: Place) -> None:
    ids = AWKWARD + (NOT_FOR_LITE if alias.aliases else [])
    put(spark, {item: [1.0, float(place)] for place, item in enumerate(ids)}, alias, A)
    put(spark, {item: [2.0, float(place)] for place, item in enumerate(ids)}, alias, B)
    assert {item: row[1] for item, row in rows(alias).items()} == {item: [2.0, float(place)] for place, item in enumerate(ids)}
    assert neighbours(alias, "\\", k=1)[0]["item_id"] == "5"  # the angles of (2, 5), (2, 6), (2, 4): 68.2°, 71.6°, 63.4°


def test_a_publication_replaces_the_one_before(spark: SparkSession, alias: Place) -> None:
    put(spark, {"a": [1.0, 0.0], "gone": [1.0, 1.0]}, alias, A)
    put(spark, {"a": [2.0, 0.0], "new": [0.0, 1.0]}, alias, B)
    assert rows(alias) == {"a": (2, [2.0, 0.0], RUNS[B]), "new": (3, [0.0, 1.0], RUNS[B])}


def test_width_and_type_of_ids_may_change(spark: SparkSession, alias: Place) -> None:
    put(spark, {"a": [1.0, 0.0]}, alias, A)
    put(spark, {7: [1.0, 0.0, 0.5]}, alias, B)
    assert rows(alias) == {7: (2, [1.0, 0.0, 0.5], RUNS[B])}


def test_publishing_again_after_any_interruption_is_harmless(spark: SparkSession, alias: Place) -> None:
    for _ in range(2):
        put(spark, {"a": [1.0, 0.0], "b": [0.0, 1.0]}, alias, A)
    assert set(rows(alias)) == {"a", "b"}


def test_neighbours_by_cosine_without_the_bias(spark: SparkSession, alias: Place) -> None:
    items = {"asked": [1.0, 1.0, 9.0], "same": [3.0, 3.0, -9.0], "near": [2.0, 0.0, 0.0], "far": [-1.0, 0.0, 50.0]}
    put(spark, items, alias, A)
    found = neighbours(alias, "asked", k=2, bias=True)
    assert [(one["item_id"], one["item_idx"]) for one in found] == [("same", 3), ("near", 4)]
    assert found[0]["score"] == pytest.approx(1.0)
    assert found[1]["score"] == pytest.approx(1 / math.sqrt(2))
    assert neighbours(alias, "asked", k=1)[0]["item_id"] == "far"  # (-1 + 450) / (sqrt(83) sqrt(2501)) = 0.985
    assert (some_item(alias), typed_id(alias, "7")) == ("asked", "7")
    with pytest.raises(UserError, match="no item has the id 'nobody'"):
        neighbours(alias, "nobody", k=1)


def test_nothing_published_yet_is_said(alias: Place) -> None:
    assert milvus.newest(alias) is None
    for ask in (lambda: neighbours(alias, 1, k=1), lambda: some_item(alias), lambda: typed_id(alias, "1")):
        with pytest.raises(UserError, match="nothing was published there yet"):
            ask()


def test_stage_switch_keep(spark: SparkSession, alias: Place) -> None:
    if not alias.aliases:
        pytest.skip("Milvus Lite has no aliases")
    for publish_id in (A, B):
        put(spark, {publish_id: [1.0, 0.0]}, alias, publish_id)
    stage(embeddings(spark, {C: [1.0, 0.0]}), alias, C, items=1)
    assert set(rows(alias)) == {B}
    with pytest.raises(UserError, match=f"newer publication {B} stands"):
        milvus.switch(alias, run_id=RUNS[C], publish_id=A)
    milvus.switch(alias, run_id=RUNS[C], publish_id=C)
    milvus.switch(alias, run_id=RUNS[C], publish_id=C)
    assert (set(rows(alias)), milvus.newest(alias)) == ({C}, C)
    milvus.remove_collections(alias, publish_id=C, keep=2, dead=lambda _: True)
    with milvus.connected(alias, "listing failed") as client:
        known = [name for name in client.list_collections() if name.startswith(alias.alias)]
    assert sorted(known) == [milvus.collection_name(alias, RUNS[one]) for one in (B, C)]


def test_unfinished_collections_stay_unless_dead(spark: SparkSession, alias: Place) -> None:
    if not alias.aliases:
        pytest.skip("Milvus Lite has no aliases")
    with pytest.raises(UserError, match="has 1 rows for 2 items"):
        stage(embeddings(spark, {"a": [1.0, 0.0]}), alias, A, items=2)
    put(spark, {"b": [1.0, 0.0]}, alias, B)
    with milvus.connected(alias, "releasing failed") as client:
        client.release_collection(milvus.collection_name(alias, RUNS[A]))
    for dead, left in ((False, 2), (True, 1)):
        milvus.remove_collections(alias, publish_id=B, keep=1, dead=lambda _, dead=dead: dead)  # type: ignore[misc]
        with milvus.connected(alias, "listing failed") as client:
            assert len([name for name in client.list_collections() if name.startswith(alias.alias)]) == left


def test_an_index_in_use_is_not_rebuilt(spark: SparkSession, alias: Place) -> None:
    if not alias.aliases:
        pytest.skip("Milvus Lite has no aliases")
    put(spark, {"a": [1.0, 0.0]}, alias, A, index="FLAT")
    with pytest.raises(UserError, match="is in use and has index FLAT by IP, not IVF_FLAT by IP"):
        stage(embeddings(spark, {"a": [1.0, 0.0]}), alias, A, items=1, index="IVF_FLAT")
    assert set(rows(alias)) == {"a"}


def test_an_unreachable_server_is_named_without_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milvus, "TIMEOUT_S", 0.3)
    with pytest.raises(UserError, match=r"Milvus http://127.0.0.1:1: can't be reached") as caught:
        milvus.try_server("http://127.0.0.1:1", token="s3cret", name="http://127.0.0.1:1")
    assert "s3cret" not in str(caught.value)


def test_a_batch_stays_below_its_bytes(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MOST_BYTES", 2 * (4 * 2 + 1 + vectors.ROW_BYTES))  # two rows: D = 2, ids of one byte
    batches = list(vectors.local_batches(embeddings(spark, {one: [1.0, 2.0] for one in "abcde"}).coalesce(1)))
    assert [len(made) for made in vectors.rows(batches, run_id="r")] == [2, 2, 1]
