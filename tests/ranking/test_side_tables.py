"""Tables of users and items: what their columns may hold."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset.head import settle_table
from seqrec.errors import UserError
from seqrec.ranking.side_tables import FeatureColumns, IdColumn, SideTable, read_user_table, typed_side_table
from seqrec.tables.input_table import InputTable, WantedTable
from seqrec.tables.schemas import IDS

COLUMNS = FeatureColumns(continuous=("age",))
SIDE = SideTable(table=InputTable(key="users", path="users.csv"), columns=COLUMNS)
VALUES = [1.5, math.inf, -math.inf, 1e39, math.nan, None]


def describe(table: DataFrame, *, max_bad_share: float = 1.0) -> DataFrame:
    return typed_side_table(table, SIDE, IdColumn("user_id", IDS["bigint"]), max_bad_share=max_bad_share)


@pytest.mark.parametrize("kind", ["double", "string"])
def test_what_is_no_finite_float_is_null_and_counted(spark: SparkSession, kind: str) -> None:
    """1e39 is beyond the largest float; NaN is a value that is missing."""
    values = [None if value is None else str(value) for value in VALUES] if kind == "string" else VALUES
    rows = [*enumerate(values), *([(6, "old")] if kind == "string" else [])]
    table = spark.createDataFrame(rows, f"user_id bigint, age {kind}")
    ages = {row["user_id"]: row["age"] for row in describe(table).collect()}
    assert ages == {0: 1.5} | {user: None for user, _ in rows[1:]}
    wrong = len(rows) - 3
    with pytest.raises(
        UserError, match=rf"{wrong} of {len(rows)} values of age are no finite numbers, such as '.+', max_bad_share"
    ):
        describe(table, max_bad_share=0.4)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("true AS user_id, 1 AS age", "column 'user_id' is boolean, expected a plain value: numbers, text or times for users.id"),
        ("array(1) AS user_id, 1 AS age", "column 'user_id' is array<int>, expected a plain value"),
        ("1 AS user_id, array(1) AS age", "column 'age' is array<int>, expected numbers for users.continuous"),
        ("1 AS user_id, current_date() AS age", "column 'age' is date, expected numbers for users.continuous"),
    ],
)
def test_columns_of_other_types_are_named(spark: SparkSession, columns: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        describe(spark.sql(f"SELECT {columns}"))


def test_a_table_needs_no_mark_of_success_and_a_broken_part_is_named(spark: SparkSession, tmp_path: Path) -> None:
    for number in (1, 2):
        pq.write_table(pa.table({"user_id": [number], "age": [20.0]}), tmp_path / f"{number}.parquet")
    side = SideTable(table=InputTable(key="users", path=str(tmp_path), format="parquet"), columns=COLUMNS)
    users = read_user_table(spark, side, kind=IDS["bigint"], max_bad_share=0.0)
    assert sorted(map(tuple, users.collect())) == [(1, 20.0), (2, 20.0)]
    (tmp_path / "3.parquet").write_bytes((tmp_path / "2.parquet").read_bytes()[:-20])
    with pytest.raises(UserError, match=r"users\.path=.* can't be read as parquet \(.*3\.parquet"):
        read_user_table(spark, side, kind=IDS["bigint"], max_bad_share=0.0)


def read_text(spark: SparkSession, path: Path, content: str, *, max_bad_share: float = 0.5) -> list[tuple[int, float | None]]:
    path.write_text(content)
    side = SideTable(table=settle_table(WantedTable(key="users", path=str(path))), columns=COLUMNS)
    return sorted(map(tuple, read_user_table(spark, side, kind=IDS["bigint"], max_bad_share=max_bad_share).collect()))


def test_text_is_read_as_that_of_ratings(spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Spaces, whole numbers with a point, decimal commas, cells that hold nothing; lines that can't be cut are left out."""
    plain = "".join(f"{number}.0;20,5\n" for number in range(3, 40))
    content = f"user_id;age\n 1 ;20,5\n2.0;NA\n{plain}50;20,5;x\n"
    found = read_text(spark, tmp_path / "u.csv", content)
    assert found[:3] == [(1, 20.5), (2, None), (3, 20.5)]
    assert len(found) == 39
    assert "1 of 40 rows have another number of columns than the first, such as '50;20,5;x': they are left out" in caplog.text
    with pytest.raises(UserError, match=r"1 of 40 rows have another number .* max_bad_share is 0.01: check users\.quote"):
        read_text(spark, tmp_path / "u.csv", content, max_bad_share=0.01)
    with pytest.raises(UserError, match="1 ids in user_id are null or no bigint"):
        read_text(spark, tmp_path / "u.csv", "user_id;age\nNA;20\n2;3\n")
