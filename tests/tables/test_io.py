"""Tables are read and written with their schema, or not at all."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType
from pyspark.testing import assertDataFrameEqual

from seqrec.errors import UserError
from seqrec.storage import versions
from seqrec.tables import schemas
from seqrec.tables.io import assert_unique, open_table, read_table, reader, write_table

ITEMS = schemas.items(LongType())


def test_a_table_round_trips_in_the_schema_s_order(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "items")
    table = spark.createDataFrame([(5, 2, 10), (3, 3, 7)], "count long, item_idx int, item_id long")
    write_table(table, path, ITEMS)
    found = read_table(spark, path, ITEMS)
    assert found.columns == ["item_id", "item_idx", "count"]
    assertDataFrameEqual(found, spark.createDataFrame([(10, 2, 5), (7, 3, 3)], "item_id long, item_idx int, count long"))


NAMES = ["a b", "[x]", "{a,b}", "*", "?", "a%20b", "a #b", "a: b", "ü 日本", "a\\b", "k=v", "[a]: b#?%"]


def test_a_folder_may_have_any_name_and_is_no_pattern(spark: SparkSession, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        table = spark.createDataFrame([(number, 2, 3)], "item_id long, item_idx int, count long").coalesce(1)
        write_table(table, str(tmp_path / name / "items"), ITEMS)
    for number, name in enumerate(NAMES):
        for path in (f"{tmp_path}/{name}/items", f"file:{tmp_path}/{name}/items"):
            assert [row["item_id"] for row in read_table(spark, path, ITEMS).collect()] == [number]


def test_only_what_is_not_there_as_it_is_written_is_a_pattern(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("1.txt", "2.txt", "*.txt", "[12].txt"):
        (tmp_path / name).write_text(name)

    def read(path: str) -> list[str]:
        return sorted(row["value"] for row in reader(spark, path).text(path).collect())

    assert read(f"{tmp_path}/*.txt") == ["*.txt"]
    assert read(f"{tmp_path}/[12].txt") == ["[12].txt"]
    assert read(f"{tmp_path}/[123].txt") == ["1.txt", "2.txt"]
    assert read(f"{tmp_path}/{{1,2}}.*") == ["1.txt", "2.txt"]


def test_a_file_that_spark_would_leave_out_is_named(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("_ratings.csv", ".ratings.csv"):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=rf"{name}: Spark doesn't read files whose names begin with"):
            reader(spark, str(tmp_path / name))
    (tmp_path / "10:30.csv").touch()
    with pytest.raises(UserError, match=r"10:30\.csv: Hadoop doesn't read files whose names have a colon"):
        reader(spark, str(tmp_path / "10:30.csv"))


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


def test_fields_of_elements_beyond_the_schema_are_left_out(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "similar_items")
    entry = "struct<score: float, more: array<int>, item_id: long, because: array<struct<item_id: long>>>"
    rows = [(7, [(0.5, [1, 2], 8, [(9,)]), (0.25, [], 9, [])]), (8, [])]
    spark.createDataFrame(rows, f"item_id long, items array<{entry}>").write.parquet(path)
    table = read_table(spark, path, schemas.similar_items(LongType()))
    assert {row["item_id"]: [item.asDict() for item in row["items"]] for row in table.collect()} == {
        7: [{"item_id": 8, "score": 0.5}, {"item_id": 9, "score": 0.25}],
        8: [],
    }


def test_fields_that_elements_lack_are_named(spark: SparkSession, tmp_path: Path) -> None:
    path = str(tmp_path / "similar_items")
    spark.createDataFrame([(7, [(8, 1)])], "item_id long, items array<struct<item_id: long, more: int>>").write.parquet(path)
    with pytest.raises(UserError, match=r"column items is array<struct<item_id:bigint>>, expected"):
        read_table(spark, path, schemas.similar_items(LongType()))


def test_an_absent_and_an_unfinished_table_are_named(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "20260101T000000Z-aaaa" / "items"
    with pytest.raises(UserError, match=r"items doesn't exist: run build_sequences first"):
        open_table(spark, str(path))
    write_table(spark.createDataFrame([(1, 2, 3)], "item_id long, item_idx int, count long"), str(path), ITEMS)
    (path / "_SUCCESS").unlink()
    with pytest.raises(UserError, match=r"items is unfinished \(no _SUCCESS\): run build_sequences again"):
        read_table(spark, str(path), ITEMS)


def test_a_part_that_was_lost_or_cut_is_named(spark: SparkSession, tmp_path: Path) -> None:
    version = tmp_path / "20260101T000000Z-aaaa"
    rows = spark.createDataFrame([(1, 2, 3), (2, 3, 4)], "item_id long, item_idx int, count long").repartition(2, "item_id")
    write_table(rows, f"{version}/items", ITEMS)
    versions.write_meta(str(version), {"run_id": version.name})
    record = versions.read_meta(str(version))["tables"]["items"]
    assert (record["rows"], len(record["files"])) == (2, len(list((version / "items").glob("*.parquet"))))
    assert read_table(spark, f"{version}/items/", ITEMS).count() == 2
    part = version / "items" / next(iter(record["files"]))
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(UserError, match=rf"{part.name} has [\d,]+ bytes, [\d,]+ were written: run build_sequences again"):
        read_table(spark, f"{version}/items", ITEMS)
    part.unlink()
    with pytest.raises(UserError, match=rf"{part.name} is missing, one of the \d files of this table"):
        open_table(spark, f"{version}/items")


def test_a_version_that_is_written_is_not_removed(spark: SparkSession, tmp_path: Path) -> None:
    older, newer = "20260101T000000Z-aaaa", "20260102T000000Z-aaaa"
    rows = spark.createDataFrame([(1, 2, 3)], "item_id long, item_idx int, count long")
    for run_id in (older, newer):
        write_table(rows, f"{tmp_path}/{run_id}/items", ITEMS)
    versions.write_meta(f"{tmp_path}/{newer}", {"run_id": newer})
    versions.commit(str(tmp_path), newer, keep=1)
    versions.write_meta(f"{tmp_path}/{older}", {"run_id": older})
    versions.commit(str(tmp_path), older, keep=1)
    assert read_table(spark, f"{versions.resolve(str(tmp_path))}/items", ITEMS).count() == 1


def test_tables_of_other_programs_are_read(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.mkdir()
    pq.write_table(pa.table({"user_id": [1, 2]}), path / "from-pandas.parquet")
    assert open_table(spark, str(path)).count() == 2
    (path / "_delta_log").mkdir()
    with pytest.raises(UserError, match=r"ids is a Delta table, .* export it as Parquet"):
        open_table(spark, str(path))


def test_repeated_keys_are_counted(spark: SparkSession) -> None:
    table = spark.createDataFrame([("a",), ("b",), ("a",), ("c",), ("c",)], "user_id string")
    assert_unique(table.distinct(), key="user_id", path="t")
    with pytest.raises(UserError, match=r"t: 2 values of user_id repeat, e\.g\. \['[ac]', '[ac]'\]: keep one row a user_id"):
        assert_unique(table, key="user_id", path="t")
