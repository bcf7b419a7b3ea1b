"""Fields of items that documents carry."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from seqrec.catalogue.item_fields import read_item_fields
from seqrec.errors import UserError
from seqrec.settings.stores import Mongo


def test_ids_get_the_type_of_the_models(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("movieId,name,year\n0318,Heat,1995\n7.0,Ran,1985\n7,Other,1\nx,No,2\n99999999999999999999,Big,3\n")
    fields = read_item_fields(str(path), ["title", "made=year"])
    assert fields.words == f"title, made of {path}, by movieId"
    assert fields.names == ["title", "made"]
    assert fields.typed(pa.int64()).to_pydict() == {"item_id": [318, 7], "title": ["Heat", "Ran"], "made": ["1995", "1985"]}
    assert fields.typed(pa.string())["item_id"].to_pylist() == ["0318", "7.0", "7", "x", "99999999999999999999"]
    assert fields.longest == len("Other") + len("1995") + len("title") + len("made") + 2 * 16


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    columns = {
        "item_id": [1, 2],
        "genres": [["a"], []],
        "title": pa.array(["Heat", None]).dictionary_encode(),
        "year": [1995, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "items.parquet")
    table = read_item_fields(str(tmp_path / "items.parquet"), ["title", "genres", "year"]).typed(pa.int64())
    assert table.to_pylist()[1] == {"item_id": 2, "title": None, "genres": [], "year": None}
    assert table.schema.field("year").type == pa.int64()
    assert table.schema.field("title").type == pa.string()


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("asin,parent_asin,name,track_name\nB1,P1,Heat,x\n")
    for columns, key, message in (
        (["title"], None, "asin, parent_asin could each be the column of ids; .*: say which by mongo.item_key=COLUMN"),
        (["title"], "sku", "no column 'sku', which mongo.item_key=COLUMN names"),
        (["title"], "asin", r"name, track_name could each be the column of titles; .*mongo.item_columns=\[title=COLUMN\]"),
        (["year"], "asin", "no column 'year', which mongo.item_columns names; it has asin, parent_asin, name, track_name"),
    ):
        with pytest.raises(UserError, match=message):
            read_item_fields(str(path), columns, key=key)
    assert read_item_fields(str(path), ["title=name"], key="parent_asin").typed(pa.string()).to_pylist() == [
        {"item_id": "P1", "title": "Heat"}
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"item_columns": ["title"]}, "item_table=FILE and item_columns"),
        ({"item_table": "f.csv"}, "item_table=FILE and item_columns"),
        ({"item_key": "id"}, "item_key is a column of item_table=FILE"),
        ({"item_table": "f.csv", "item_columns": ["score"]}, "'score' can't be a further field"),
        ({"item_table": "f.csv", "item_columns": ["because=x"]}, "'because' can't be a further field"),
        ({"item_table": "f.csv", "item_columns": ["a", "a=b"]}, "'a' can't be a further field"),
        ({"item_table": "f.csv", "item_columns": ["a.b"]}, "'a.b' can't be a further field"),
    ],
)
def test_settings_that_do_not_go_together(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Mongo.model_validate(keys)
