"""What is found by looking at a file, and where it can't be told."""

import gzip
import os
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from seqrec.command.overrides import parse_overrides, show_value
from seqrec.dataset.content import MOST
from seqrec.dataset.detect import ROLES, detect
from seqrec.dataset.roles import NO_RATING
from seqrec.errors import UserError
from seqrec.tables.input_table import AUTO, RatingColumns, WantedTable

NOTHING_SAID = RatingColumns(user_id=AUTO, item_id=AUTO, rating=AUTO, timestamp=AUTO, items=AUTO)


def found_settings(spark: SparkSession, path: str) -> tuple[dict[str, str], list[str]]:
    """What is found of a file of which nothing is said, as overrides; and why."""
    detected = detect(spark, WantedTable(key="input", path=path), NOTHING_SAID)
    table, columns = detected.table, detected.columns
    settings = {"input.path": path, "input.format": table.format}
    if table.format == "csv":
        settings |= {"input.delimiter": table.delimiter.replace("\t", "\\t"), "input.header": str(table.header).lower()}
    if table.encoding != "UTF-8":
        settings["input.encoding"] = table.encoding
    if table.header:
        assert table.names is None
    for role in ("user_id", "items") if columns.items else ("user_id", "item_id", "rating", "timestamp"):
        if getattr(columns, role) != role or role == "items":
            settings[f"input.columns.{role}"] = show_value(getattr(columns, role))
    return settings, [choice.why for choice in detected.choices]


CSV = {"input.format": "csv"}
PLACES = {f"input.columns.{role}": f"column_{place}" for place, role in enumerate(ROLES, start=1)}
NONE = {"input.columns.rating": "null", "input.columns.timestamp": "null"}
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "MovieLens 1M": (
        "r.dat",
        "1::1193::5::978300760\n1::661::3::978302109\n",
        {**CSV, **PLACES, "input.delimiter": "::", "input.header": "false"},
    ),
    "MovieLens 100K": (
        "u.data",
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        {**CSV, **PLACES, "input.delimiter": "\\t", "input.header": "false"},
    ),
    "a header": (
        "r.csv",
        "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n",
        {
            **CSV,
            "input.delimiter": ",",
            "input.header": "true",
            "input.columns.user_id": "userId",
            "input.columns.item_id": "movieId",
        },
    ),
    "the time first, no rating": (
        "r.csv",
        '2020-01-01 10:00:00;u1;"a;b"\n2020-01-02 10:00:00;u1;c\n',
        {
            **CSV,
            "input.delimiter": ";",
            "input.header": "false",
            "input.columns.user_id": "column_2",
            "input.columns.item_id": "column_3",
            "input.columns.rating": "null",
            "input.columns.timestamp": "column_1",
        },
    ),
    "two columns": (
        "r.txt",
        "1 1\n1 2\n",
        {
            **CSV,
            "input.delimiter": " ",
            "input.header": "false",
            **PLACES,
            **NONE,
        },
    ),
    "JSON lines": (
        "r.json",
        '{"reviewerID": "A", "asin": "B", "overall": 5, "unixReviewTime": 1252800000}\n',
        {
            "input.format": "json",
            "input.columns.user_id": "reviewerID",
            "input.columns.item_id": "asin",
            "input.columns.rating": "overall",
            "input.columns.timestamp": "unixReviewTime",
        },
    ),
    "a list a user": (
        "r.json",
        '{"user": 1, "items": [1, 2]}\n',
        {"input.format": "json", "input.columns.user_id": "user", "input.columns.items": "items"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_found(spark: SparkSession, tmp_path: Path, case: str) -> None:
    name, content, expected = CASES[case]
    (tmp_path / name).write_text(content)
    settings, _ = found_settings(spark, str(tmp_path / name))
    assert settings == {"input.path": str(tmp_path / name), **expected}


@pytest.mark.parametrize("scheme", ["", "file:", "file://"])
def test_a_path_may_be_a_url_of_any_name(spark: SparkSession, tmp_path: Path, scheme: str) -> None:
    (tmp_path / "[a] b: #?%.csv").write_text("user_id,item_id\n1,2\n2,3\n")
    path = f"{scheme}{tmp_path}/[a] b: #?%.csv"
    assert found_settings(spark, path)[0]["input.path"] == path


def test_compressed_latin_and_parquet(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress("user,item,time\nJosé,1,978300760\n".encode("latin-1")))
    settings, _ = found_settings(spark, str(tmp_path / "r.csv.gz"))
    assert settings["input.encoding"] == "ISO-8859-1"
    assert settings["input.columns.timestamp"] == "time"
    pq.write_table(pa.table({"user_id": [1], "movie_id": [2], "pos": [0]}), tmp_path / "r.parquet")
    settings, said = found_settings(spark, str(tmp_path / "r.parquet"))
    assert settings["input.format"] == "parquet"
    assert (settings["input.columns.item_id"], settings["input.columns.timestamp"], settings["input.columns.rating"]) == (
        "movie_id",
        "pos",
        "null",
    )
    assert NO_RATING in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("alone\nalone\n", "none of .* cuts its lines into equal columns"),
        ("[1, 2]", "is a JSON array, but an element is no object: '1'"),
        (
            "movieId,title\n1,a\n",
            r"no column has a name known for the user \(left are movieId, title\): set input\.columns\.user_id",
        ),
        (
            "1,2,3,4\n1,2,3,4\n",
            r"several columns look like ratings; it could be column_3 \(3\); column_4 \(4\): set input\.col",
        ),
        (
            "".join(f"{place},{place + 1000}\n" for place in range(30)),
            r"too few columns look like ids .*column_1 \(0, 1, 2\)",
        ),
    ],
)
def test_what_cannot_be_told_is_asked_for(spark: SparkSession, tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "r.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        found_settings(spark, str(tmp_path / "r.csv"))


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", b"userId,item,rating,time\n1,2,3,978300760\n"),
        ("r.csv", b'"userId";"item";"rating";"time"\n1;2;3;978300760\n'),
        ("r.csv", "userId,item,rating,time\nJosé,2,3,978300760\n".encode("latin-1")),
        ("r.dat", b"1::2::3::978300760\n2::2::3::978300761\n"),
        ("r.json", b'{"userId": 1, "item": 2, "rating": 3, "time": 978300760}\n'),
    ],
)
@pytest.mark.parametrize("form", ["plain", "gzip", "folder"])
def test_a_byte_order_mark_changes_nothing(spark: SparkSession, tmp_path: Path, name: str, content: bytes, form: str) -> None:
    """The mark is what Excel begins a CSV with; Spark leaves it out."""
    found = []
    for number, start in enumerate((b"", BOM)):
        path = tmp_path / str(number) / (f"{name}.gz" if form == "gzip" else name)
        path.parent.mkdir()
        path.write_bytes(gzip.compress(start + content, mtime=0) if form == "gzip" else start + content)
        settings, _ = found_settings(spark, str(path.parent if form == "folder" else path))
        found.append({key: value for key, value in settings.items() if key != "input.path"})
    assert found[0] == found[1]
    assert found[0]["input.columns.user_id"] == ("column_1" if name == "r.dat" else "userId")


