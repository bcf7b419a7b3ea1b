"""Counts and averages of what is earlier, by hand and against a double loop; whatever the buckets."""

import random

import pytest
from pyspark.sql import SparkSession

from seqrec.ranking.features_as_of import add_item_features
from seqrec.ranking.skew import earlier_sums, time_bucket, time_cuts

RATINGS = "user_id bigint, ordinal int, item_id string, rating float, timestamp bigint, split string"


def test_sums_of_earlier_rows_are_those_of_a_double_loop(spark: SparkSession) -> None:
    draw = random.Random(3)
    rows = [("ab"[draw.randrange(2)], order // 7, order, draw.randrange(100)) for order in range(60)]
    table = spark.createDataFrame(rows, "item string, block int, place int, value bigint")
    by_item = earlier_sums(table, group=["item"], block="block", order="place", values=["value"])
    expected = {
        place: sum(value for item, _, before, value in rows if (item, before < place) == (one, True)) for one, _, place, _ in rows
    }
    assert {row["place"]: row["earlier_value"] for row in by_item.collect()} == expected
    of_all = earlier_sums(table, group=[], block="block", order="place", values=["value"])
    assert {row["place"]: row["earlier_value"] for row in of_all.collect()} == {
        place: sum(value for _, _, before, value in rows if before < place) for _, _, place, _ in rows
    }


def test_cuts_bound_what_one_item_can_have_in_a_bucket(spark: SparkSession) -> None:
    """1,000 ratings, most of them of a single day: no bucket has many more than its share."""
    times = [[number, 100_000 + number] for number in range(100)] + [[50_000 + number] for number in range(800)]
    histories = spark.createDataFrame([(times_of_user,) for times_of_user in times], "timestamps array<bigint>")
    cuts = time_cuts(histories, rows=1000, rows_per_bucket=100)
    assert time_cuts(histories, rows=1000, rows_per_bucket=1000) == []
    moments = spark.createDataFrame([(time,) for one in times for time in one], "timestamp bigint")
    sizes = {row["bucket"]: row["count"] for row in moments.groupBy(time_bucket(cuts).alias("bucket")).count().collect()}
    assert len(sizes) == 10
    assert max(sizes.values()) <= 120


@pytest.mark.parametrize("cuts", [[], [20], [10, 20, 21, 30]])
def test_an_item_counts_its_earlier_training_ratings(spark: SparkSession, cuts: list[int]) -> None:
    """Item a is rated at 10, twice at 20 and at 30; the one at 20 of user 2 is held out. What is at the same time isn't seen."""
    rows = [
        (1, 0, "a", 4.0, 10, "train"),
        (1, 1, "b", 5.0, 20, "train"),
        (2, 0, "a", 1.0, 20, "valid"),
        (3, 0, "a", 2.0, 20, "train"),
        (3, 1, "a", None, 30, "train"),
        (3, 2, "a", 3.0, 40, None),
    ]
    items = spark.createDataFrame([("a", ["X"])], "item_id string, genres array<string>")
    found = add_item_features(spark.createDataFrame(rows, RATINGS), items, cuts=cuts, threshold=3).collect()
    columns = ("item_count", "item_mean_rating", "item_positive_share", "genres")
    assert {(row["user_id"], row["ordinal"]): tuple(row[name] for name in columns) for row in found} == {
        (1, 0): (0, None, None, ["X"]),
        (1, 1): (0, None, None, None),
        (2, 0): (1, 4.0, 1.0, ["X"]),
        (3, 0): (1, 4.0, 1.0, ["X"]),
        (3, 1): (2, 3.0, 0.5, ["X"]),
        (3, 2): (3, 3.0, 0.5, ["X"]),
    }
