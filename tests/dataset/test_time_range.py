"""Times that are off: which they are, why, and what is left; and dates by patterns, as Spark reads them."""

import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.dataset.build_sequences import InputLimits, ingest
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.dataset.splits import say_time
from seqrec.dataset.time_range import YEAR, JudgedTimes, TimeBin, judge_times, parse_time_range
from seqrec.dataset.times import check_patterns
from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable, RatingColumns

NOW = 57 * YEAR  # some day of 2026 or 2027


def rows_of(spark: SparkSession, times: Sequence[str | None]) -> DataFrame:
    columns = {"user_id": ["1"] * len(times), "item_id": ["2"] * len(times), "timestamp": list(times)}
    nothing = pa.nulls(len(times), pa.string())
    return spark.createDataFrame(pa.table({**columns, "rating": nothing, "order": nothing}))


def read(spark: SparkSession, times: Sequence[str | None], **wanted: object) -> tuple[list[str], dict[str, int], dict[str, str]]:
    """The times that are taken, sorted, as ISO 8601; the numbers of rows that are left out; examples."""
    rows = rows_of(spark, times)
    found = profile(rows, WantedTypes(**wanted))  # type: ignore[arg-type]
    taken = sorted(row["timestamp"] for row in parse_ratings(rows, types=found.types).collect())
    assert len(taken) == found.usable
    shown = [say_time(moment).removesuffix("Z") for moment in taken]
    return shown, {reason: count for reason, count in found.dropped.items() if count}, found.examples


def year_bin(year: int, rows: int, *, own_year: int | None = None, future: bool = False, negative: bool = False) -> TimeBin:
    return TimeBin(year, year if own_year is None else own_year, future, negative, rows, year * YEAR, f"{year}x{rows}")


def test_the_years_around_most_rows_are_taken_up_to_a_gap_of_ten() -> None:
    bins = [year_bin(year, rows) for year, rows in ((0, 3), (20, 1), (30, 5), (40, 50), (45, 1))]
    found = judge_times(bins, latest=NOW)
    assert (found.first, found.last, found.timed) == (20 * YEAR, 46 * YEAR - 1, 60)
    assert (found.odd, found.examples) == ({"far_time": 3}, {"far_time": "0x3 (1970-01-01)"})
    assert judge_times([year_bin(45, 9), year_bin(34, 1)], latest=NOW).odd == {"far_time": 1}
    assert judge_times([year_bin(45, 9), year_bin(35, 1)], latest=NOW).odd == {}


def test_other_units_negative_numbers_and_the_future_have_their_reasons() -> None:
    bins = [
        year_bin(45, 90),
        year_bin(5000, 4, own_year=45, future=True),
        year_bin(0, 3, own_year=45),
        year_bin(-1, 2, negative=True),
        year_bin(60, 1, future=True),
    ]
    found = judge_times(bins, latest=NOW)
    assert found.odd == {"other_time_unit": 7, "negative_time": 2, "future_time": 1}
    assert judge_times([year_bin(56, 5), year_bin(57, 5)], latest=NOW).last == NOW
    near = judge_times([year_bin(-1, 6, negative=True), year_bin(0, 5)], latest=NOW)
    assert (near.first, near.odd) == (-YEAR, {})
    assert judge_times([], latest=NOW) == JudgedTimes()
    with pytest.raises(UserError, match=r"most times lie in the future, such as 600x9 \(2570-01-05\): set input.time_unit"):
        judge_times([year_bin(600, 9, future=True), year_bin(45, 8)], latest=NOW)


def test_what_is_off_is_left_out_and_counted(spark: SparkSession) -> None:
    tomorrow = str(round(time.time()) + 3 * 86_400)
    times = ["1425168000", "1425168001", "1456704000", "0", "-1", "1425168000000", tomorrow, "soon"]
    taken, dropped, examples = read(spark, [*times, *["1425168000"] * 3])
    assert taken == [*["2015-03-01T00:00:00"] * 4, "2015-03-01T00:00:01", "2016-02-29T00:00:00"]
    assert dropped == {"bad_timestamp": 1, "far_time": 1, "negative_time": 1, "other_time_unit": 1, "future_time": 1}
    assert examples["far_time"] == "0 (1970-01-01)"
    assert examples["other_time_unit"] == "1425168000000 (about the year 47,130)"
    assert len(read(spark, times, time_range=None)[0]) == 7
    given = parse_time_range(["2015-03-01", "2015-12-31"])
    assert read(spark, times, time_range=given)[:2] == (
        ["2015-03-01T00:00:00", "2015-03-01T00:00:01"],
        {"bad_timestamp": 1, "outside_time_range": 5},
    )


