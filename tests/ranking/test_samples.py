"""Splits, labels, genres and negatives, by hand."""

import random
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.build_sequences import Ratings
from seqrec.dataset.clean import clean
from seqrec.dataset.events import arrange
from seqrec.dataset.profile import WantedTypes, profile
from seqrec.dataset.sequences import events
from seqrec.dataset.snapshot import NOTHING
from seqrec.dataset.splits import SplitChoice, splitter
from seqrec.errors import UserError
from seqrec.ranking.build_features import assign_splits
from seqrec.ranking.features_as_of import summands
from seqrec.ranking.genres import GenreSource, genre_list
from seqrec.ranking.matching_samples import NegativeDrawing, draw_negatives, tickets
from seqrec.ranking.ranking_samples import Labelling, rating_label
from seqrec.ranking.rating_splits import StrayCounts, count_strays, mark_ratings, split_ratings
from seqrec.storage.metadata import DatasetMeta
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset
from seqrec.tables.input_table import InputTable
from tests.metas import dataset_meta

MARKED = "user_id bigint, ordinal int, position int, held string, item_id string, rating float, timestamp bigint"


def ratings_of(raw: DataFrame) -> Ratings:
    """A table as it is after the first pass."""
    table = InputTable(key="input", path="no file")
    return Ratings(raw, profile(raw, WantedTypes(user="bigint", item="bigint", time="s")), table, NOTHING)


def write_dataset(folder: Path, events: DataFrame, items: DataFrame, *, settings: dict[str, Any]) -> Dataset:
    """A dataset of integer ids with these two tables alone."""
    kind = schemas.IDS["bigint"]
    io.write_table(events, f"{folder}/events", schemas.events(kind))
    io.write_table(items, f"{folder}/items", schemas.items(kind))
    meta = {**dataset_meta("1", size=items.count(), item="bigint"), "settings": settings}
    return Dataset(events.sparkSession, str(folder), DatasetMeta.model_validate(meta))


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
        found = sorted(split_ratings(marked, first_cut=cut).select("user_id", "ordinal", "split").collect())
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
    items = spark.createDataFrame([(1, 1, True), (2, 2, True), (3, 3, False)], "item_id int, item int, core boolean")
    split = splitter(SplitChoice(task="train_val_test"), seed=1)
    built = clean(ratings, partitions=2, min_rating=2, collapse=collapse)
    arranged = arrange(built, items, split=split, users=0, collapse=collapse)
    learned = events(arranged).withColumnRenamed("item_idx", "item_id")
    histories = clean(ratings, partitions=2)
    marked = mark_ratings(histories, learned, partitions=2, ordered=True, collapse=collapse).persist()
    placed = arranged.select("user_id", F.posexplode("event_ordinals").alias("position", "ordinal"))
    marks = marked.where("position IS NOT NULL").select("user_id", "position", "ordinal")
    assert sorted(marks.collect()) == sorted(placed.collect())
    assert count_strays(marked) == StrayCounts(events=placed.count(), strays=0)
    assert marked.count() == len(rows)


@pytest.mark.parametrize("order", [[0.1, 0.2, 0.3, 0.4], ["1", "2", "3", "4"]])
def test_held_out_events_that_differ_in_the_order_column_alone_stay_held_out(
    spark: SparkSession, tmp_path: Path, order: list[Any]
) -> None:
    """Four equal ratings: the last is the test, the one before valid, and no other rating is."""
    kind = "double" if isinstance(order[0], float) else "string"
    columns = f"user_id bigint, item_id bigint, rating float, timestamp bigint, `order` {kind}"
    raw = spark.createDataFrame([(1, 9, 5.0, 7, place) for place in reversed(order)], columns)
    splits = ["train", "train", "valid", "test"]
    learned = spark.createDataFrame(
        [(1, 2, 5.0, 7000, position, split) for position, split in enumerate(splits)], schemas.events(schemas.IDS["bigint"])
    )
    items = spark.createDataFrame([(9, 2, 2)], schemas.items(schemas.IDS["bigint"]))
    dataset = write_dataset(tmp_path, learned, items, settings={"input": {"columns": {"order": "order"}}})
    placed = assign_splits(ratings_of(raw), dataset, partitions=2).ratings.select("ordinal", "position", "split").collect()
    assert sorted(map(tuple, placed)) == [(place, place, split) for place, split in enumerate(splits)]


