"""What the stores would refuse is found before the scoring."""

from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.publishing import rehearsal
from seqrec.serving import sealed
from seqrec.serving.exports import open_export
from seqrec.settings.stores import Milvus, Mongo
from seqrec.stores import milvus, milvus_place, mongo_place
from seqrec.stores.milvus_index import Index
from seqrec.stores.targets import MilvusTarget, MongoTarget, Targets
from seqrec.tables import io, schemas
from tests.scoring.toy import write_model
from tests.stores.test_milvus import embeddings

pytestmark = pytest.mark.parametrize(("mongodb", "milvus_server"), [("memory", "lite"), ("memory", "aliases")], indirect=True)


FLAT = Index(kind="FLAT", params={})


def write(spark: SparkSession, folder: Path, items: dict[str, list[float]]) -> str:
    """An exported model of these items."""
    matrix = np.zeros((len(items) + 2, 2), np.float32)
    write_model(folder, matrix, list(items), [1] * len(items))
    io.write_table(embeddings(spark, items), str(folder / sealed.EMBEDDINGS), schemas.item_embeddings(schemas.IDS["string"]))
    return str(folder)


@pytest.fixture
def targets(mongodb: MongoTarget, milvus_server: MilvusTarget) -> Targets:
    return Targets(mongodb=mongodb, milvus=milvus_server)


def rehearse(
    spark: SparkSession, targets: Targets, model: str, place: mongo_place.Place, *, top_k: int = 9, whole: bool = True
) -> None:
    rehearsal.rehearse(
        spark,
        targets,
        export=open_export(model),
        mongo=Mongo(database=place.database),
        milvus=Milvus(alias=f"alias_{place.database}"),
        top_k=top_k,
        whole=whole,
    )


def test_nothing_of_it_stays(spark: SparkSession, targets: Targets, place: mongo_place.Place, tmp_path: Path) -> None:
    rehearse(spark, targets, write(spark, tmp_path / "model", {"a": [1.0, 0.0], "b": [0.0, 1.0]}), place)
    with mongo_place.connected(place, "listing failed") as live:
        assert live.database.list_collection_names() == []
    with milvus_place.connected(targets.require_milvus().place(alias="x"), "listing failed") as client:
        assert [name for name in client.list_collections() if place.database in name] == []


def test_an_id_that_milvus_lite_refuses(spark: SparkSession, targets: Targets, place: mongo_place.Place, tmp_path: Path) -> None:
    model = write(spark, tmp_path / "model", {"it's": [1.0, 0.0], "b": [0.0, 1.0]})
    if targets.require_milvus().aliases:
        rehearse(spark, targets, model, place)
    else:
        with pytest.raises(UserError, match=r"without ' or the character 0, not \"it's\""):
            rehearse(spark, targets, model, place)
        rehearse(spark, targets, model, place, whole=False)


def test_ids_are_checked_before_a_training(spark: SparkSession, targets: Targets, tmp_path: Path) -> None:
    items = spark.createDataFrame([("it's", 2, 1), ("b", 3, 1)], schemas.items(schemas.IDS["string"]))
    io.write_table(items, f"{tmp_path}/items", items.schema)
    place = targets.require_milvus().place(alias="rehearsed")
    if place.aliases:
        rehearsal.rehearse_items(spark, place, dataset=str(tmp_path), dim=2, index=FLAT)
    else:
        with pytest.raises(UserError, match=r"items: .* takes a item_id of .* not \"it's\""):
            rehearsal.rehearse_items(spark, place, dataset=str(tmp_path), dim=2, index=FLAT)


def test_an_index_that_the_server_has_not(targets: Targets) -> None:
    place = targets.require_milvus().place(alias="unindexed")
    with pytest.raises(UserError, match=r"a trial of what is to be written failed: .*invalid index type: HNSW"):
        milvus.try_to_write(place, dim=2, index=Index(kind="HNSW", params={"M": 4}))
    with milvus_place.connected(place, "listing failed") as client:
        assert [name for name in client.list_collections() if name.startswith(place.alias)] == []


def test_a_list_that_is_no_document(
    spark: SparkSession, targets: Targets, place: mongo_place.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two entries of 33 + 1 + 6 bytes, beside 4096 others."""
    model = write(spark, tmp_path / "model", {"a": [1.0, 0.0], "b": [0.0, 1.0]})
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * 40)
    rehearse(spark, targets, model, place)
    monkeypatch.setattr(rehearsal, "MOST_DOCUMENT_BYTES", 4096 + 2 * 40 - 1)
    with pytest.raises(UserError, match=r"top_k=9: a list of 2 items takes up to .* set top_k to at most 1, or publish=false"):
        rehearse(spark, targets, model, place)
