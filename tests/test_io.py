"""Tables are read and written with their schema, or not at all."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StringType
from pyspark.testing import assertDataFrameEqual

from seqrec import schemas
from seqrec.errors import UserError
from seqrec.io import assert_unique, element_type, open_table, read_table, write_table

ITEMS = schemas.items(LongType())


def test_a_table_round_trips_in_the_schema_s_order(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "items")
    table = spark.createDataFrame([(5, 2, 10), (3, 3, 7)], "count long, item_idx int, item_id long")
    write_table(table, path, ITEMS)
    found = read_table(spark, path, ITEMS)
    assert found.columns == ["item_id", "item_idx", "count"]
    assertDataFrameEqual(found, spark.createDataFrame([(10, 2, 5), (7, 3, 3)], "item_id long, item_idx int, count long"))


def test_columns_beyond_the_schema_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "items")
    spark.createDataFrame([(1, 2, 3, 4)], "item_id long, item_idx int, count long, more int").write.parquet(path)
    assert read_table(spark, path, ITEMS).columns == ["item_id", "item_idx", "count"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("item_id long, item_idx int, n long", r"has no column count; it has item_id, item_idx, n"),
        ("item_id long, item_idx long, count long", r"column item_idx is bigint, expected int"),
        ("item_id string, item_idx int, count long", r"column item_id is string, expected bigint"),
    ],
)
def test_another_schema_is_refused_and_nothing_written(spark: SparkSession, tmp_path: Path, columns: str, said: str) -> None:
    path = tmp_path / "items"
    with pytest.raises(UserError, match=said):
        write_table(spark.createDataFrame([], columns), str(path), ITEMS)
    assert not path.exists()
    spark.createDataFrame([], columns).write.parquet(str(path))
    with pytest.raises(UserError, match=said):
        read_table(spark, str(path), ITEMS)


def test_nested_types_are_compared_too(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "windows")
    spark.createDataFrame([([1, 2], 2)], "items array<long>, length int").write.parquet(path)
    with pytest.raises(UserError, match=r"column items is array<bigint>, expected array<int>"):
        read_table(spark, path, schemas.windows())


def test_an_absent_and_an_unfinished_table_are_named(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "items"
    with pytest.raises(UserError, match=r"items doesn't exist: run the job"):
        open_table(spark, str(path))
    write_table(spark.createDataFrame([(1, 2, 3)], "item_id long, item_idx int, count long"), str(path), ITEMS)
    (path / "_SUCCESS").unlink()
    with pytest.raises(UserError, match=r"items is unfinished \(no _SUCCESS\): run the job"):
        read_table(spark, str(path), ITEMS)


def test_repeated_keys_are_counted(spark: SparkSession) -> None:
    table = spark.createDataFrame([("a",), ("b",), ("a",), ("c",), ("c",)], "user_id string")
    assert_unique(table.distinct(), key="user_id", path="t")
    with pytest.raises(UserError, match=r"t: 2 values of user_id repeat, e\.g\. \['[ac]', '[ac]'\]: keep one row a user_id"):
        assert_unique(table, key="user_id", path="t")


def test_element_type_is_of_arrays_only(spark: SparkSession) -> None:
    table = spark.createDataFrame([], "ids array<string>, n int")
    assert element_type(table, "ids") == StringType()
    with pytest.raises(UserError, match="column n is int, expected an array"):
        element_type(table, "n")
