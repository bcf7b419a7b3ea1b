"""Generated times, ids and CSV files, against Python's own readings. Many examples go through each Spark job."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from seqrec.command.config import load_config
from seqrec.dataset.detect import detect
from seqrec.dataset.parse import parse_ratings
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.dataset.splits import parse_cuts
from seqrec.errors import UserError
from seqrec.settings.build_sequences import BuildSequences

CONF = str(Path(__file__).parents[2] / "conf" / "build_sequences.yaml")
TEXT = "user_id string, item_id string, rating string, timestamp string, order string"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FEW: Any = {
    "deadline": None,
    "phases": [Phase.explicit, Phase.generate],  # a Spark job an example: too slow to make examples smaller
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
}

ZONES: st.SearchStrategy[Any] = (
    st.none() | st.just(UTC) | st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)
SPECS = ("minutes", "auto", "seconds", "milliseconds", "microseconds")


@st.composite
def iso_times(draw: st.DrawFn) -> str:
    """A date, or a date and time with or without a zone, in ISO 8601; Spark wants seconds before a zone."""
    if draw(st.booleans()):
        return draw(st.dates(date(2, 1, 1), date(9998, 12, 31))).isoformat()
    moment = draw(MOMENTS)
    specs = SPECS if moment.tzinfo is None else SPECS[1:]
    text = moment.isoformat(sep=draw(st.sampled_from("T ")), timespec=draw(st.sampled_from(specs)))
    return text.replace("+00:00", "Z") if draw(st.booleans()) else text


def milliseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)


@given(st.lists(iso_times(), min_size=100, max_size=300))
@settings(max_examples=2, **FEW)
def test_times_are_read_as_python_reads_them(spark: SparkSession, texts: list[str]) -> None:
    rows = spark.createDataFrame([(text, "1", None, text, None) for text in texts], TEXT)
    found = profile(rows, WantedTypes(user="string", time_range=None))
    assert (found.types.time.unit, found.usable) == ("iso", len(texts))
    parsed = {(row["user_id"], row["timestamp"]) for row in parse_ratings(rows, types=found.types).collect()}
    assert parsed == {(text, milliseconds(text)) for text in texts}


@given(iso_times(), iso_times())
@settings(max_examples=200, deadline=None)
def test_cuts_are_read_as_the_times_are(first: str, second: str) -> None:
    cuts = sorted((first, second), key=milliseconds)
    if milliseconds(first) != milliseconds(second):
        assert parse_cuts(cuts) == (milliseconds(cuts[0]), milliseconds(cuts[1]))


@given(
    st.text(max_size=20) | st.floats().map(str) | st.integers().map(str) | st.from_regex(r"[0-9TZ:. +-]{1,20}", fullmatch=True)
)
@settings(max_examples=300, deadline=None)
def test_a_cut_is_two_whole_numbers_or_a_user_error(text: str) -> None:
    try:
        first, second = parse_cuts([text, "9999-01-01"])
    except UserError:
        return
    assert -(2**63) < first < second < 2**63


IDS = (
    st.integers(-(2**65), 2**65).map(str)
    | st.text(min_size=1, max_size=6)
    | st.from_regex(r"[ +-]?[0-9]{1,3}(\\.0)?", fullmatch=True)
)


@given(st.lists(st.integers(-(2**63), 2**63 - 1).map(str), min_size=1, max_size=40) | st.lists(IDS, min_size=1, max_size=40))
@settings(max_examples=5, **FEW)
def test_ids_stay_what_they_are(spark: SparkSession, ids: list[str]) -> None:
    """Bigint where each is what Python writes for an integer of 64 bits, else the text itself."""
    rows = spark.createDataFrame([(name, "1", None, "978300760", None) for name in ids], TEXT)
    found = profile(rows, WantedTypes())
    whole = all(is_canonical(name) for name in ids)
    assert (found.types.user, found.usable) == ("bigint" if whole else "string", len(ids))
    parsed = [row["user_id"] for row in parse_ratings(rows, types=found.types).collect()]
    assert sorted(map(str, parsed)) == sorted(ids)


def is_canonical(text: str) -> bool:
    try:
        return text.isascii() and str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


class Table(NamedTuple):
    """A file of ratings: its bytes, its header or none, and its rows as user, item, rating and time."""

    content: bytes
    header: str
    rows: list[tuple[str | None, ...]]


NAMES = {"user_id": ("user_id", "userId", "User"), "item_id": ("item_id", "movieId", "asin"), "rating": ("rating", "Stars")}
ROLES = ("user_id", "item_id", "rating", "timestamp")


def cells(delimiter: str) -> dict[str, st.SearchStrategy[str]]:
    """What the columns of a file hold; words have the delimiter and quotes in them where quotes can hide them."""
    inner = "a" if len(delimiter) > 1 else f'aé"{delimiter}'
    words = st.builds(lambda start, middle: f"{start}{middle}z", st.sampled_from("bcde"), st.text(inner, max_size=3))
    ids = st.integers(0, 99).map(str) | words
    stars = st.sampled_from(["1", "2.5", "5"])
    return {"user_id": ids, "item_id": ids, "rating": stars, "timestamp": st.integers(10**9, 2 * 10**9).map(str)}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    delimiter = draw(st.sampled_from(("::", "\t", ",", ";", "|", " ")))
    rated, headed = draw(st.booleans()), draw(st.booleans())
    roles = [role for role in ROLES if rated or role != "rating"]
    order = draw(st.permutations(roles)) if headed else roles
    kinds = cells(delimiter)
    rows = [[draw(kinds[role]) for role in order] for _ in range(draw(st.integers(2, 6)))]
    header = [draw(st.sampled_from(NAMES.get(role, ("timestamp", "time")))) for role in order] if headed else []
    written = io.StringIO()
    lines = [header, *rows] if headed else rows
    if len(delimiter) > 1:
        written.write("".join(delimiter.join(line) + "\n" for line in lines))
    else:
        csv.writer(written, delimiter=delimiter, lineterminator=draw(st.sampled_from(("\n", "\r\n")))).writerows(lines)
    mark = draw(st.sampled_from(("", "\ufeff")))
    places = [order.index(role) if role in order else None for role in ROLES]
    expected = [tuple(None if place is None else row[place] for place in places) for row in rows]
    return Table((mark + written.getvalue()).encode(), f"{delimiter}{header}{rated}", expected)


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[], Path]:
    numbers: Iterator[int] = count()
    return lambda: tmp_path / str(next(numbers))


@given(st.lists(tables(), min_size=20, max_size=40))
@settings(max_examples=2, **FEW)
def test_what_is_detected_reads_back_what_was_written(
    spark: SparkSession, folders: Callable[[], Path], written: list[Table]
) -> None:
    """Files of one header lie in one folder, every second one compressed, so that a job reads them all."""
    groups: dict[str, list[Table]] = {}
    for table in written:
        groups.setdefault(table.header, []).append(table)
    for group in groups.values():
        folder = folders()
        folder.mkdir()
        for number, table in enumerate(group):
            name, content = (f"{number}.csv", table.content) if number % 2 else (f"{number}.csv.gz", gzip.compress(table.content))
            (folder / name).write_bytes(content)
            source = load_config(BuildSequences, CONF, ["data=d", f"input.path={folder / name}"]).input
            detected = detect(spark, source.wanted_ratings, source.wanted_columns)
        source_table = replace(detected.table, path=str(folder))
        found = read_interactions(spark, source_table, detected.columns).select(*ROLES).collect()
        assert sorted(map(tuple, found)) == sorted(row for table in group for row in table.rows)
