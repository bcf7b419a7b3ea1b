"""Ids from a list, a text file, a CSV file and a table."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import DataType, LongType, StringType

from seqrec.errors import UserError
from seqrec.tables.id_lists import read_id_pairs, read_ids


def ids(spark: SparkSession, given: list[str] | str, kind: DataType) -> list[int | str]:
    found = read_ids(spark, given, column="user_id", kind=kind)
    assert found.dtypes == [("user_id", kind.simpleString())]
    return sorted(row[0] for row in found.collect())


def test_a_list(spark: SparkSession) -> None:
    assert ids(spark, ["3", "1", "3"], LongType()) == [1, 3]
    assert ids(spark, ["$where", "a.b", "😀"], StringType()) == ["$where", "a.b", "😀"]


def test_a_text_file_has_an_id_a_line(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("7\r\n\n 5 \n7\n")
    assert ids(spark, str(tmp_path / "ids.txt"), LongType()) == [5, 7]
    assert ids(spark, str(tmp_path / "ids.txt"), StringType()) == ["5", "7"]


def test_a_csv_has_a_header(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text('name,user_id\nx,4\ny,"2"\nz,\n')
    assert ids(spark, str(tmp_path / "ids.csv"), LongType()) == [2, 4]


def test_a_table_and_a_parquet_file(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame([(4, "x"), (2, "y")], "user_id int, name string").coalesce(1).write.parquet(str(tmp_path / "table"))
    (part,) = (tmp_path / "table").glob("*.parquet")
    assert ids(spark, str(tmp_path / "table"), LongType()) == [2, 4]
    assert ids(spark, str(part), StringType()) == ["2", "4"]


def test_what_is_no_subset_says_why(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text("name,id\nx,4\n")
    (tmp_path / "empty.txt").write_text("\n\n")
    spark.createDataFrame([(4.5,)], "user_id double").write.parquet(str(tmp_path / "doubles"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "part.parquet").touch()
    cases = {
        str(tmp_path / "nothing.txt"): "no such file",
        str(tmp_path / "ids.csv"): "has no column user_id; it has name, id",
        str(tmp_path / "empty.txt"): "there is none",
        str(tmp_path / "doubles"): "column user_id is double",
        str(tmp_path / "broken"): "broken can't be read as Parquet: ",
    }
    for given, said in cases.items():
        with pytest.raises(UserError, match=said):
            read_ids(spark, given, column="user_id", kind=LongType())
    with pytest.raises(UserError, match=r"\['x'\] are not of type bigint"):
        read_ids(spark, ["1", "x"], column="user_id", kind=LongType())


def test_pairs_without_an_id_are_left_out_and_none_at_all_is_a_warning(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "pairs.csv"
    kinds: dict[str, DataType] = {"user_id": LongType(), "item_id": StringType()}
    path.write_text("user_id,item_id\n1,a\n,b\n2,\n1,a\n")
    assert read_id_pairs(spark, str(path), kinds).collect() == [(1, "a")]
    assert f"{path}: 2 rows without user_id or item_id are left out" in caplog.text
    path.write_text("user_id,item_id\n")
    assert read_id_pairs(spark, str(path), kinds).collect() == []
    assert f"{path}: there is no row" in caplog.text
