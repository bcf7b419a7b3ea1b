"""The items that are looked up: whatever the file, each once, with ids that lose nothing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqrec.enrichment.catalogue_items import CatalogueItems, Item, read_catalogue_items
from seqrec.errors import UserError


def read(path: Path, *, id_type: str = "auto") -> CatalogueItems:
    return read_catalogue_items(str(path), id_column=None, title_column=None, id_type=id_type)


def test_rows_without_an_id_and_repeated_ones_are_counted(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("movieId,title\n7, Red  car \n08,Blue car\n7,Other\n,Lost\n9,\n")
    found = read(tmp_path / "items.csv")
    assert found.items == [Item("7", "Red car"), Item("08", "Blue car"), Item("9", None)]  # 08 isn't the number 8
    assert (found.id_type, found.counts) == ("string", {"items": 3, "untitled": 1, "without_id": 1, "repeated": 1})
    with pytest.raises(UserError, match="column movieId has '08', which is no bigint"):
        read(tmp_path / "items.csv", id_type="bigint")


def test_numbers_that_pandas_made_floats_are_whole_again(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"item_id": [318.0, None, float("nan")], "title": ["Red car", "Lost", "Lost"]}), tmp_path / "items.parquet"
    )
    found = read(tmp_path / "items.parquet")
    assert (found.items, found.id_type, found.counts["without_id"]) == ([Item(318, "Red car")], "bigint", 2)


def test_ratings_are_no_items(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("movieId,title\n" + "7,Red car\n" * 5)
    with pytest.raises(UserError, match="4 of 5 rows repeat an id of the column movieId"):
        read(tmp_path / "ratings.csv")
    (tmp_path / "ratings.csv").write_text("movieId,title\n,Red car\n")
    with pytest.raises(UserError, match="column movieId has no id in any row"):
        read(tmp_path / "ratings.csv")
