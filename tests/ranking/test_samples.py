"""Splits, labels, genres and negatives, by hand."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from seqrec.errors import UserError
from seqrec.ranking.genres import genre_list
from seqrec.ranking.matching import draw_negatives, tickets
from seqrec.ranking.samples import label
from seqrec.ranking.splits import split_ratings

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


def test_labels(spark: SparkSession) -> None:
    ratings = spark.createDataFrame([(4.0,), (3.0,), (2.5,), (None,)], "rating float")
    equal = ("drop", "positive", "negative")
    (found,) = {tuple(tuple(row) for row in ratings.select(*(label(threshold=3, equal=one) for one in equal)).collect())}
    assert found == ((1, 1, 1), (None, 1, 0), (0, 0, 0), (None, None, None))


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
