"""Splits, labels, genres and negatives, by hand."""

import random
from functools import partial
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType

from seqrec.dataset.build_sequences import Ratings
from seqrec.dataset.clean import clean
from seqrec.dataset.events import arrange
from seqrec.dataset.parse import profile
from seqrec.dataset.sequences import events
from seqrec.dataset.snapshot import NOTHING
from seqrec.dataset.splits import leave_last
from seqrec.errors import UserError
from seqrec.ranking.build_features import Dataset, place_ratings
from seqrec.ranking.genres import genre_list
from seqrec.ranking.history import counted
from seqrec.ranking.matching import draw_negatives, tickets
from seqrec.ranking.rating_splits import count_strays, mark_ratings, split_ratings
from seqrec.ranking.samples import label
from seqrec.tables import schemas

MARKED = "user_id bigint, place int, position int, held string, item_id string, rating float, timestamp bigint"


def test_splits_follow_the_place_among_the_held_out_events(spark: SparkSession) -> None:
    """User 1 has a valid and a test event, 2 no event, 3 two valid ones; with a cut at 30 only what is before is train."""
    marks: dict[int, list[str | None]] = {
        1: ["train", None, "valid", None, "test", None],
        2: [None, None],
        3: [None, "valid", "valid", None],
    }
    rows = [
        (user, place, 0 if held else None, held, "a", 1.0, 10 * place + 25)
        for user, of_user in marks.items()
        for place, held in enumerate(of_user)
    ]
    marked = spark.createDataFrame([*rows, (4, None, 0, "train", "a", 1.0, 5)], MARKED)
    for cut, expected in (
        (None, {1: "train train valid valid test -", 2: "train train", 3: "train valid valid -"}),
        (30, {1: "train - valid valid test -", 2: "train -", 3: "train valid valid -"}),
    ):
        found = sorted(split_ratings(marked, first_cut=cut).select("user_id", "place", "split").collect())
        assert {user: " ".join(row["split"] or "-" for row in found if row["user_id"] == user) for user in marks} == expected
        assert len(found) == len(rows)


@pytest.mark.parametrize("collapse", [False, True])
def test_events_among_ratings_that_differ_in_the_order_column_alone_are_found(spark: SparkSession, collapse: bool) -> None:
    """Each event's place is the one that the dataset gave it; item 3 is outside the k-core, a rating of 1 below the minimum."""
    draw = random.Random(5)
    rows = [
        (user, draw.randint(1, 3), draw.choice((1.0, 4.0, 5.0)), draw.randint(1, 2), order / 10)
        for user in range(8)
        for order in range(24)
    ]
    ratings = spark.createDataFrame([*rows, *rows[:20]], "user_id int, item_id int, rating float, timestamp bigint, order double")
    items = spark.createDataFrame([(1, 1, True), (2, 2, True), (3, 3, False)], "item_id int, label int, core boolean")
    split = partial(leave_last, task="train_val_test", share=None, seed=1)
    built = clean(ratings, partitions=2, min_rating=2, collapse=collapse)
    arranged = arrange(built, items, split=split, users=0, collapse=collapse)
    learned = events(arranged).withColumnRenamed("item_idx", "item_id")
    histories = clean(ratings, partitions=2)
    marked = mark_ratings(histories, learned, partitions=2, ordered=True, collapse=collapse).persist()
    placed = arranged.select("user_id", F.posexplode("event_places").alias("position", "place"))
    marks = marked.where("position IS NOT NULL").select("user_id", "position", "place")
    assert sorted(marks.collect()) == sorted(placed.collect())
    assert count_strays(marked) == {"events": placed.count(), "strays": 0}
    assert marked.count() == len(rows)


@pytest.mark.parametrize("order", [[0.1, 0.2, 0.3, 0.4], ["1", "2", "3", "4"]])
def test_held_out_events_that_differ_in_the_order_column_alone_stay_held_out(spark: SparkSession, order: list[Any]) -> None:
    """Four equal ratings: the last is the test, the one before valid, and no other rating is."""
    kind = "double" if isinstance(order[0], float) else "string"
    columns = f"user_id bigint, item_id bigint, rating float, timestamp bigint, `order` {kind}"
    raw = spark.createDataFrame([(1, 9, 5.0, 7, place) for place in reversed(order)], columns)
    splits = ["train", "train", "valid", "test"]
    learned = spark.createDataFrame(
        [(1, 2, 5.0, 7000, position, split) for position, split in enumerate(splits)], schemas.events(schemas.IDS["bigint"])
    )
    items = spark.createDataFrame([(9, 2, 2)], schemas.items(schemas.IDS["bigint"]))
    built = {"input": {"columns": {"order": "order"}}, "drop_consecutive_duplicates": False, "split_times": None}
    dataset = Dataset(learned, items, LongType(), LongType(), {"run_id": "1", "settings": built, "inputs": {"ratings": "r"}})
    given = Ratings(raw, profile(raw, user="bigint", item="bigint", time="s"), "no file", NOTHING)
    placed = place_ratings(given, dataset, partitions=2).ratings.select("place", "position", "split").collect()
    assert sorted(map(tuple, placed)) == [(place, place, split) for place, split in enumerate(splits)]


