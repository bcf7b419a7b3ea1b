"""Text as it is written: quotes, encodings, damaged lines, spaces, decimals, cells that hold nothing; and what is counted."""

import bz2
import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from seqrec.dataset.detect import detect
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.profile import Profile, WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.dataset.read_file import read_file
from seqrec.tables.input_table import AUTO, InputTable, RatingColumns, WantedTable

NOTHING_SAID = RatingColumns(user_id=AUTO, item_id=AUTO, rating=AUTO, timestamp=AUTO, items=AUTO)
HEADER = "user,item,rating,time\n"


def found(spark: SparkSession, path: Path, **said: Any) -> tuple[list[tuple[Any, ...]], Profile]:
    """The typed ratings of a file of which only this is said, sorted; and the profile."""
    detected = detect(spark, WantedTable(key="input", path=str(path), **said), NOTHING_SAID)
    interactions = read_interactions(spark, detected.table, detected.columns)
    facts = profile(interactions, WantedTypes())
    rows = parse_ratings(interactions, types=facts.types).select("user_id", "item_id", "rating").collect()
    return sorted((tuple(row) for row in rows), key=repr), facts


def dropped(facts: Profile) -> dict[str, int]:
    return {reason: count for reason, count in facts.dropped.items() if count}


def lines(*rows: str, header: str = HEADER, more: int = 0) -> str:
    """A header, the rows, each with a time, and so many more plain rows."""
    plain = [f"{number % 9},{9000 + number % 20},3,97830076{number % 10}" for number in range(more)]
    return header + "".join(f"{row}\n" for row in [*rows, *plain])


CASES: dict[str, tuple[bytes, list[tuple[Any, ...]]]] = {
    "a quote inside a cell": (lines('1,a "x" b,4,978300760', "2,c,5,978300761").encode(), [(1, 'a "x" b', 4), (2, "c", 5)]),
    "a quote at the beginning of a cell": (
        lines('1\t"Heroes\t4\t978300760', '2\t"c\t5\t978300761', header="user\titem\trating\ttime\n").encode(),
        [(1, '"Heroes', 4), (2, '"c', 5)],
    ),
    "quotes that a backslash marks": (
        lines(r'1,"a \"x\", b",4,978300760', r'2,"\"c\"",5,978300761').encode(),
        [(1, 'a "x", b', 4), (2, '"c"', 5)],
    ),
    "single quotes": (lines("'1','a, b','4','978300760'", "'2','c','5','978300761'").encode(), [(1, "a, b", 4), (2, "c", 5)]),
    "a line end in quotes": (lines('1,"a\nb",4,978300760', "2,c,5,978300761").encode(), [(1, "a\nb", 4), (2, "c", 5)]),
    "semicolons and decimal commas": (
        lines("1;a;3,5;978300760", "2;b;4;978300761", header="user;item;rating;time\n").encode(),
        [(1, "a", 3.5), (2, "b", 4)],
    ),
    "spaces around cells": (lines(" 1 , a , 4 , 978300760", "1,a,5,978300761").encode(), [(1, "a", 4), (1, "a", 5)]),
    "whole numbers with a point": (lines("1.0,7.0,4.0,978300760", "2,8,5,978300761").encode(), [(1, 7, 4), (2, 8, 5)]),
    "numbers that aren't whole": (lines("1,7.0,4,978300760", "2,7.5,5,978300761").encode(), [(1, "7.0", 4), (2, "7.5", 5)]),
    "Windows' letters": (
        lines("1,caf\u00e9 \u201ex\u201c,4,978300760", "2,b,5,978300761").encode("cp1252"),
        [(1, "caf\u00e9 \u201ex\u201c", 4), (2, "b", 5)],
    ),
    "a trailing delimiter": (lines("1,a,4,978300760,", "2,b,5,978300761,").encode(), [(1, "a", 4), (2, "b", 5)]),
    "a mark of Excel": (b"\xef\xbb\xbf" + lines("1,a,4,978300760", "2,b,5,978300761").encode(), [(1, "a", 4), (2, "b", 5)]),
}


@pytest.mark.parametrize("case", CASES)
def test_text_is_read_as_it_is_written(spark: SparkSession, tmp_path: Path, case: str) -> None:
    content, expected = CASES[case]
    (tmp_path / "r.csv").write_bytes(content)
    rows, facts = found(spark, tmp_path / "r.csv")
    assert rows == expected
    assert dropped(facts) == {}


@pytest.mark.parametrize(
    ("row", "reason", "example"),
    [
        ('1,"a,4,978300760', "bad_line", '1,"a,4,978300760'),
        ("1,a", "bad_line", "1,a"),
        ("1,a,4,978300760,x", "bad_line", "1,a,4,978300760,x"),
        ("1,caf\udce9,4,978300760", "bad_bytes", "1 · caf\ufffd"),
        ("NA,a,4,978300760", "null_user", None),
        ("1, None ,4,978300760", "null_item", None),
        ("1,\\N,4,978300760", "null_item", None),
        ("1,a,4,NULL", "null_timestamp", None),
    ],
)
def test_what_cannot_be_read_is_counted_with_an_example(
    spark: SparkSession, tmp_path: Path, row: str, reason: str, example: str | None
) -> None:
    """Far behind the first lines that are looked at."""
    text = lines(more=300) + f"{row}\n"
    (tmp_path / "r.csv").write_bytes(text.encode(errors="surrogateescape"))
    rows, facts = found(spark, tmp_path / "r.csv", quote='"', encoding="UTF-8")
    assert (len(rows), dropped(facts)) == (300, {reason: 1})
    assert facts.examples.get(reason) == example


