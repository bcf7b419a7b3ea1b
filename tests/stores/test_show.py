"""Reading back: what a person sees of the stores."""

from pathlib import Path
from typing import Any, cast

import pytest
from pyspark.sql import SparkSession

from seqrec.catalogue.titles import NO_TITLES, Titles
from seqrec.publishing.destinations import MilvusDestination, MongoDestination
from seqrec.publishing.dump import Origin, dump_documents, dump_vectors
from seqrec.stores import milvus, mongo, show
from seqrec.stores.milvus_index import Index
from seqrec.stores.mongo_rows import Batching
from seqrec.stores.open_stores import Addresses, connect
from seqrec.stores.vectors import Embeddings
from seqrec.tables import schemas
from tests.stores.test_milvus import RUNS, A, embeddings
from tests.stores.test_mongo import recommendations


@pytest.fixture
def root(spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SEQREC_ROOT with two users and three items in its stores, and the dataset they came from."""
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    monkeypatch.setenv("MONGODB_URI", "embedded")
    monkeypatch.setenv("MILVUS_URI", "embedded")
    with connect(None, Addresses(mongodb="embedded", milvus="embedded")) as stores:
        collection = stores.require_mongodb().collection("seqrec", "recommendations")
        lists = recommendations(spark, [1, 2], score=0.5)
        mongo.upsert(collection, lists, publish_id=A, rows=2, batching=Batching(writers=1, batch_size=10))
        table = embeddings(spark, {7: [1.0, 0.0], 9: [1.0, 1.0], 8: [0.0, 1.0]})
        alias, checked = stores.require_milvus().alias("item_embeddings"), Embeddings(table=table, rows=3, dim=2)
        milvus.upsert(alias, checked, run_id=RUNS[A], index=Index(kind="AUTOINDEX", params={}))
    version = tmp_path / "data" / RUNS[A]
    bigint = schemas.IDS["bigint"]
    items = spark.createDataFrame([(7, 2, 3), (9, 3, 2), (8, 4, 1)], schemas.items(bigint))
    items.write.parquet(str(version / "items"))
    sequences = spark.createDataFrame([(1, [4, 2], [1, 2], [2, 4]), (3, [2], [1], [2])], schemas.sequences(bigint))
    sequences.write.parquet(str(version / "sequences"))
    (tmp_path / "titles.csv").write_text('movieId,title\n7,"Seven, the film"\n8,Eight\n')
    return tmp_path


def test_show(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    version = root / "data" / RUNS[A]
    show.main(["--users", "1", "--top", "2", "--titles", str(root / "titles.csv"), "--data", str(version)])
    out, err = capsys.readouterr()
    assert err.endswith(f"2 titles in {root}/titles.csv: column title, by movieId\n")
    assert out.splitlines() == [
        f"MongoDB embedded in {root}/stores, collection seqrec.recommendations: 1 users, run run of sasrec",
        "user 1",
        "  latest       Eight | Seven, the film",
        "  recommended  Seven, the film (0.500) | item 9 (0.250)",
        f"Milvus embedded in {root}/stores, alias item_embeddings: nearest to Seven, the film",
        "  item 9 (0.707)",
        "  Eight (0.000)",
    ]
    show.main(["--user", "2", "--item", "8", "--top", "1"])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "user 2",
        "  recommended  item 7 (0.500)",
        f"Milvus embedded in {root}/stores, alias item_embeddings: nearest to item 8",
        "  item 9 (0.707)",
    ]


@pytest.mark.parametrize(
    ("sources", "shown"), [(["popular", "model", "ranker"], "ranker"), (["popular", "model"], "model"), (["popular"], "popular")]
)
def test_lists_of_a_ranker_are_shown_first(monkeypatch: pytest.MonkeyPatch, sources: list[str], shown: str) -> None:
    def first_documents(collection: Any, number: int, *, source: str | None = None) -> list[dict[str, Any]]:
        return [{"source": name} for name in sources if source in (None, name)][:number]

    monkeypatch.setattr(show, "first_documents", first_documents)
    assert show.some_documents(cast(Any, "a collection"), 1) == [{"source": shown}]


def test_items_with_reasons_have_a_line_each() -> None:
    why = [{"item_id": 8, "score": 0.75}, {"item_id": 9, "score": 0.5}]
    entries = [{"item_id": 7, "score": 0.5, "because": why}, {"item_id": 9, "score": 0.25, "because": []}]
    assert show.recommended_lines(entries, Titles({"7": "Heat", "8": "Eight"}, "titles")) == [
        "  recommended  Heat (0.500), because of Eight (0.750) | item 9 (0.500)",
        "               item 9 (0.250)",
    ]
    assert show.recommended_lines(entries[1:], NO_TITLES) == ["  recommended  item 9 (0.250)"]


def test_a_title_that_a_document_carries_is_shown() -> None:
    entry = {"item_id": 7, "score": 0.5, "title": "Heat"}
    assert show.scored(entry, NO_TITLES) == "Heat (0.500)"
    assert show.scored(entry, Titles({"7": "Seven"}, "")) == "Seven (0.500)"
    assert show.scored({**entry, "title": None}, NO_TITLES) == "item 7 (0.500)"


def test_titles_of_other_items_are_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "titles.csv").write_text("id,title\ntt7,Seven\n")
    show.main(["--users", "1", "--titles", str(root / "titles.csv")])
    out, err = capsys.readouterr()
    assert "but its ids ('tt7', …) are none of the items' (7, 9, …): --title-columns ID,TITLE says" in err
    assert "recommended  item 7" in out


def test_show_of_dumps(root: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(None, Addresses(mongodb="embedded", milvus="embedded")) as stores:
        films = spark.createDataFrame([("a", 1990, [1, 2, 3])], "film string, year int, tags array<int>")
        to_films = MongoDestination(
            server=stores.require_mongodb(),
            database="seqrec",
            collection="films",
            mode="auto",
            batching=Batching(writers=1, batch_size=9),
        )
        dump_documents(Origin(films, "t"), to_films, key="film")
        vectors = spark.createDataFrame([("a", [1.0, 0.0]), ("b", [1.0, 1.0]), ("c", [0.0, 1.0])], "film string, v array<float>")
        index = Index(kind="FLAT", params={})
        to_alias = MilvusDestination(server=stores.require_milvus(), alias="films", index=index, keep=1, writers=1)
        dump_vectors(Origin(vectors, "t"), to_alias, key="film", embedding="v", dim=None)
    show.main(["--collection", "films", "--alias", "films", "--item", "a", "--top", "2"])
    assert capsys.readouterr().out.splitlines() == [
        f"MongoDB embedded in {root}/stores, collection seqrec.films: 1 documents of a dump",
        "document a",
        "  film  a",
        "  year  1990",
        "  tags  [1, 2] of 3",
        f"Milvus embedded in {root}/stores, alias films: nearest to item a",
        "  item b (0.707)",
        "  item c (0.000)",
    ]
    show.main(["--collection", "films", "--alias", "films", "--user", "a"])
    assert "nearest to item" in capsys.readouterr().out


def test_show_says_what_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--user", "77"], "no such users"),
        (["--user", "9" * 30], "no such users"),
        (["--item", "x"], "item ids are integers there, 'x' is none"),
        (["--titles", "nowhere.csv"], "nowhere.csv: no such file"),
    ):
        with pytest.raises(SystemExit, match=message):
            show.main(arguments)
    monkeypatch.setenv("MONGODB_URI", "none")
    monkeypatch.setenv("MILVUS_URI", "none")
    show.main([])
    assert capsys.readouterr().out == "MongoDB: skipped\nMilvus: skipped\n"
    monkeypatch.delenv("MILVUS_URI")
    with pytest.raises(SystemExit, match="MILVUS_URI is unset or empty"):
        show.main([])