def test_ratings_that_can_not_be_averaged_exactly_are_refused(spark: SparkSession) -> None:
    """Sums are of millionths in 64 bits."""
    raw = spark.createDataFrame(
        [(1, item, 4e12, 7, None) for item in (8, 9, 10)], "user_id int, item_id int, rating float, timestamp int, `order` int"
    )
    kind = schemas.IDS["bigint"]
    nothing = spark.createDataFrame([], schemas.events(kind)), spark.createDataFrame([], schemas.items(kind))
    dataset = Dataset(*nothing, LongType(), LongType(), {"run_id": "1", "settings": {"input": {"columns": {}}}})
    given = Ratings(raw, profile(raw, user="bigint", item="bigint", time="s"), "no file", NOTHING)
    with pytest.raises(UserError, match=r"the sizes of the ratings add up to 1\.2e\+13, but no more than 9e\+12 can be averaged"):
        place_ratings(given, dataset, partitions=1)


def test_labels(spark: SparkSession) -> None:
    ratings = spark.createDataFrame([(4.0,), (3.0,), (2.5,), (None,)], "rating float")
    equal = ("drop", "positive", "negative")
    (found,) = {tuple(tuple(row) for row in ratings.select(*(label(threshold=3, equal=one) for one in equal)).collect())}
    assert found == ((1, 1, 1), (None, 1, 0), (0, 0, 0), (None, None, None))


@pytest.mark.parametrize("threshold", [0.3, 4.1, 3.3])
def test_a_rating_equal_to_the_threshold_is_neither_above_nor_below(spark: SparkSession, threshold: float) -> None:
    """The ratings are floats: of 0.3 the float is above the double, of 4.1 below."""
    ratings = spark.createDataFrame([(threshold,), (threshold - 0.1,), (threshold + 0.1,)], "rating float")
    labels = (label(threshold=threshold, equal=equal) for equal in ("drop", "positive", "negative"))
    found = ratings.select(*labels, counted(threshold)["positives"].alias("positive")).collect()
    assert [tuple(row) for row in found] == [(None, 1, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1)]


def test_genres_of_each_shape_are_lists(spark: SparkSession) -> None:
    rows = [("a|b", '["a", "b"]', ["a", "b"], "1", "0"), (" b ||b", "[]", [], "1", "1"), (None, None, None, "0", "0")]
    raw = spark.createDataFrame(rows, "text string, json string, list array<string>, `Sci-Fi` string, `Children's` string")
    given: dict[str, Any] = {"path": "items", "delimiter": "|", "columns": None}
    shapes = {name: genre_list(raw, column=name, **given).alias(name) for name in ("text", "json", "list")}
    flags = genre_list(raw, path="items", delimiter="|", column=None, columns=["Sci-Fi", "Children's"]).alias("flags")
    assert [tuple(row) for row in raw.select(*shapes.values(), flags).collect()] == [
        (["a", "b"], ["a", "b"], ["a", "b"], ["Sci-Fi"]),
        (["b"], [], [], ["Sci-Fi", "Children's"]),
        ([], [], [], []),
    ]
    numbers = raw.selectExpr("1 AS genres")
    with pytest.raises(UserError, match=r"genres.column=genres is int, expected text such as A\|B"):
        genre_list(numbers, column="genres", **given)


def test_tickets_are_counts_to_the_power(spark: SparkSession) -> None:
    items = spark.createDataFrame([("a", 2, 16), ("b", 3, 1), ("c", 4, 0)], "item_id string, item_idx int, count bigint")
    assert sorted(map(tuple, tickets(items, power=0.75).collect())) == [("a", 0, 80_000), ("b", 80_000, 90_000)]


def test_negatives_are_drawn_by_popularity_without_the_users_positives(spark: SparkSession) -> None:
    """User 1 has had a, so that b (16), c (1) and d (81) are left, with weights 8, 1 and 27 of 36."""
    counts = [("a", 2, 256), ("d", 3, 81), ("b", 4, 16), ("c", 5, 1), ("e", 6, 0)]
    items = spark.createDataFrame(counts, "item_id string, item_idx int, count bigint")
    rows = [(1, position, "a") for position in range(4000)] + [(2, 0, name) for name in "abcd"]
    positives = spark.createDataFrame(rows, "user_id bigint, position int, item_id string")
    found = draw_negatives(positives, tickets(items, power=0.75), count=1, redraws=20, seed=1).collect()
    assert {row["user_id"] for row in found} == {1}, "user 2 has had everything"
    drawn = [row["item_id"] for row in found]
    shares = {name: drawn.count(name) / len(drawn) for name in "bcd"}
    assert shares == pytest.approx({"b": 8 / 36, "c": 1 / 36, "d": 27 / 36}, abs=0.03)
    assert len(drawn) > 3990