def test_what_holds_nothing_is_said(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(lines("1,NA,nan,978300760", "1,-,4,978300761"))
    assert found(spark, tmp_path / "r.csv")[0] == [(1, "-", 4)]
    assert found(spark, tmp_path / "r.csv", null_values=["-", "nan"])[0] == [(1, "NA", None)]


@pytest.mark.parametrize(("name", "packed"), [("r.csv.gz", gzip.compress), ("r.csv.bz2", bz2.compress)])
def test_what_spark_unpacks(spark: SparkSession, tmp_path: Path, name: str, packed: Any) -> None:
    (tmp_path / name).write_bytes(packed(lines("1,a,4,978300760", "2,b,5,978300761").encode()))
    assert found(spark, tmp_path / name)[0] == [(1, "a", 4), (2, "b", 5)]


def test_a_damaged_line_among_the_first_vetoes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(lines("1;a", "1,a,4,978300760", more=40))
    rows, facts = found(spark, tmp_path / "r.csv")
    assert (len(rows), dropped(facts)) == (41, {"bad_line": 1})


def test_a_column_without_a_role_makes_no_damaged_line_a_good_one(spark: SparkSession, tmp_path: Path) -> None:
    plain = [f"{number % 9},{9000 + number % 20},note {number},3,97830076{number % 10}" for number in range(60)]
    rows = "".join(f"{row}\n" for row in [*plain, "1,a,a note, cut,4,978300760"])
    (tmp_path / "r.csv").write_text(f"user,item,note,rating,time\n{rows}")
    found_rows, facts = found(spark, tmp_path / "r.csv")
    assert (len(found_rows), dropped(facts)) == (60, {"bad_line": 1})


@pytest.mark.parametrize("form", ["lines", "array", "Latin-1"])
def test_numbers_of_json_are_read_as_those_of_csv(spark: SparkSession, tmp_path: Path, form: str) -> None:
    """Python writes a number that is missing as NaN, and whole numbers of a float column with a point."""
    events = [(12_345_600.0 + place % 7, float(place % 9), float(place % 5), 1_500_000_000 + place) for place in range(300)]
    events += [(math.nan, 1.0, 3.0, 1_500_000_300), (1.0, math.nan, 3.0, 1_500_000_301), (2.0, 1.0, math.nan, 1_500_000_302)]
    events += [(2.0, 1.0, math.inf, 1_500_000_303)]
    objects = [json.dumps(dict(zip(("user", "item", "rating", "time"), event, strict=True))) for event in events]
    (tmp_path / "r.json").write_text(f"[{','.join(objects)}]" if form == "array" else "\n".join(objects))
    (tmp_path / "r.csv").write_text(HEADER + "".join(f"{','.join(map(str, event))}\n" for event in events))
    rows, facts = found(spark, tmp_path / "r.json", **({"encoding": "ISO-8859-1"} if form == "Latin-1" else {}))
    assert rows == found(spark, tmp_path / "r.csv")[0]
    assert (2, 1, None) in rows
    assert (facts.types.user, facts.types.item) == ("bigint", "bigint")
    assert dropped(facts) == {"null_user": 1, "null_item": 1, "bad_rating": 1}


def test_an_infinite_number_is_no_id(spark: SparkSession, tmp_path: Path) -> None:
    lists = [{"user": user, "items": [1, 2, 3]} for user in range(30)]
    lists += [{"user": math.inf, "items": [1]}, {"user": 1, "items": [math.nan, -math.inf, None, 4]}]
    (tmp_path / "r.json").write_text("\n".join(map(json.dumps, lists)))
    rows, facts = found(spark, tmp_path / "r.json")
    assert (len(rows), facts.types.user, facts.types.item) == (91, "bigint", "bigint")
    assert dropped(facts) == {"null_user": 1, "null_item": 3}


def test_keys_that_differ_in_capitals_alone_are_read_as_the_first(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = ['{"user_id": 1, "item_id": 2, "rating": 3}', '{"user_id": 1, "item_id": 3, "Rating": 4}']
    (tmp_path / "r.jsonl").write_text("\n".join(lines) + "\n")
    with caplog.at_level("WARNING", logger="seqrec"):
        table = InputTable(key="input", path=str(tmp_path / "r.jsonl"), format="json")
        raw = read_file(spark, table, used=["USER_ID", "rating"])
    assert [row["rating"] for row in raw.collect()] == ["3", None]
    assert "the key rating is there as Rating too, which isn't read" in caplog.text
