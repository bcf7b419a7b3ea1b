"""The dumps' command lines, against the embedded servers."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from dump import write_milvus, write_mongo
from seqrec.stores import embedded_milvus, milvus_alias
from seqrec.stores.mongo import first_documents
from seqrec.stores.mongo_collection import MongoCollection, MongoServer

MAINS = {"write_mongo": write_mongo.main, "write_milvus": write_milvus.main}


@pytest.fixture
def origin(tmp_path: Path) -> str:
    """A Parquet file of two items and their embeddings."""
    columns: dict[str, Any] = {"item_id": ["a", "b"], "item_idx": [2, 3], "embedding": [[1.0, 0.5], [0.0, 2.0]]}
    pq.write_table(pa.table(columns), tmp_path / "films.parquet")
    return str(tmp_path / "films.parquet")


@pytest.mark.parametrize("mongodb", ["memory"], indirect=True)
def test_write_mongo(
    spark: SparkSession, mongodb: MongoServer, collection: MongoCollection, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGODB_URI", mongodb.uri)
    arguments = ["--origin", origin, "--dest", collection.name, "--queryid", "item_id", "--database", collection.database]
    write_mongo.main([*arguments, "--writers", "1"])
    documents = first_documents(collection, 9)
    assert [{name: value for name, value in document.items() if name != "publish_id"} for document in documents] == [
        {"_id": "a", "item_id": "a", "item_idx": 2, "embedding": [1.0, 0.5]},
        {"_id": "b", "item_id": "b", "item_idx": 3, "embedding": [0.0, 2.0]},
    ]


def test_write_milvus(spark: SparkSession, origin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_URI", "embedded")
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    write_milvus.main(["--origin", origin, "--dest", "films", "--index", "FLAT", "--dim", "2"])
    with embedded_milvus.milvus_lite(tmp_path / "stores") as uri:
        alias = milvus_alias.open_server(uri, token="", name="lite").alias("films")
        with milvus_alias.connected(alias, "reading failed") as client:
            client.load_collection("films")
            [hits] = client.search(
                "films", data=[[1.0, 0.0]], limit=1, output_fields=["item_id", "item_idx"], consistency_level="Strong"
            )
    assert [(hit["entity"]["item_id"], hit["entity"]["item_idx"]) for hit in hits] == [("a", 2)]


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("write_mongo", {}, "MONGODB_URI is unset or empty: `export MONGODB_URI=…` with mongodb://host:27017, embedded or none"),
        ("write_mongo", {"MONGODB_URI": "none"}, "MONGODB_URI=none: the store is left out; set it to a server or to embedded"),
        ("write_milvus", {}, "MILVUS_URI is unset or empty"),
        ("write_milvus", {"MILVUS_URI": "host"}, "MILVUS_URI: its value is no address"),
    ],
)
def test_an_error_is_one_line(
    spark: SparkSession, origin: str, name: str, variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("MONGODB_URI", "MILVUS_URI"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        MAINS[name](["--origin", origin, "--dest", "films", "--queryid", "item_id"])
    assert str(ended.value.code).startswith(f"error: {message}")
    assert len(str(ended.value.code).splitlines()) == 1


@pytest.mark.parametrize("name", MAINS)
def test_help_and_wrong_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, status, message in (
        (["--help"], 0, "(default: $SEQREC_ROOT/dataset)"),
        (["--dest", "d"], 2, "--origin"),
        (["--origin", "o", "--dest", "d", "--queryid", "q", "--writers", "0"], 2, "'0' is no number from 1 on"),
    ):
        with pytest.raises(SystemExit) as ended:
            MAINS[name](arguments)
        assert ended.value.code == status
        assert message in " ".join("".join(capsys.readouterr()).split())