@pytest.mark.parametrize(
    ("times", "taken"),
    [
        (["Wed Mar 22 11:37:04 -0700 2017", "Tue Apr  3 18:00:09 +0000 2012"], ["2012-04-03T18:00:09", "2017-03-22T18:37:04"]),
        (["1/2/2019", "12/31/2018 9:05:58 PM"], ["2018-12-31T21:05:58", "2019-01-02T00:00:00"]),
        (
            ["1.2.2019", "31.12.2018", "2019-02-03T00:00:00+01:00"],
            ["2018-12-31T00:00:00", "2019-02-01T00:00:00", "2019-02-02T23:00:00"],
        ),
        (["22-Mar-17", "March 23, 2017"], ["2017-03-22T00:00:00", "2017-03-23T00:00:00"]),
        (["2019-01-31 10:00:00,5", "2019-01-31 10:00 PM"], ["2019-01-31T10:00:00.500", "2019-01-31T22:00:00"]),
    ],
)
def test_dates_are_read_by_the_patterns_that_are_found(
    spark: SparkSession, times: Sequence[str | None], taken: list[str]
) -> None:
    assert read(spark, times)[:2] == (taken, {})


def test_a_date_of_two_readings_is_refused_unless_some_row_tells(spark: SparkSession) -> None:
    with pytest.raises(
        UserError, match=r"such as '1/2/2019' can be read in 2 ways: set input.time_format=M/d/yyyy or input.*=d/M/yyyy"
    ):
        read(spark, ["3/3/2019", "1/2/2019"])
    late = ["3/3/2019"] * 1000 + ["1/2/2019", "31/1/2019"]  # the first rows alone don't tell
    assert read(spark, late)[0][:2] == ["2019-01-31T00:00:00", "2019-02-01T00:00:00"]
    assert read(spark, ["3/3/2019", "1/2/2019"], patterns=("d/M/yyyy",))[0] == ["2019-02-01T00:00:00", "2019-03-03T00:00:00"]


def test_given_patterns_alone_are_read(spark: SparkSession) -> None:
    taken, dropped, _ = read(spark, ["20150301", "2015-03-02", "1425168000"], patterns=("yyyyMMdd",))
    assert (taken, dropped) == (["2015-03-01T00:00:00"], {"bad_timestamp": 2})
    for pattern in ("%Y-%m-%d", "MM-dd", "YYYY-MM-dd", "yyyy-bogus"):
        with pytest.raises(UserError, match=f"input.time_format={pattern} .*: it takes Spark's datetime letters, such as"):
            check_patterns(spark, (pattern,))


def test_the_nanoseconds_of_pandas_are_times(spark: SparkSession, tmp_path: Path) -> None:
    moments = pa.array([1425168000123456789, 1456704000000000000], pa.timestamp("ns"))
    pq.write_table(pa.table({"user_id": [1, 1], "item_id": [2, 3], "timestamp": moments}), tmp_path / "r.parquet", version="2.6")
    table = InputTable(key="input", path=str(tmp_path / "r.parquet"), format="parquet")
    rows = read_interactions(spark, table, RatingColumns(rating=None))
    found = profile(rows, WantedTypes())
    taken = {row["timestamp"] for row in parse_ratings(rows, types=found.types).collect()}
    assert (found.types.time.unit, taken) == ("ns", {1425168000123, 1456704000000})


def test_a_range_of_times_without_a_time_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("user_id,item_id\n1,2\n")
    table, columns = InputTable(key="input", path=f"{tmp_path}/r.csv"), RatingColumns(rating=None, timestamp=None)
    limits = InputLimits(bad_share=0.01, user_events=100)
    wanted = WantedTypes(time_range=parse_time_range(["2001-01-01", "2002-01-01"]))
    said = r"input\.time_range is \[2001-.*, 2002-.*\], but .*r\.csv has no column of times: set input\.columns\.timestamp=COLUMN"
    with pytest.raises(UserError, match=said):
        ingest(spark, table, columns, wanted=wanted, limits=limits)
    assert ingest(spark, table, columns, wanted=WantedTypes(), limits=limits).profile.usable == 1
