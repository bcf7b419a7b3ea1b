"""Every input format into the same interactions, and what each refuses."""

import gzip
import json
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset import json_keys
from seqrec.dataset.read import read_interactions
from seqrec.dataset.read_file import first_line, read_file
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, RatingColumns


def read(spark: SparkSession, path: Path, columns: dict[str, Any] | None = None, **options: Any) -> DataFrame:
    table = InputTable(key="input", path=str(path), **options)
    return read_interactions(spark, table, replace(RatingColumns(), **(columns or {})))


def rows(table: DataFrame) -> list[tuple[Any, ...]]:
    names = [name for name in table.columns if name != "bad_line"]
    return sorted((tuple(row[name] for name in names) for row in table.collect()), key=repr)


def test_csv_with_a_delimiter_of_two_characters_and_no_header(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.dat").write_text("1::10::5::978300760\n2::11::3.5::978302109\n")
    assert rows(read(spark, tmp_path / "r.dat", delimiter="::", header=False)) == [
        ("1", "10", "5", "978300760", None),
        ("2", "11", "3.5", "978302109", None),
    ]


@pytest.mark.parametrize("name", ["[12].csv", "*.csv", "a%20b #?.csv", "a {b}.csv", "ü\\d.csv"])
def test_a_file_that_is_there_is_read_by_its_name_and_not_as_a_pattern(spark: SparkSession, tmp_path: Path, name: str) -> None:
    for other in ("1.csv", "2.csv", "a b.csv"):
        (tmp_path / other).write_text("user_id,item_id,rating\n7,7,7\n")
    (tmp_path / name).write_text("user_id,item_id,rating\n1,10,5\n2,11,3\n")
    found = rows(read(spark, tmp_path / name, {"timestamp": None}))
    assert found == [("1", "10", "5", 0, None), ("2", "11", "3", 1, None)]
    assert first_line(spark, InputTable(key="input", path=str(tmp_path / name))) == "user_id,item_id,rating"


def test_what_is_not_there_is_a_pattern(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("1.csv", "2.csv", "3.csv"):
        (tmp_path / name).write_text(f"user_id,item_id,rating,timestamp\n{name[0]},10,5,1\n")
    assert [row[0] for row in rows(read(spark, tmp_path / "[12].csv"))] == ["1", "2"]


def test_csv_with_names_quotes_and_another_encoding(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes('1;"Amélie ""x""; 2001";7\n'.encode("latin-1"))
    mapping = {"user_id": "who", "item_id": "what", "rating": None, "timestamp": "when"}
    found = read(
        spark, tmp_path / "r.csv", mapping, delimiter=";", header=False, names=["who", "what", "when"], encoding="ISO-8859-1"
    )
    assert rows(found) == [("1", 'Amélie "x"; 2001', None, "7", None)]


def test_json_lines_keep_all_digits(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        {"user_id": 12345678901234567890, "item_id": "007", "rating": 4.5, "timestamp": "2020-01-01"},
        {"user_id": 2, "extra": 1},
    ]
    (tmp_path / "r.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
    found = sorted(
        (row["user_id"], row["item_id"], row["rating"]) for row in read(spark, tmp_path / "r.json", format="json").collect()
    )
    assert found == [("12345678901234567890", "007", "4.5"), ("2", None, None)]


def event(place: int, **more: Any) -> str:
    """A line of JSON."""
    return json.dumps({"user_id": place % 9, "item_id": place % 7, "timestamp": 1_500_000_000 + place, **more}) + "\n"


@pytest.mark.parametrize("form", ["a later line", "a later file", "a later file of gzip", "a later array"])
def test_json_has_the_keys_that_only_later_lines_or_files_have(spark: SparkSession, tmp_path: Path, form: str) -> None:
    early, late = [event(place) for place in range(1500)], [event(place, stars=place % 5, tags=["a"]) for place in range(1500)]
    (tmp_path / "1.json").write_text("".join(early))
    if form == "a later line":
        (tmp_path / "1.json").write_text("".join(early + late))
    elif form == "a later array":
        for name, lines in (("1", early), ("2", late)):
            (tmp_path / f"{name}.json").write_text(f"[{','.join(lines)}]")
    elif form == "a later file":
        (tmp_path / "2.json").write_text("".join(late))
    else:
        (tmp_path / "2.json.gz").write_bytes(gzip.compress("".join(late).encode()))
    table = InputTable(key="input", path=str(tmp_path), format="json", multiline=form == "a later array")
    found = read_file(spark, table)
    assert found.dtypes[3:5] == [("stars", "string"), ("tags", "array<string>")]
    assert found.where("stars is not null").count() == 1500


def test_keys_of_json_are_looked_for_in_pieces_and_named_ones_in_all_lines(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 50,000 lines one has the key: the one at the end is in a piece, the one before it isn't."""
    monkeypatch.setattr(json_keys, "PIECE", 2**10)
    lines = [event(place) for place in range(50_000)]
    lines[-100], lines[-2] = event(0, stars=5), event(0, mark=3)
    (tmp_path / "r.json").write_text("".join(lines))
    assert read_file(spark, InputTable(key="input", path=str(tmp_path / "r.json"), format="json")).columns[3:-1] == ["mark"]
    found = read(spark, tmp_path / "r.json", {"rating": "stars"}, format="json")
    assert [row["rating"] for row in found.where("rating is not null").collect()] == ["5"]
    with pytest.raises(
        UserError, match=r"no column 'star'; it has user_id, item_id, timestamp, mark: set input\.columns\.rating"
    ):
        read(spark, tmp_path / "r.json", {"rating": "star"}, format="json")


def test_parquet_keeps_integers_and_takes_back_what_pandas_made_of_them(spark: SparkSession, tmp_path: Path) -> None:
    table = {"user_id": pa.array([1, 2], pa.int32()), "item_id": [10.0, 2.5], "rating": [4.0, None], "timestamp": [5, 6]}
    pq.write_table(pa.table(table), tmp_path / "r.parquet")
    found = read(spark, tmp_path / "r.parquet", format="parquet")
    assert [kind for _, kind in found.dtypes][:2] == ["bigint", "string"]
    assert rows(found) == [(1, "10", 4.0, 5, None), (2, "2.5", None, 6, None)]


@pytest.mark.parametrize("form", ["csv", "integers", "decimals"])
def test_null_values_are_those_of_numbers_too(spark: SparkSession, tmp_path: Path, form: str) -> None:
    columns = {"user_id": [1, -1, 3, 4], "item_id": [7, 8, -1, 9], "rating": [5, 4, 3, -1], "timestamp": [10, 11, 12, 0]}
    if form == "csv":
        cells = zip(*columns.values(), strict=True)
        (tmp_path / "r").write_text(",".join(columns) + "\n" + "".join(f"{','.join(map(str, row))}\n" for row in cells))
    else:
        kind = pa.int32() if form == "integers" else pa.float64()
        table = {name: pa.array(values, kind) for name, values in columns.items()}
        pq.write_table(pa.table(table | {"timestamp": columns["timestamp"]}), tmp_path / "r")
    found = read(
        spark, tmp_path / "r", format="csv" if form == "csv" else "parquet", null_values=["-1", "0", "x", "0.5", "9" * 30]
    )
    texts = [tuple(value and str(value).removesuffix(".0") for value in row) for row in rows(found.select(*columns))]
    assert sorted(texts, key=repr) == [
        ("1", "7", "5", "10"),
        ("3", None, "3", "12"),
        ("4", "9", None, None),
        (None, "8", "4", "11"),
    ]


LISTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "json": ("r.json", '{"user_id": 1, "items": [7, "a", 7]}\n{"user_id": 2, "items": []}\n', {"format": "json"}),
    "csv of JSON": ("r.csv", 'user_id;items\n1;"[7, ""a"", 7]"\n2;\n', {"delimiter": ";"}),
    "csv of words": ("r.csv", "user_id;items\n1;7 a 7\n2;\n", {"delimiter": ";"}),
}


@pytest.mark.parametrize("form", LISTS)
def test_one_row_a_user_becomes_one_an_item_with_its_place(spark: SparkSession, tmp_path: Path, form: str) -> None:
    name, content, given = LISTS[form]
    (tmp_path / name).write_text(content)
    assert rows(read(spark, tmp_path / name, {"items": "items", "rating": None, "timestamp": None}, **given)) == [
        ("1", "7", None, 0, None),
        ("1", "7", None, 2, None),
        ("1", "a", None, 1, None),
    ]


@pytest.mark.parametrize("form", ["csv", "gz", "parquet"])
def test_without_a_timestamp_the_line_counts_however_the_file_is_split(spark: SparkSession, tmp_path: Path, form: str) -> None:
    items = [(place * 7919) % 5000 for place in range(5000)]
    text = "user_id,item_id\n" + "".join(f"1,{item}\n" for item in items)
    path = tmp_path / f"r.{form}"
    if form == "parquet":
        pq.write_table(pa.table({"user_id": [1] * len(items), "item_id": items}), path, row_group_size=500, compression="none")
    else:
        path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    spark.conf.set("spark.sql.files.maxPartitionBytes", "4096")
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    try:
        found = read(spark, path, {"rating": None, "timestamp": None}, format="parquet" if form == "parquet" else "csv")
        assert (found.rdd.getNumPartitions() > 2) == (form != "gz")
        lines = {row["timestamp"]: int(row["item_id"]) for row in found.collect()}
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.unset("spark.sql.files.openCostInBytes")
    assert [lines[place] for place in range(len(items))] == items


def test_lines_of_several_files_have_no_order(spark: SparkSession, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("user_id,item_id\n1,2\n")
    with pytest.raises(UserError, match=r"input\.columns\.timestamp=null takes the order of lines, but the input has 2 files"):
        read(spark, tmp_path, {"rating": None, "timestamp": None})


def test_what_cannot_be_read_is_named(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"input\.path=.*none\.csv: no such file or folder"):
        read(spark, tmp_path / "none.csv")
    with pytest.raises(UserError, match="can't be read as csv"):
        read(spark, tmp_path / "none*.csv")
    (tmp_path / "r.csv").write_text("userId,movieId\n1,2\n")
    with pytest.raises(UserError, match=r"no column 'user_id'; it has userId, movieId: set input\.columns\.user_id=COLUMN"):
        read(spark, tmp_path / "r.csv")
    with pytest.raises(UserError, match=r"it has userId,movieId: .*is input\.delimiter=';' right\?"):
        read(spark, tmp_path / "r.csv", delimiter=";")
    with pytest.raises(UserError, match=r"no column 'rating'.*COLUMN or null"):
        read(spark, tmp_path / "r.csv", {"user_id": "userId", "item_id": "movieId"})
    with pytest.raises(UserError, match="can't be read as parquet"):
        read(spark, tmp_path / "r.csv", format="parquet")
    pq.write_table(pa.table({"user_id": [[1]], "items": [3]}), tmp_path / "r.parquet")
    with pytest.raises(UserError, match=r"column 'items' is bigint, expected a list for input\.columns\.items"):
        read(spark, tmp_path / "r.parquet", {"items": "items", "user_id": "items"}, format="parquet")
    with pytest.raises(UserError, match=r"column 'user_id' is array<bigint>, expected a plain value"):
        read(spark, tmp_path / "r.parquet", {"item_id": "items"}, format="parquet")


PLAIN = {"user_id": [1], "item_id": [2], "rating": [3.0], "timestamp": [978300760]}


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (
            "timestamp",
            [True],
            r"column 'timestamp' is boolean, expected a plain value: numbers, text or times for input\.columns",
        ),
        ("user_id", [True], "column 'user_id' is boolean, expected a plain value"),
        ("item_id", [b"x"], "column 'item_id' is binary, expected a plain value"),
        ("rating", [True], "column 'rating' is boolean, expected numbers"),
        ("rating", [datetime(2015, 1, 1)], "column 'rating' is timestamp_ntz, expected numbers"),
        ("rating", [date(2015, 1, 1)], "column 'rating' is date, expected numbers"),
    ],
)
def test_a_column_has_a_type_that_it_can_have(spark: SparkSession, tmp_path: Path, column: str, values: Any, said: str) -> None:
    pq.write_table(pa.table({**PLAIN, column: values}), tmp_path / "r.parquet", version="2.6")
    with pytest.raises(UserError, match=said):
        read(spark, tmp_path / "r.parquet", format="parquet")


def test_the_first_line_is_shown_shortened(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("x" * 500 + "\n")
    assert first_line(spark, InputTable(key="input", path=str(tmp_path / "r.csv"))) == "x" * 120
