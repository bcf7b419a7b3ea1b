"""Parquet files with other columns or types than the first: what is null, what is read in a wider type, and what is refused."""

import logging
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset.detect import detect
from seqrec.dataset.id_tables import read_rows
from seqrec.dataset.read import read_interactions
from seqrec.dataset.read_file import read_file
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.tables.input_table import AUTO, InputTable, RatingColumns, WantedTable

FOUND = RatingColumns(user_id=AUTO, item_id=AUTO, rating=AUTO, timestamp=AUTO, items=AUTO)
NOON = datetime(2020, 1, 1, 12)
OBJECT, SMALL_OBJECT = pa.list_(pa.struct({"aid": pa.int64(), "ts": pa.int64()})), pa.list_(pa.struct({"aid": pa.int32()}))


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def read(spark: SparkSession, path: Path | str, used: tuple[str, ...] | None = None) -> DataFrame:
    return read_file(spark, InputTable(key="input", path=str(path), format="parquet"), used=used)


def rows(table: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, table.collect()), key=repr)


@pytest.mark.parametrize("lacking", [1, 2])
def test_a_column_that_a_file_lacks_is_null_there(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture, lacking: int
) -> None:
    """Spark takes the columns of one file: with the first lacking the rating, no row had one."""
    for number in (1, 2):
        rating = {} if number == lacking else {"rating": [4.0]}
        write(tmp_path / f"day={number}" / "a b.parquet", user_id=[number], **rating)
    write(tmp_path / "day=2" / "_metadata", user_id=["no data"])
    expected = [(number, None if number == lacking else 4.0, str(number)) for number in (1, 2)]
    with caplog.at_level(logging.INFO, logger="seqrec"):
        found = read(spark, tmp_path)
        assert (
            rows(read(spark, tmp_path).select("user_id", "rating", "day"))
            == rows(found.select("user_id", "rating", "day"))
            == expected
        )
    assert found.columns == ["user_id", "rating", "day"]
    [message] = caplog.messages
    assert (
        f"columns are null where a file lacks them: rating (1 of 2 files lack it, such as file://{tmp_path}/day={lacking}"
        in message
    )


def test_equal_files_are_read_as_they_are(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(40):
        write(tmp_path / f"{number}.parquet", user_id=[number], day=["x"])
    with caplog.at_level(logging.INFO, logger="seqrec"):
        assert rows(read(spark, tmp_path)) == sorted(((number, "x") for number in range(40)), key=repr)
        assert rows(read(spark, f"{tmp_path}/1?.parquet")) == [(number, "x") for number in range(10, 20)]
    assert not caplog.messages


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((pa.array([3], pa.int32()), pa.array([2**40])), "bigint"),
        ((pa.array([3], pa.int8()), pa.array([4], pa.uint32())), "bigint"),
        ((pa.array([3], pa.int32()), pa.array([4.5])), "double"),
        ((pa.array([0.5], pa.float32()), pa.array([4.1])), "double"),
        ((pa.array([Decimal("3.5")]), pa.array([Decimal("12345678901.5")])), "decimal(12,1)"),
        ((pa.array(["a"]), pa.array(["b"]).dictionary_encode()), "string"),
        ((pa.array([NOON], pa.timestamp("ms")), pa.array([NOON], pa.timestamp("us"))), "timestamp_ntz"),
        ((pa.array([NOON], pa.timestamp("us", "UTC")), pa.array([NOON], pa.timestamp("us"))), "timestamp_ntz"),
        ((pa.array([date(2020, 1, 1)]), pa.array([NOON], pa.timestamp("us"))), "timestamp_ntz"),
        (
            (pa.array([[{"aid": 2**40, "ts": 5}]], OBJECT), pa.array([[{"aid": 1}]], SMALL_OBJECT)),
            "array<struct<aid:bigint,ts:bigint>>",
        ),
    ],
)
def test_types_are_read_in_the_wider_one(
    spark: SparkSession, tmp_path: Path, values: tuple[pa.Array, pa.Array], kind: str, reverse: bool
) -> None:
    """The values are those of each file read alone."""
    for name, cells in zip("ba" if reverse else "ab", values, strict=True):
        write(tmp_path / f"{name}.parquet", x=cells)
    found = read(spark, tmp_path)
    assert found.dtypes == [("x", kind)]
    if kind.startswith("array"):
        assert rows(found.selectExpr("x[0].aid", "x[0].ts")) == [(1, None), (2**40, 5)]
        return
    alone = [row for name in "ab" for row in rows(read(spark, tmp_path / f"{name}.parquet").selectExpr(f"cast(x as {kind})"))]
    assert rows(found) == sorted(alone, key=repr)


