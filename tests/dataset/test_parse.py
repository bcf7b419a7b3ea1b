"""Types that are found out, and rows that can't be used."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset.parse import ColumnTypes, parse_ratings
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.time_range import ODD_TIMES
from seqrec.dataset.times import TimeReading
from seqrec.errors import UserError

TEXT = "user_id string, item_id string, rating string, timestamp string, order string"
Row = tuple[str | None, str | None, str | None, str | None, str | None]


def frame(spark: SparkSession, *rows: Row) -> DataFrame:
    return spark.createDataFrame(list(rows), TEXT)


def times(spark: SparkSession, values: list[Any], kind: str, unit: str = "auto") -> tuple[str, list[int]]:
    """The unit that is found, and the epoch ms of the values that parse."""
    rows = spark.createDataFrame([("1", "2", None, value, None) for value in values], f"{TEXT.replace('timestamp string', kind)}")
    found = profile(rows, WantedTypes(time=unit))
    return found.types.time.unit, [row["timestamp"] for row in parse_ratings(rows, types=found.types).collect()]


def test_every_row_counts_for_its_first_reason(spark: SparkSession) -> None:
    rows = frame(
        spark,
        ("1", "10", "4.5", "978300760", None),
        (None, None, "x", "x", None),
        ("", "10", "4", "978300760", None),
        ("1", None, "4", "978300760", None),
        ("1", "10", "4", None, None),
        ("1", "10", "NaN", "978300760", None),
        ("1", "10", "good", "978300760", None),
        ("1", "10", "1e39", "978300760", None),
        ("1", "10", "4", "yesterday", None),
        ("1", "10", "4", "99999999999999999999", None),
        ("2", "11", None, " 978300761 ", None),
    )
    found = profile(rows, WantedTypes())
    assert found.rows == 11
    assert found.usable == 2
    assert found.dropped == {
        "bad_line": 0,
        "bad_bytes": 0,
        "null_user": 2,
        "null_item": 1,
        "null_timestamp": 1,
        "bad_user": 0,
        "bad_item": 0,
        "bad_rating": 3,
        "bad_timestamp": 2,
        **dict.fromkeys(ODD_TIMES, 0),
    }
    assert found.examples["bad_timestamp"] == "99999999999999999999"
    kept = [tuple(row) for row in parse_ratings(rows, types=found.types).orderBy("user_id").collect()]
    assert kept == [(1, 10, 4.5, 978300760000), (2, 11, None, 978300761000)]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["1", "-7", "9223372036854775807"], "bigint"),
        (["1", "007"], "string"),
        (["1", "+7"], "string"),
        (["1", "7.0"], "bigint"),
        (["1", "7.0", "7.5"], "string"),
        (["1", "7."], "string"),
        (["1", " 7"], "string"),
        (["1", "-0"], "string"),
        (["1", "9223372036854775808"], "string"),
        (["1", "$where", "a.b", "🎬"], "string"),
    ],
)
def test_an_id_is_a_bigint_where_nothing_is_lost(spark: SparkSession, ids: list[str], kind: str) -> None:
    rows = frame(spark, *((value, "1", None, "978300760", None) for value in ids))
    found = profile(rows, WantedTypes())
    assert (found.types.user, found.types.item) == (kind, "bigint")
    expected = {int(value.removesuffix(".0")) for value in ids} if kind == "bigint" else set(ids)
    assert {row["user_id"] for row in parse_ratings(rows, types=found.types).collect()} == expected


def test_ids_that_must_be_bigint_are_bad_where_they_are_not(spark: SparkSession) -> None:
    rows = frame(spark, ("u1", "1", None, "1", None), ("2", "i1", None, "1", None), ("007", "3", None, "1", None))
    found = profile(rows, WantedTypes(user="bigint", item="bigint", time="s"))
    assert (found.dropped["bad_user"], found.dropped["bad_item"]) == (1, 1)
    assert (found.examples["bad_user"], found.examples["bad_item"]) == ("u1", "i1")
    assert [tuple(row) for row in parse_ratings(rows, types=found.types).collect()] == [(7, 3, None, 1000)]


def test_units_of_time(spark: SparkSession) -> None:
    assert times(spark, ["978300760", "978300760.25", "1e9"], "timestamp string") == (
        "s",
        [978300760000, 978300760250, 1000000000000],
    )
    assert times(spark, [1600000000000, 1600000000001], "timestamp bigint") == ("ms", [1600000000000, 1600000000001])
    assert times(spark, [5], "timestamp bigint", unit="ms") == ("ms", [5])
    iso = ["2001-01-01", "2001-01-01T00:00:01Z", "2001-01-01 01:00:00.500+01:00", "12"]
    assert times(spark, iso, "timestamp string") == ("iso", [978307200000, 978307201000, 978307200500])
    assert times(spark, ["1.5e9", "1234567890.0"], "timestamp string") == ("s", [1500000000000, 1234567890000])
    for unit, values in (
        ("us", [1600000000000000, 1600000000001999]),
        ("ns", [1600000000000000000, 1600000000001999999]),
        ("ns", [1.6e18, 1.600000000001e18]),
    ):
        kind = "timestamp double" if isinstance(values[0], float) else "timestamp bigint"
        assert times(spark, values, kind) == (unit, [1600000000000, 1600000000001])
    assert times(spark, [1_500_000], "timestamp bigint", unit="us") == ("us", [1500])


def test_a_timestamp_column_is_taken_as_it_is(spark: SparkSession) -> None:
    rows = spark.sql("SELECT 1L user_id, 2L item_id, 3 rating, timestamp'1970-01-01 00:00:02' timestamp, null `order`")
    found = profile(rows, WantedTypes())
    assert found.types == ColumnTypes(user="bigint", item="bigint", time=TimeReading("native"), order=None)
    assert [tuple(row) for row in parse_ratings(rows, types=found.types).collect()] == [(1, 2, 3.0, 2000)]


def test_a_time_without_a_whole_date_is_a_bad_row(spark: SparkSession) -> None:
    """Spark alone reads the first as times of today, 2015-03 as the first of the month."""
    partial = ["12:30:00", "T12:30", "1:2", " 12:30:00Z", "2015-03", "2015-3", "2015-", "15-03-01"]
    rows = frame(
        spark, *(("1", "2", None, time, None) for time in [*partial, "2015-3-1", "2015-03-01 12", "2015-03-01T12:30:00Z"])
    )
    found = profile(rows, WantedTypes())
    assert (found.types.time.unit, found.dropped["bad_timestamp"], found.examples["bad_timestamp"]) == ("iso", 8, " 12:30:00Z")
    day = 1425168000000
    times = {row["timestamp"] for row in parse_ratings(rows, types=found.types).collect()}
    assert times == {day, day + 12 * 3_600_000, day + 45_000_000}


@pytest.mark.parametrize(
    ("number", "pattern"),
    [("20150301", "yyyyMMdd"), ("201503011230", "yyyyMMddHHmm"), ("20150301123000", "yyyyMMddHHmmss")],
)
def test_dates_without_marks_are_no_epochs(spark: SparkSession, number: str, pattern: str) -> None:
    with pytest.raises(
        UserError,
        match=rf"numbers such as {number}, which is a date .* set input.time_format={pattern} to .* or input.time_unit=(s|ms) as",
    ):
        times(spark, [number, number, "978300760"], "timestamp string")
    for kind in ("string", "bigint", "double"):
        value: Any = number if kind == "string" else int(number) if kind == "bigint" else float(number)
        rows = spark.createDataFrame([("1", "2", None, value, None)], TEXT.replace("timestamp string", f"timestamp {kind}"))
        found = profile(rows, WantedTypes(patterns=(pattern,)))
        day = parse_ratings(rows, types=found.types).collect()[0]["timestamp"] // 86_400_000
        assert (found.types.time.text, day) == (pattern, 16495)


@pytest.mark.parametrize(
    ("orders", "kind", "values"),
    [
        (["10", "9"], "bigint", {10, 9}),
        (["1.5", "9"], "double", {1.5, 9.0}),
        (["b", "9"], "string", {"b", "9"}),
        (
            ["12345678901234567890", "12345678901234567891.5"],
            "decimal(38,18)",
            {Decimal(12345678901234567890), Decimal("12345678901234567891.5")},
        ),
        (["1e300", "12345678901234567891"], "double", {1e300, 12345678901234567891.0}),
    ],
)
def test_the_order_column_is_a_number_where_it_can_be(
    spark: SparkSession, orders: list[str], kind: str, values: set[Any]
) -> None:
    rows = frame(spark, *(("1", "2", None, "1", order) for order in orders))
    found = profile(rows, WantedTypes())
    assert found.types.order == kind
    assert {row["order"] for row in parse_ratings(rows, types=found.types).collect()} == values


def test_an_order_column_that_is_text_for_a_few_values_is_said(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    rows = frame(spark, *(("1", "2", None, "1", order) for order in ("10", "9", "n/a", None)))
    assert profile(rows, WantedTypes()).types.order == "string"
    assert "input.columns.order: 1 of 3 values are no numbers, so all are sorted as text" in caplog.text


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("double", [0.1, 0.2, 0.3]),
        ("float", [0.5, 0.25, 0.125]),
        ("decimal(10,3)", [Decimal("1.500"), Decimal("1.501"), Decimal("1.502")]),
        ("timestamp", [datetime(2015, 1, 1, 0, 0, 0, micro) for micro in (1, 2, 3)]),
        ("timestamp_ntz", [datetime(2015, 1, 1, 0, 0, 0, micro) for micro in (1, 2, 3)]),
        ("date", [date(2015, 1, day) for day in (1, 2, 3)]),
        ("int", [1, 2, 3]),
    ],
)
def test_an_order_column_with_a_type_keeps_all_of_it(spark: SparkSession, kind: str, values: list[Any]) -> None:
    rows = spark.createDataFrame(
        [("1", "2", None, "1", value) for value in values], TEXT.replace("order string", f"order {kind}")
    )
    found = profile(rows, WantedTypes())
    assert found.types.order == kind
    assert sorted(row["order"] for row in parse_ratings(rows, types=found.types).collect()) == sorted(values)
