"""Inputs that aren't one row a rating: lists, objects in lists, blocks below their item, arrays of JSON, tables by name."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader

from seqrec.dataset.head import read_head, settle_table
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.errors import UserError
from seqrec.storage import paths
from seqrec.tables.input_table import AUTO, RatingColumns, WantedTable

NO_TIME = RatingColumns(user_id="user_id", item_id="item_id", rating=None, timestamp=None, items="items")
OTTO = RatingColumns(user_id="session", item_id="aid", rating=None, timestamp="ts", items="events")


def rows(spark: SparkSession, path: Path | str, columns: RatingColumns, **said: Any) -> list[tuple[Any, ...]]:
    """user, item, rating, time and order of each row, in the order of user, time and order."""
    table = settle_table(WantedTable(key="input", path=str(path), **said))
    names = ("user_id", "item_id", "rating", "timestamp", "order")
    found = read_interactions(spark, table, columns).select(*names).collect()
    return sorted((tuple(row) for row in found), key=lambda row: (str(row[0]), row[3] or 0, row[4] or 0))


@pytest.mark.parametrize("delimiter", [" ", "\t", ","])
def test_a_line_a_user_with_one_delimiter(spark: SparkSession, tmp_path: Path, delimiter: str) -> None:
    content = "u1 5 7 5\nu2 7\nu3 8 9 \n".replace(" ", delimiter if delimiter == "\t" else " ")
    content = content if delimiter != "," else "u1,5,7,5\nu2,7\nu3,8,9\n"
    (tmp_path / "r.txt").write_text(content)
    head = read_head(WantedTable(key="input", path=str(tmp_path / "r.txt")))
    assert (head.table.format, head.table.delimiter, head.names, head.lists) == (
        "lists",
        delimiter,
        ["user_id", "items"],
        ["items"],
    )
    assert [row[:2] + row[3:4] for row in rows(spark, tmp_path / "r.txt", NO_TIME)] == [
        ("u1", "5", 0),
        ("u1", "7", 1),
        ("u1", "5", 2),
        ("u2", "7", 0),
        ("u3", "8", 0),
        ("u3", "9", 1),
    ]


@pytest.mark.parametrize(
    ("content", "said"), [("user_id;items\n1;7 8\n2;9\n1;3 4\n", {}), ("1 7 8\n2 9\n1 3 4\n", {"format": "lists"})]
)
def test_several_rows_a_user_are_joined_in_the_order_of_lines(
    spark: SparkSession, tmp_path: Path, content: str, said: dict[str, str]
) -> None:
    (tmp_path / "r.csv").write_text(content)
    assert rows(spark, tmp_path / "r.csv", NO_TIME, **said) == [
        ("1", "7", None, 0, 0),
        ("1", "8", None, 0, 1),
        ("1", "3", None, 2, 0),
        ("1", "4", None, 2, 1),
        ("2", "9", None, 1, 0),
    ]


def test_several_rows_a_user_are_joined_in_the_order_of_their_time(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id;items;time\n1;7 8;200\n2;9;100\n1;3 4;100\n")
    columns = RatingColumns(rating=None, timestamp="time", items="items")
    assert [row[1] for row in rows(spark, tmp_path / "r.csv", columns) if row[0] == "1"] == ["3", "4", "7", "8"]


def test_lists_that_repeat_beside_each_event_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id;items\n1;7 8\n1;7 8\n2;9\n")
    with pytest.raises(UserError, match=r"1 of 1 users with several rows have the same list in each, such as '1' in 2 rows"):
        rows(spark, tmp_path / "r.csv", NO_TIME)


OBJECTS = [
    {"session": 12, "events": [{"aid": 5, "ts": 1661119200000, "type": "clicks"}, {"aid": 7, "ts": 1661119100000}]},
    {"session": 13, "events": []},
]


@pytest.mark.parametrize("form", ["lines", "array", "parquet"])
def test_objects_in_a_list_have_their_fields(spark: SparkSession, tmp_path: Path, form: str) -> None:
    path = tmp_path / ("r.parquet" if form == "parquet" else "r.json")
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(OBJECTS), path)
    else:
        path.write_text("\n".join(map(json.dumps, OBJECTS)) if form == "lines" else json.dumps(OBJECTS, indent=1))
    head = read_head(WantedTable(key="input", path=str(path)))
    assert (head.lists, head.fields) == (["events"], {"events": ["aid", "ts", "type"]})
    found = [tuple(map(str, row)) for row in rows(spark, path, OTTO)]
    assert found == [("12", "7", "None", "1661119100000", "1"), ("12", "5", "None", "1661119200000", "0")]
    with pytest.raises(UserError, match=r"no column or field 'item' for item_id; the objects in events have aid, ts, type: set"):
        rows(spark, path, RatingColumns(user_id="session", item_id="item", rating=None, timestamp="ts", items="events"))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_times_and_ratings_in_lists_beside_the_items(spark: SparkSession, tmp_path: Path, form: str) -> None:
    if form == "json":
        (tmp_path / "r").write_text('{"user_id": 1, "items": [7, 8], "stars": [5, 4], "times": [200, 100]}\n')
    else:
        (tmp_path / "r").write_text('user_id;items;stars;times\n1;"[7, 8]";"[5, 4]";"[200, 100]"\n')
    columns = RatingColumns(rating="stars", timestamp="times", items="items")
    found = rows(spark, tmp_path / "r", columns)
    assert sorted(found) == [("1", "7", "5", "200", 0), ("1", "8", "4", "100", 1)]


TEXTS: dict[str, list[str | None] | None] = {  # cells, and the items in them; None of what is no list
    "[1 2\n 3]": ["1", "2", "3"],
    "['a' 'b c']": ["a", "b c"],
    "[ 1.  2. nan]": ["1", "2", None],
    "[4, None]": ["4", None],
    "[1, 2, NaN, null, 12345678.0]": ["1", "2", None, None, "12345678.0"],
    "['a', \"b's\"]": ["a", "b's"],
    "(1, 2)": ["1", "2"],
    "(1,)": ["1"],
    '{1,NULL,"a b"}': ["1", None, "a b"],
    "{4;5}": ["4", "5"],
    '["[REC]", "a, b"]': ["[REC]", "a, b"],
    "7,8 9": ["7", "8", "9"],
    "[1 2 ... 8 9]": None,
    "[1.e+00 5.e+03]": None,
    "[1, 2": None,
    "[1, 2] 3": None,
    "[a b, c]": None,
    "[[1, 2], [3]]": None,
    '[{"a": 1}]': None,
    "{a:1,b:2}": None,
    "(500) Days": None,
}


def test_a_text_is_read_as_a_list_or_counted(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": list(range(len(TEXTS))), "items": list(TEXTS)}), tmp_path / "r.parquet")
    table = settle_table(WantedTable(key="input", path=str(tmp_path / "r.parquet"), format="parquet"))
    found = read_interactions(spark, table, NO_TIME)
    facts = profile(found, WantedTypes(time="order"))
    by_place = sorted(found.where("bad_line is null").select("user_id", "timestamp", "item_id").collect())
    items = {user: [row[2] for row in by_place if row[0] == user] for user in range(len(TEXTS))}
    assert dict(zip(TEXTS, items.values(), strict=True)) == {cell: items or [] for cell, items in TEXTS.items()}
    assert facts.dropped["bad_line"] == sum(items is None for items in TEXTS.values())
    assert facts.dropped["null_item"] == sum(items.count(None) for items in TEXTS.values() if items)
    assert facts.examples["bad_line"] == min(cell for cell, items in TEXTS.items() if items is None)


def test_a_long_list_of_numpy_overflows_nothing(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [1], "items": [f"[{' '.join(map(str, range(50_000)))}]"]}), tmp_path / "r.parquet")
    assert len(rows(spark, tmp_path / "r.parquet", NO_TIME)) == 50_000


def test_lists_beside_the_items_that_cannot_be_read_are_counted(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id;items;stars\n1;[7 8];[5. 4.]\n2;[7 8];[5. ... 4.]\n")
    table = settle_table(WantedTable(key="input", path=str(tmp_path / "r.csv")))
    columns = RatingColumns(rating="stars", timestamp=None, items="items")
    found = read_interactions(spark, table, columns).select("user_id", "item_id", "rating", "bad_line").collect()
    assert sorted(map(tuple, found), key=str) == [
        ("1", "7", "5", None),
        ("1", "8", "4", None),
        ("2", "7", None, "[5. ... 4.]"),
        ("2", "8", None, "[5. ... 4.]"),
    ]


def test_ratings_below_the_line_of_their_item(spark: SparkSession, tmp_path: Path) -> None:
    """However the files are split, the item goes on into the next block; each file begins anew."""
    for number in (1, 2):
        blocks = (f"{number}{item}:\n" + "".join(f"{user},4,2005-09-0{item}\n" for user in range(50)) for item in (1, 2))
        (tmp_path / f"{number}.txt").write_text("".join(blocks))
    columns = RatingColumns()
    spark.conf.set("spark.sql.files.maxPartitionBytes", "300")
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    try:
        found = rows(spark, tmp_path, columns)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.unset("spark.sql.files.openCostInBytes")
    expected = {
        (str(user), f"{file}{item}", "4", f"2005-09-0{item}", None) for file in "12" for item in "12" for user in range(50)
    }
    assert (set(found), len(found)) == (expected, 200)


def test_a_table_by_its_name(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame(
        [(1, 10, 4.0, 5), (2, 11, None, 6)], "user_id int, item_id int, rating float, timestamp int"
    ).write.mode("overwrite").parquet(str(tmp_path / "t"))
    spark.read.parquet(str(tmp_path / "t")).createOrReplaceTempView("some_ratings")
    head = read_head(WantedTable(key="input", path="some_ratings", format="table"))
    assert (head.names, sorted(head.rows)) == (
        ["user_id", "item_id", "rating", "timestamp"],
        [["1", "10", "4.0", "5"], ["2", "11", "", "6"]],
    )
    found = rows(spark, "some_ratings", RatingColumns(), format="table")
    assert found == [(1, 10, 4.0, 5, None), (2, 11, None, 6, None)]
    with pytest.raises(UserError, match=r"input\.table=no_ratings: Spark knows no such table .*some_ratings"):
        rows(spark, "no_ratings", RatingColumns(), format="table")


def test_delta_without_its_package_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    pq.write_table(pa.table({"user_id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"is a table of Delta, which this Spark lacks: add the package io\.delta:delta-spark"):
        rows(spark, tmp_path, RatingColumns())
    with pytest.raises(UserError, match=r"is a table of Delta; as input\.format=parquet, files of older versions are read too"):
        rows(spark, tmp_path, RatingColumns(), format="parquet")


def test_iceberg_is_read_where_the_session_has_it(spark: SparkSession, tmp_path: Path) -> None:
    """A source of that name stands for the package."""

    class Reader(DataSourceReader):
        def read(self, partition: Any) -> Iterator[tuple[Any, ...]]:
            yield (1, 10, 4.0, 5)

    class Iceberg(DataSource):
        @classmethod
        def name(cls) -> str:
            return "iceberg"

        def schema(self) -> str:
            return "user_id int, item_id int, rating float, timestamp int"

        def reader(self, schema: Any) -> DataSourceReader:
            return Reader()

    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "v1.metadata.json").write_text("{}")
    spark.dataSource.register(Iceberg)
    head = read_head(WantedTable(key="input", path=str(tmp_path)))
    assert (head.table.format, head.rows) == ("iceberg", [["1", "10", "4.0", "5"]])
    assert rows(spark, tmp_path, RatingColumns()) == [(1, 10, 4.0, 5, None)]


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz", "r.zip", "r.parquet", "*.csv"])
def test_a_remote_file_is_looked_at_as_a_local_one(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Hadoop's local file system under a remote scheme's name: the way that hdfs:// goes while Spark runs."""
    text = b"user,item\n1,2\n"
    if name == "r.parquet":
        pq.write_table(pa.table({"user": [1], "item": [2]}), tmp_path / name)
    elif name == "r.zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("r.csv", text)
    else:
        (tmp_path / name.replace("*", "r")).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    monkeypatch.setattr(paths, "REMOTE_SCHEMES", ("file",))
    head = read_head(WantedTable(key="input", path=f"file://{tmp_path}/{name}"))
    assert (head.names, head.rows) == (["user", "item"], [["1", "2"]])
    assert spark is not None


def test_auto_is_found_by_the_first_rows() -> None:
    assert not WantedTable(key="input", path="x", format="csv").is_settled
    assert WantedTable(key="input", path="x", format="parquet", delimiter=AUTO).is_settled
