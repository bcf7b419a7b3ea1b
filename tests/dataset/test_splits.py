"""Cuts, splits and the random share of users, by hand."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.splits import SplitChoice, chosen_users, guard_cuts, parse_cuts, splitter
from seqrec.errors import UserError


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("train_val_test", {1: (1, 0), 2: (2, 0), 3: (1, 1), 4: (2, 1)}),
        ("train_val", {1: (1, 0), 2: (1, 1), 3: (2, 1), 4: (3, 1)}),
        ("test", {1: (1, 0), 2: (1, 0), 3: (2, 0), 4: (3, 0)}),
        ("inference", {1: (1, 0), 2: (2, 0), 3: (3, 0), 4: (4, 0)}),
    ],
)
def test_lengths_of_train_and_valid(spark: SparkSession, task: str, expected: dict[int, tuple[int, int]]) -> None:
    users = spark.createDataFrame([(length, [7] * length) for length in (1, 2, 3, 4)], "user_id int, events array<int>")
    train, valid = splitter(SplitChoice(task=task), seed=1).lengths(F.col("events"))
    found = users.select("user_id", train.alias("train"), valid.alias("valid")).collect()
    assert {row["user_id"]: (row["train"], row["valid"]) for row in found} == expected


@pytest.mark.parametrize(
    ("task", "share", "held", "short"),
    [
        ("train_val_test", None, {7: (1, 3), 8: (2, 3)}, {1, 6}),
        ("test", None, {6: (3, 0), 7: (4, 0), 8: (5, 0)}, {1}),
        ("inference", None, {}, set()),
        ("train_val_test", 0.0, {}, set()),
    ],
)
def test_several_last_events_are_held_out_and_users_with_too_few_train_whole(
    spark: SparkSession, task: str, share: float | None, held: dict[int, tuple[int, int]], short: set[int]
) -> None:
    rows = [(length, [7] * length) for length in (0, 1, 6, 7, 8)]
    users = spark.createDataFrame(rows, "user_id int, events array<int>")
    split = splitter(SplitChoice(task=task, hold_out=3, share=share), seed=1)
    train, valid = split.lengths(F.col("events"))
    found = users.select("user_id", train.alias("train"), valid.alias("valid"), split.too_short(F.size("events")).alias("short"))
    rows_found = found.collect()
    assert {row["user_id"]: (row["train"], row["valid"]) for row in rows_found} == {
        length: held.get(length, (length, 0)) for length, _ in rows
    }
    assert {row["user_id"] for row in rows_found if row["short"]} == short


def test_of_a_share_of_users_events_are_held_out(spark: SparkSession) -> None:
    users = spark.range(1000).select(F.col("id").alias("user_id"), F.array_repeat(F.lit(7), 4).alias("events"))
    train, _ = splitter(SplitChoice(task="test", share=0.2), seed=5).lengths(F.col("events"))
    lengths = {row["user_id"]: row["train"] for row in users.select("user_id", train.alias("train")).collect()}
    chosen = {row["user_id"] for row in users.where(chosen_users(share=0.2, seed=5)).collect()}
    assert {user for user, length in lengths.items() if length == 3} == chosen
    assert all(length == 4 for user, length in lengths.items() if user not in chosen)
    assert 150 < len(chosen) < 250
    assert chosen != {row["user_id"] for row in users.where(chosen_users(share=0.2, seed=6)).collect()}


def test_cuts_that_cannot_be() -> None:
    assert parse_cuts(["2015-01-01T01:00:00+01:00", "1420070400001"]) == (1420070400000, 1420070400001)
    with pytest.raises(UserError, match="the first time must lie before the second"):
        parse_cuts(["2015-01-02", "2015-01-01"])
    with pytest.raises(UserError, match="'soon' is neither ISO 8601"):
        parse_cuts(["soon", "2015-01-01"])


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (
            "20150301",
            r"20150301 is a date .* seconds \(1970-08-22T05:18:21Z\): write a date as 2015-03-01, or an epoch as 20150301.0",
        ),
        ("20150301123000", r"or an epoch in milliseconds \(2608-.*write a date as 2015-03-01"),
        ("1420070400000000", "too large for epoch seconds or milliseconds: write a date"),
        ("1e400", "too large"),
        ("inf", "'inf' is neither ISO 8601"),
        ("12:30:00", "is neither"),
        ("2015-03", "is neither"),
    ],
)
def test_a_cut_that_can_be_read_in_two_ways_or_none_is_refused(cut: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_cuts([cut, "2026-01-01"])


def test_cuts_outside_the_ratings_times_are_named(caplog: pytest.LogCaptureFixture) -> None:
    first, last = parse_cuts(["2015-01-01", "2015-12-31"])
    span = "but the ratings go from 2015-01-01T00:00:00Z to 2015-12-31T00:00:00Z"
    with pytest.raises(UserError, match=f"the first cut is 1970-01-01T00:33:35Z, {span}: there is nothing before it to train on"):
        guard_cuts(parse_cuts(["2015", "2016"]), first=first, last=last)
    with pytest.raises(UserError, match=f"the first cut is 2016-01-01T00:00:00Z, {span}: there is nothing after it to hold out"):
        guard_cuts(parse_cuts(["2016-01-01", "2016-02-01"]), first=first, last=last)
    guard_cuts(parse_cuts(["2015-06-01", "2016-01-01"]), first=first, last=last)
    assert caplog.messages == [f"split_times: the second cut is 2016-01-01T00:00:00Z, {span}: the test has no events"]