CONFLICTS = [
    (pa.array([1]), pa.array([1.0, None]), "int64", "double"),
    (pa.array([1]), pa.array(["1"]), "int64", "string"),
    (pa.array([NOON], pa.timestamp("us")), pa.array([NOON], pa.timestamp("ns")), "timestamp[us]", "timestamp[ns]"),
    (pa.array(["x"]), pa.array([None], pa.null()), "string", "null"),
    (pa.array([["x"]]), pa.array([[1]]), "list<element: string>", "list<element: int64>"),
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("one", "other", "kind", "another"), CONFLICTS)
def test_types_that_do_not_go_together_are_refused_with_both_files(
    spark: SparkSession, tmp_path: Path, one: pa.Array, other: pa.Array, kind: str, another: str, reverse: bool
) -> None:
    """No file is broken. Of microseconds behind nanoseconds Spark made other times, without an error."""
    names = ["b", "a"] if reverse else ["a", "b"]
    for name, cells in zip(names, (one, other), strict=True):
        write(tmp_path / f"{name}.parquet", Item=cells, x=pa.array([1] * len(cells)))
    kinds = (another, kind) if reverse else (kind, another)
    said = f"the column Item is {kinds[0]} in file://{tmp_path}/a.parquet, but {kinds[1]} in file://{tmp_path}/b.parquet, and"
    for used, spare in ((None, True), (("item", "x"), False)):
        with pytest.raises(UserError) as raised:
            read(spark, tmp_path, used)
        assert said in str(raised.value)
        assert str(raised.value).startswith("input.path: ")
        assert "write all parts with one type, by a cast of Item" in str(raised.value)
        assert ("input.format=parquet" in str(raised.value)) == spare
        assert "\n" not in str(raised.value)


def test_columns_that_are_not_used_may_have_other_types(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, text in ((1, pa.array([None], pa.null())), (2, pa.array(["good"]))):
        write(tmp_path / f"{number}.parquet", user_id=[number], item_id=[7], timestamp=[5], text=text)
    table, columns = InputTable(key="input", path=str(tmp_path), format="parquet"), RatingColumns(rating=None)
    assert [row[:4] for row in rows(read_interactions(spark, table, columns))] == [(1, 7, None, 5), (2, 7, None, 5)]
    with caplog.at_level("WARNING", logger="seqrec"):
        found = detect(spark, WantedTable(key="input", path=str(tmp_path)), FOUND)
    assert found.columns == columns
    (message,) = caplog.messages
    assert re.search(r"the column text is null in .*1\.parquet, but string in .*2\.parquet: it isn't looked at", message)


def test_a_column_of_a_known_name_is_not_left_out(spark: SparkSession, tmp_path: Path) -> None:
    for number, rating in ((1, pa.array([3])), (2, pa.array(["good"]))):
        write(tmp_path / f"{number}.parquet", user_id=[number], item_id=[7], timestamp=[5], rating=rating)
    with pytest.raises(
        UserError, match=r"the column rating is int64 in .*1\.parquet, but string in .*2\.parquet, and no type holds"
    ):
        detect(spark, WantedTable(key="input", path=str(tmp_path)), FOUND)


def test_a_table_beside_the_ratings_is_refused_where_a_column_of_two_types_is_read(spark: SparkSession, tmp_path: Path) -> None:
    for number, text in ((1, pa.array([1])), (2, pa.array(["good"]))):
        write(tmp_path / f"{number}.parquet", item_id=[number], text=text)
    table = InputTable(key="items", path=str(tmp_path), format="parquet")
    raw = read_rows(spark, table, max_bad_share=0.0)
    assert rows(raw.select("item_id")) == [(1,), (2,)]
    with (
        pytest.raises(UserError, match="another file has this column in another type: write all of them with one"),
        reading(table),
    ):
        raw.collect()


def test_columns_of_other_files_than_the_first_are_found(spark: SparkSession, tmp_path: Path) -> None:
    """The sample of the first rows has the columns of all files, and so have those that are named as not used."""
    for number in range(2):
        more = {"rating": [1.0, 5.0] * 30, "note": ["x"] * 60} if number else {}
        users, items, times = [user for user in range(30) for _ in "ab"], [7, 8] * 30, list(range(1577836800, 1577836860))
        write(tmp_path / f"{number}.parquet", user_id=users, item_id=items, timestamp=times, **more)
    found = detect(spark, WantedTable(key="input", path=str(tmp_path)), FOUND)
    assert (found.columns.rating, found.unused) == ("rating", ["note"])
