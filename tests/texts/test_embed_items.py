"""The job: tables of items into texts, and texts into vectors, whatever the partitions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs.embed_items import run
from seqrec.command.config import load_config
from seqrec.dataset.head import settle_table
from seqrec.errors import UserError
from seqrec.settings.embed_items import EmbedItems
from seqrec.storage import versions
from seqrec.tables.input_table import WantedTable
from seqrec.texts.item_texts import TextTable, item_texts
from seqrec.texts.templates import parse_template
from tests.texts.test_sentences import write_model

CONF = str(Path(__file__).parents[2] / "conf" / "embed_items.yaml")
MOVIES = """movieId,title,year,genres
7,Red car,1995,Crime|Drama
8,Blue  car ,,
9,NULL,1990,Drama
10,Red bus,,
11,,,
"""
TAGS = "movieId,tag,title\n9,slow,Green bus\n7,fast,Another title\n7, bold,\n7,fast,\n12,fast,Blue boat\n,lost,\n"


def text_table(folder: Path, name: str, content: str, **separators: str) -> TextTable:
    path = folder / f"{name}.csv"
    path.write_text(content)
    return TextTable(table=settle_table(WantedTable(key=name, path=str(path), header=True)), separators=separators)


def embed(monkeypatch: pytest.MonkeyPatch, folder: Path, *overrides: str) -> Path:
    """Run the job; the folder of the version."""
    monkeypatch.setenv("SEQREC_ROOT", str(folder))
    run(load_config(EmbedItems, CONF, list(overrides)))
    return Path(versions.resolve(f"{folder}/item_vectors"))


def vectors_of(version: Path) -> dict[Any, list[float]]:
    rows = pq.read_table(version / "item_vectors").to_pylist()
    return {row["item_id"]: row["embedding"] for row in rows}


def test_tables_are_merged_by_priority(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """9 has the title of the second table, 12 is in that alone, 7 has three tags in two rows, 11 has nothing."""
    tables = [text_table(tmp_path, "items", MOVIES, genres="|"), text_table(tmp_path, "joined.tags", TAGS)]
    template = parse_template("{title} ({year}). Genres: {genres}; tags: {tag}")
    found = item_texts(spark, tables, template, id_type="auto", max_bad_share=0.2)
    assert {row["item_id"]: row["text"] for row in found.table.collect()} == {
        7: "Red car (1995). Genres: Crime, Drama; tags: bold, fast",
        8: "Blue car",
        9: "Green bus (1990). Genres: Drama; tags: slow",
        10: "Red bus",
        11: None,
        12: "Blue boat; tags: fast",
    }
    assert found.id_type == "bigint"
    assert found.counts == {"items": 6, "without_text": 1, "repeated": 1, "unusable": 1}
    assert "1 of 6 values of movieId are no bigint ids, such as 'null': they are left out" in caplog.text
    assert "1 of 6 items have several rows in a table" in caplog.text


def test_lists_are_read_and_ids_that_are_text_stay_text(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    rows = {"id": ["a7", "08"], "genres": [["Crime", None, " Drama"], []], "stars": [4.5, 3.0]}
    pq.write_table(pa.table(rows), path)
    table = TextTable(table=settle_table(WantedTable(key="items", path=str(path))))
    found = item_texts(spark, [table], parse_template("{genres}, {stars} stars"), id_type="auto", max_bad_share=0.0)
    texts = {row["item_id"]: row["text"] for row in found.table.collect()}
    assert texts == {"a7": "Crime, Drama, 4.5 stars", "08": "3 stars"}


def test_new_items_are_embedded_by_the_older_basis(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Twice the same, bit by bit; with further items and basis= the older vectors stay."""
    (tmp_path / "movies.csv").write_text(MOVIES)
    keys = ('template="{title}"', "dimension=3")
    first, second = (embed(monkeypatch, tmp_path, *keys) for _ in range(2))
    before = vectors_of(first)
    assert sorted(before) == [7, 8, 10]
    assert before == vectors_of(second)
    meta = json.loads((first / "meta.json").read_text())
    assert meta["counts"] == {"items": 5, "without_text": 2, "repeated": 0, "unusable": 0, "vectors": 3, "unknown": 0}
    assert (meta["method"], meta["model"], meta["template"], meta["dimension"]) == ("terms", None, "{title}", 2)
    assert "the texts and their words have 2 directions alone, dimension asks for 3" in caplog.text
    np.testing.assert_allclose(np.linalg.norm(list(before.values()), axis=1), 1, rtol=1e-6)
    (tmp_path / "movies.csv").write_text(MOVIES + "13,Red dog,,\n14,Green submarine,,\n")
    third = embed(monkeypatch, tmp_path, *keys, f"basis={first}")
    after = vectors_of(third)
    assert {item: after[item] for item in before} == before
    assert sorted(after) == [7, 8, 10, 13]  # no word of 14 is known
    assert json.loads((third / "meta.json").read_text())["counts"]["unknown"] == 1


def test_a_sentence_model_gives_vectors_in_pythons_workers(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tokenizers", reason="the extra `text` isn't installed: pip install -e '.[text]'")
    (tmp_path / "movies.csv").write_text(MOVIES)
    model = write_model(tmp_path / "toy")
    version = embed(monkeypatch, tmp_path, 'template="{title}"', f"model={model}")
    vectors = vectors_of(version)
    assert sorted(vectors) == [7, 8, 10]
    assert len(vectors[7]) == json.loads((version / "meta.json").read_text())["dimension"] == 3
    with pytest.raises(UserError, match=rf"has vectors of the sentence model {model}: set model="):
        embed(monkeypatch, tmp_path, f"basis={version}")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["template={title}"], "template is read as a mapping: quote it once more"),
        (
            ['template="{titel}"'],
            r"template names the column 'titel', which no table has: .*movies\.csv has movieId, title, y",
        ),
        (["items.id=asin"], "has no column 'asin', which items.id names; it has movieId, title"),
        (["items.separators={tags: ';'}"], "has no column 'tags', which items.separators names"),
        (["id_type=bigint", "items.id=title"], "5 of 5 values of title are no bigint ids, such as 'Blue  car ', max_bad_share"),
        (['template="{year}"'], "no word occurs in two of the 2 texts: take more columns into template, or set model=minilm"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: list[str], said: str
) -> None:
    (tmp_path / "movies.csv").write_text(MOVIES)
    with pytest.raises(UserError, match=said):
        embed(monkeypatch, tmp_path, *overrides)
    assert not (tmp_path / "item_vectors" / versions.CURRENT).exists()