def test_ratings_that_can_not_be_averaged_exactly_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    """Sums are of millionths in 64 bits."""
    raw = spark.createDataFrame(
        [(1, item, 4e12, 7, None) for item in (8, 9, 10)], "user_id int, item_id int, rating float, timestamp int, `order` int"
    )
    kind = schemas.IDS["bigint"]
    nothing = spark.createDataFrame([], schemas.events(kind)), spark.createDataFrame([], schemas.items(kind))
    dataset = write_dataset(tmp_path, *nothing, settings={})
    with pytest.raises(UserError, match=r"the sizes of the ratings add up to 1\.2e\+13, but no more than 9e\+12 can be averaged"):
        assign_splits(ratings_of(raw), dataset, partitions=1)


def test_labels(spark: SparkSession) -> None:
    ratings = spark.createDataFrame([(4.0,), (3.0,), (2.5,), (None,)], "rating float")
    equal = ("drop", "positive", "negative")
    (found,) = {
        tuple(tuple(row) for row in ratings.select(*(rating_label(Labelling(threshold=3, equal=one)) for one in equal)).collect())
    }
    assert found == ((1, 1, 1), (None, 1, 0), (0, 0, 0), (None, None, None))


@pytest.mark.parametrize("threshold", [0.3, 4.1, 3.3])
def test_a_rating_equal_to_the_threshold_is_neither_above_nor_below(spark: SparkSession, threshold: float) -> None:
    """The ratings are floats: of 0.3 the float is above the double, of 4.1 below."""
    ratings = spark.createDataFrame([(threshold,), (threshold - 0.1,), (threshold + 0.1,)], "rating float")
    labels = (rating_label(Labelling(threshold=threshold, equal=equal)) for equal in ("drop", "positive", "negative"))
    found = ratings.select(*labels, summands(threshold)["positives"].alias("positive")).collect()
    assert [tuple(row) for row in found] == [(None, 1, 0, 0), (0, 0, 0, 0), (1, 1, 1, 1)]


def test_genres_of_each_shape_are_lists(spark: SparkSession) -> None:
    rows = [("a|b", '["a", "b"]', ["a", "b"], "1", "0"), (" b ||b", "[]", [], "1", "1"), (None, None, None, "0", "0")]
    raw = spark.createDataFrame(rows, "text string, json string, list array<string>, `Sci-Fi` string, `Children's` string")
    shapes = {name: genre_list(raw, GenreSource(column=name), path="items").alias(name) for name in ("text", "json", "list")}
    flags = genre_list(raw, GenreSource(columns=["Sci-Fi", "Children's"]), path="items").alias("flags")
    assert [tuple(row) for row in raw.select(*shapes.values(), flags).collect()] == [
        (["a", "b"], ["a", "b"], ["a", "b"], ["Sci-Fi"]),
        (["b"], [], [], ["Sci-Fi", "Children's"]),
        ([], [], [], []),
    ]
    numbers = raw.selectExpr("1 AS genres")
    with pytest.raises(UserError, match=r"genres.column=genres is int, expected text such as A\|B"):
        genre_list(numbers, GenreSource(column="genres"), path="items")


def test_tickets_are_counts_to_the_power(spark: SparkSession) -> None:
    items = spark.createDataFrame([("a", 2, 16), ("b", 3, 1), ("c", 4, 0)], "item_id string, item_idx int, count bigint")
    assert sorted(map(tuple, tickets(items, power=0.75).collect())) == [("a", 0, 80_000), ("b", 80_000, 90_000)]


def test_negatives_are_drawn_by_popularity_without_the_users_positives(spark: SparkSession) -> None:
    """User 1 has had a, so that b (16), c (1) and d (81) are left, with weights 8, 1 and 27 of 36."""
    counts = [("a", 2, 256), ("d", 3, 81), ("b", 4, 16), ("c", 5, 1), ("e", 6, 0)]
    items = spark.createDataFrame(counts, "item_id string, item_idx int, count bigint")
    rows = [(1, position, "a") for position in range(4000)] + [(2, 0, name) for name in "abcd"]
    positives = spark.createDataFrame(rows, "user_id bigint, position int, item_id string")
    found = draw_negatives(
        positives, tickets(items, power=0.75), NegativeDrawing(count=1, redraws=20, power=0.75, seed=1)
    ).collect()
    assert {row["user_id"] for row in found} == {1}, "user 2 has had everything"
    drawn = [row["item_id"] for row in found]
    shares = {name: drawn.count(name) / len(drawn) for name in "bcd"}
    assert shares == pytest.approx({"b": 8 / 36, "c": 1 / 36, "d": 27 / 36}, abs=0.03)
    assert len(drawn) > 3990
