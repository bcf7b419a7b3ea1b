"""Users scored by Spark, with a model whose query is the sum of the history's rows (at most the last 4)."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.scoring.lists import ListSettings
from seqrec.scoring.shipping import Shipped, ship
from seqrec.scoring.udf import embed_users, rank_users, recommend_users
from seqrec.serving.exports import open_export
from seqrec.serving.topk import BlockSizes
from tests.scoring.toy import write_model

HISTORY = "user_id bigint, items array<int>, seen array<int>"
# items a to f are 2 to 7; f was never seen in training
MATRIX = np.array([[0, 0], [9, 9], [1, 0], [2, 0], [0, 1], [0, 1], [1, 1], [8, 8]], np.float32)
IDS = ["a", "b", "c", "d", "e", "f"]
COUNTS = [9, 2, 7, 7, 1, 0]


@pytest.fixture
def model(spark: SparkSession, tmp_path: Path) -> Shipped:
    write_model(tmp_path / "toy", MATRIX, IDS, COUNTS)
    return ship(spark, open_export(str(tmp_path / "toy")))


def lists(scored: DataFrame) -> dict[Any, tuple[str, list[tuple[str, float]]]]:
    return {row["user_id"]: (row["source"], [tuple(item) for item in row["items"]]) for row in scored.collect()}


def test_lists_are_those_computed_by_hand(spark: SparkSession, model: Shipped) -> None:
    rows = [
        (1, [2], [2]),  # query (1, 0): b 2, e 1, then c and d 0, the lower index first
        (2, [4, 5], [4, 5, 6]),  # query (0, 2): a and b 0
        (3, [], []),  # by count, ties by index
        (4, [], [2, 5]),
        (5, [99, 1, 0], [99]),  # nothing that the model knows
        (6, [3, 3, 2, 2, 2, 2], [3]),  # the last 4: (4, 0)
    ]
    found = lists(recommend_users(spark.createDataFrame(rows, HISTORY), model=model, lists=ListSettings(top_k=4)))
    assert found == {
        1: ("model", [("b", 2.0), ("e", 1.0), ("c", 0.0), ("d", 0.0)]),
        2: ("model", [("a", 0.0), ("b", 0.0)]),
        3: ("popular", [("a", 9.0), ("c", 7.0), ("d", 7.0), ("b", 2.0)]),
        4: ("popular", [("c", 7.0), ("b", 2.0), ("e", 1.0)]),
        5: ("popular", [("a", 9.0), ("c", 7.0), ("d", 7.0), ("b", 2.0)]),
        6: ("model", [("a", 4.0), ("e", 4.0), ("c", 0.0), ("d", 0.0)]),
    }


def test_lists_are_never_longer_than_the_catalogue(spark: SparkSession, model: Shipped) -> None:
    """Nor is what is computed: arrays of 10^9 places a user would fit nowhere."""
    rows = spark.createDataFrame([(1, [2], [2])], HISTORY)
    longest, four = (recommend_users(rows, model=model, lists=ListSettings(top_k=top_k)) for top_k in (10**9, 4))
    assert lists(longest) == lists(four)


def test_seen_items_stay_where_they_are_not_filtered(spark: SparkSession, model: Shipped) -> None:
    rows = spark.createDataFrame([(1, [2], [2, 3]), (2, [], [2])], HISTORY)
    found = lists(recommend_users(rows, model=model, lists=ListSettings(top_k=2, filter_seen=False)))
    assert found == {1: ("model", [("b", 2.0), ("a", 1.0)]), 2: ("popular", [("a", 9.0), ("c", 7.0)])}


def test_only_available_items_are_recommended(spark: SparkSession, model: Shipped) -> None:
    available = np.array([True, True, False, False, False, True, True, True])  # d, e, f
    rows = spark.createDataFrame([(1, [2], [2]), (2, [], [])], HISTORY)
    found = lists(recommend_users(rows, model=model, lists=ListSettings(top_k=3), available=available))
    assert found == {1: ("model", [("e", 1.0), ("d", 0.0)]), 2: ("popular", [("d", 7.0), ("e", 1.0)])}


def test_embeddings_are_the_queries_and_null_without_known_items(spark: SparkSession, model: Shipped) -> None:
    rows = spark.createDataFrame([(1, [], []), (2, [2, 6], []), (3, [77], []), (4, [4], [])], HISTORY)
    expected = {1: None, 2: [2.0, 1.0], 3: None, 4: [0.0, 1.0]}
    scored = recommend_users(rows, model=model, lists=ListSettings(top_k=1), embeddings=True)
    assert {row["user_id"]: row["embedding"] for row in scored.collect()} == expected
    assert {row["user_id"]: row["embedding"] for row in embed_users(rows, model=model).collect()} == expected


def test_ranks_are_those_computed_by_hand(spark: SparkSession, model: Shipped) -> None:
    rows = [
        (1, [2], [2], [4]),  # query (1, 0): f 8, b 2, e 1, then c ties with d
        (2, [2], [2, 6, 7], [6]),  # the target was seen: b 2, e 1
        (3, [], [2], [5, 3]),  # by count: c and d 7, b less
        (4, [2], [], [99]),  # behind all 6
    ]
    held_out = spark.createDataFrame(rows, HISTORY + ", targets array<int>")
    ranked = rank_users(held_out, model=model, top_k=2)
    assert {row["user_id"]: (row["targets"], row["ranks"]) for row in ranked.collect()} == {
        1: ([4], [5]),
        2: ([6], [2]),
        3: ([5, 3], [2, 3]),
        4: ([99], [7]),
    }
    assert lists(ranked) == {
        1: ("model", [("f", 8.0), ("b", 2.0)]),
        2: ("model", [("b", 2.0), ("e", 1.0)]),
        3: ("popular", [("c", 7.0), ("d", 7.0)]),
        4: ("model", [("f", 8.0), ("b", 2.0)]),
    }


def test_the_number_of_partitions_changes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    matrix = random.standard_normal((302, 16)).astype(np.float32)
    write_model(tmp_path / "toy", matrix, list(range(300)), [1] * 300, max_len=40)
    model = ship(spark, open_export(str(tmp_path / "toy")))
    histories = [random.integers(2, 302, size).tolist() for size in random.integers(0, 60, 200)]
    table = spark.createDataFrame([(user, items, sorted(set(items))) for user, items in enumerate(histories)], HISTORY)
    settings: dict[str, Any] = {"lists": ListSettings(top_k=20), "sizes": BlockSizes(items=64), "embeddings": True}
    found = [sorted(recommend_users(table.repartition(parts), model=model, **settings).collect()) for parts in (1, 7, 64)]
    assert found[0] == found[1] == found[2]


def test_string_users_pass_through(spark: SparkSession, model: Shipped) -> None:
    rows = spark.createDataFrame([("$where", [2], [2]), ("", [], []), ("a.b 😀", [4], [4])], HISTORY.replace("bigint", "string"))
    assert set(lists(recommend_users(rows, model=model, lists=ListSettings(top_k=1)))) == {"$where", "", "a.b 😀"}


def test_scores_that_are_not_finite_are_an_error(spark: SparkSession, tmp_path: Path) -> None:
    write_model(tmp_path / "toy", np.where(MATRIX == 8, np.nan, MATRIX), IDS, COUNTS)
    model = ship(spark, open_export(str(tmp_path / "toy")))
    with pytest.raises(Exception, match="not finite"):
        rank_users(spark.createDataFrame([(1, [2], [], [3])], HISTORY + ", targets array<int>"), model=model).collect()