def test_a_name_that_is_no_plain_word_is_quoted(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("# user,[item]\n1,2\n")
    settings, _ = found_settings(spark, str(tmp_path / "r.csv"))
    given = parse_overrides([f"{key}={value}" for key, value in settings.items()])
    assert given["input"]["columns"] == {"user_id": "# user", "item_id": "[item]", "rating": None, "timestamp": None}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.json", b'{"user": 1, "item": 2}\n[1, 2]\n', r"a line is no object: '\[1, 2\]'"),
        ("r.json", b'{"user": 1, "item": ' + b"[" * 100_000, "a line isn't JSON"),
        ("r.json", b"{}\n", r"\(left are none\)"),
        ("r.json", b" [", "is a JSON array without any object"),
        (
            "r.json",
            b'{\n"user": 1,\n"item": 2\n}\n',
            "begins like JSON, but a line isn't JSON, such as '{': give one object a line",
        ),
        (
            "r.csv.gz",
            gzip.compress(b"user,item\n" + bytes(range(256)) * 99, mtime=0)[:-40],
            "can't be read: Compressed file ended",
        ),
        ("r.csv.gz", b"", "is empty"),
        ("r.xlsx", b"PK\x03\x04....", "can't be read: File is not a zip file"),
        ("r.parquet", b"PAR1 and no more", "is a broken Parquet file: .*Either the file is corrupted"),
        ("r.csv", b"user,item\n" + b"x" * 200_000 + b",1\n1\n", "none of .* cuts its lines into equal columns"),
        ("r.csv", b"user,item,1\n2\n", "none of .* cuts its lines into equal columns"),
        ("r.csv", b"x" * (MOST + 1), "its first line is longer than 4,194,304 bytes"),
        ("r.csv", bytes(range(256)) * 50, "is no text: many of its bytes are 0"),
        ("_r.csv", b"1,2", "FOLDER is an empty folder"),
    ],
)
def test_what_is_no_table_is_named(spark: SparkSession, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said.replace("FOLDER", str(tmp_path))):
        found_settings(spark, str(tmp_path if said.startswith("FOLDER") else tmp_path / name))


def test_what_is_no_file_is_named(spark: SparkSession, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "pipe", "neither a file nor a folder"),
        ("a\0b", "no such file"),
        ("x" * 300, "File name too long"),
    ):
        with pytest.raises(UserError, match=said):
            found_settings(spark, str(path))


def test_of_a_folder_the_first_file_with_content_counts(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.csv").write_text("user,item\n1,2\n")
    assert found_settings(spark, str(tmp_path))[0]["input.columns.user_id"] == "user"


@given(st.binary(max_size=300) | st.text(alphabet='ab01,;|\t "\n\r{}[]:', max_size=300).map(str.encode))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_are_nothing_but_a_user_error_is_raised(spark: SparkSession, tmp_path: Path, content: bytes) -> None:
    for name in ("r.csv", "r.csv.gz"):
        (tmp_path / name).write_bytes(content)
        with suppress(UserError):
            found_settings(spark, str(tmp_path / name))
        (tmp_path / name).write_bytes(gzip.compress(content, mtime=0))
        with suppress(UserError):
            found_settings(spark, str(tmp_path / name))
    for start in (b"PAR1", b"{", BOM):
        (tmp_path / "r.csv").write_bytes(start + content)
        with suppress(UserError):
            found_settings(spark, str(tmp_path / "r.csv"))
