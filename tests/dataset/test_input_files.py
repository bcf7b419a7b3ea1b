"""Files of an input before and while they are read: one header for all, and what is wrong with one, in one line."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset.build_sequences import InputLimits, ingest
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.profile import WantedTypes
from seqrec.dataset.read import read_interactions
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, RatingColumns

BOM = b"\xef\xbb\xbf"
HEADER = "user_id,item_id,rating,timestamp\n"
ROW = "1,2,3,978300760\n"
PLAIN = {"user_id": [1], "item_id": [2], "rating": [3.0], "timestamp": [978300760]}


def read(spark: SparkSession, path: Path, **options: Any) -> DataFrame:
    return read_interactions(spark, InputTable(key="input", path=str(path), **options), RatingColumns())


def rows(table: DataFrame) -> list[tuple[Any, ...]]:
    return sorted(tuple(row)[:5] for row in table.collect())


@pytest.mark.parametrize(
    ("second", "given"),
    [
        ("item_id,user_id,rating,timestamp\n20,10,3,978300760\n", {}),
        ("x,user_id,item_id,rating,timestamp\n9,10,20,3,978300760\n", {}),
        ("user_id,item_id,rating\n10,20,3\n", {}),
        (ROW, {}),
        ("item_id,user_id,rating,timestamp\n20,10,3,978300760\n", {"names": ["user_id", "item_id", "rating", "timestamp"]}),
    ],
)
def test_files_of_a_csv_have_the_same_columns(spark: SparkSession, tmp_path: Path, second: str, given: dict[str, Any]) -> None:
    """Spark takes the names from one file and reads all by place: users and items of the second would be swapped."""
    (tmp_path / "a.csv").write_text(HEADER + ROW)
    (tmp_path / "b it's.csv.gz").write_bytes(gzip.compress(second.encode()))
    with pytest.raises(UserError, match=r"a\.csv has the header 'user_id,item_id,rating,timestamp', .*b it's\.csv\.gz has"):
        read(spark, tmp_path, **given)


def test_headers_may_differ_in_marks_and_quotes(spark: SparkSession, tmp_path: Path) -> None:
    """A byte order mark, quotes, line ends and empty files are no other columns; without a header nothing is compared."""
    header = HEADER.strip()
    (tmp_path / "a.csv").write_text(f"\n{HEADER}{ROW}")
    (tmp_path / "b.csv").write_bytes(BOM + f'"user_id","item_id",rating,"timestamp"\r\n{ROW}'.encode())
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.csv").write_bytes(BOM + f"{header}\n{ROW}".encode())
    assert rows(read(spark, tmp_path)) == [("1", "2", "3", "978300760", None)] * 3
    (tmp_path / "headless").mkdir()
    for number in (1, 2):
        (tmp_path / "headless" / f"{number}.csv").write_bytes(BOM + f"{number},2,3,978300760\n".encode())
    found = rows(read(spark, tmp_path / "headless", header=False))
    assert found == [(str(number), "2", "3", "978300760", None) for number in (1, 2)]


def test_a_folder_of_parquet_needs_no_mark_of_success(spark: SparkSession, tmp_path: Path) -> None:
    """As pandas and others write it, with whatever else they leave there."""
    for number in (1, 2):
        (tmp_path / f"day={number}").mkdir()
        pq.write_table(pa.table({**PLAIN, "user_id": [number]}), tmp_path / f"day={number}" / "part.parquet")
    (tmp_path / "_committed_1").write_text("{}")
    assert [row[0] for row in rows(read(spark, tmp_path, format="parquet"))] == [1, 2]


def write_parts(root: Path, column: str, values: Sequence[str], *, form: str) -> None:
    """A part for each value, in a folder of its name; the parts lack that column."""
    part = pa.table({name: cells for name, cells in PLAIN.items() if name != column})
    parts = pa.concat_tables([part, part])
    for value in values:
        folder = root / f"{column}={value}"
        folder.mkdir(parents=True)
        if form == "parquet":
            pq.write_table(parts, folder / "part.parquet")
        else:
            parts.to_pandas().to_csv(folder / "part.csv", index=False)


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("column", "values", "kind", "expected"),
    [
        ("user_id", ["007", "7", "1e1", "10"], "string", ["007", "10", "1e1", "7"]),
        ("item_id", ["3.0", "2020-01-01", "12d"], "string", ["12d", "2020-01-01", "3.0"]),
        ("item_id", ["12", "3"], "bigint", [3, 12]),
        ("timestamp", ["2020-01-01", "2020-01-02"], "bigint", [1577836800000, 1577923200000]),
        ("timestamp", ["2020-01-01 00%3A00%3A01", "2020-01-01 00%3A00%3A02.5"], "bigint", [1577836801000, 1577836802500]),
        ("timestamp", ["978300760", "978300761"], "bigint", [978300760000, 978300761000]),
    ],
)
def test_values_in_the_names_of_folders_are_those_of_a_cell(
    spark: SparkSession, tmp_path: Path, column: str, values: list[str], kind: str, expected: list[Any], form: str
) -> None:
    """Spark would make numbers and dates of them: of 007 and 7 one user, of 1e1 the user 10.0."""
    write_parts(tmp_path, column, values, form=form)
    table = InputTable(key="input", path=str(tmp_path), format=form)
    limits = InputLimits(bad_share=0.0, user_events=100)
    ratings = ingest(spark, table, RatingColumns(), wanted=WantedTypes(), limits=limits)
    parsed = parse_ratings(ratings.interactions, types=ratings.profile.types)
    assert dict(parsed.dtypes)[column] == kind
    assert sorted({row[column] for row in parsed.collect()}) == expected
    assert ratings.profile.usable == 2 * len(values)


def broken(path: Path, case: str) -> dict[str, Any]:
    """Write an input that can't be read; how to read it."""
    path.mkdir()
    pq.write_table(pa.table({**PLAIN, "user_id": ["x" * 100]}), path / "a.parquet")
    whole = (path / "a.parquet").read_bytes()
    text = {"format": "csv", "header": case.endswith("header")}
    (path / "a.parquet").unlink()
    if case.startswith("Parquet called csv"):
        (path / "r.csv").write_bytes(whole)
    elif case.startswith("fake gzip"):
        (path / "r.csv.gz").write_text(HEADER + ROW)
    elif case.startswith("gzip without"):
        (path / "r.csv").write_bytes(gzip.compress((HEADER + ROW).encode()))
    elif case == "half a gzip":
        (path / "r.csv.gz").write_bytes(gzip.compress((ROW + "".join(f"{n},{n * n}\n" for n in range(9999))).encode())[:9999])
    elif case == "UTF-16":
        (path / "r.csv").write_bytes((HEADER + ROW).encode("utf-16"))
    else:
        text = {"format": "parquet"}
        pq.write_table(pa.table(PLAIN), path / "a.parquet")
        other = {"half a Parquet": whole[: len(whole) // 2], "0 bytes": b"", "a CSV called Parquet": (HEADER + ROW).encode()}
        (path / "b.parquet").write_bytes(other.get(case, whole))
    return text


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("Parquet called csv, with header", r"r\.csv is Parquet: set input\.format=parquet"),
        ("Parquet called csv", "is Parquet: set"),
        ("fake gzip, with header", "can't be read as csv .*not a gzip file"),
        ("fake gzip", "can't be read as csv .*not a gzip file"),
        (
            "gzip without its name",
            "is compressed by gzip, which Spark knows by the name alone, as the first file isn't: let its name end in .gz",
        ),
        ("half a gzip", r"can't be read as csv \(Encountered error while reading file .*r\.csv\.gz.*Unexpected end of"),
        ("UTF-16", "is UTF-16: set input.encoding=UTF-16"),
        ("half a Parquet", r"can't be read as parquet \(.*b\.parquet.*is not a Parquet file"),
        ("0 bytes", r"b\.parquet has 0 bytes, as no whole Parquet file has"),
        ("a CSV called Parquet", r"can't be read as parquet \(.*b\.parquet.*is not a Parquet file"),
        ("other types", r"the column user_id is int64 in .*a\.parquet, but string in .*b\.parquet"),
    ],
)
def test_a_broken_file_is_named_in_one_line(spark: SparkSession, tmp_path: Path, case: str, said: str) -> None:
    table = InputTable(key="input", path=str(tmp_path / "in"), **broken(tmp_path / "in", case))
    limits = InputLimits(bad_share=0.01, user_events=100)
    with pytest.raises(UserError, match=said) as raised:
        ingest(spark, table, RatingColumns(), wanted=WantedTypes(), limits=limits)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 900
