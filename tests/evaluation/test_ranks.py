"""seqrec.evaluation on tables of a few rows, worked by hand."""

import math
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import UserError
from seqrec.evaluation.held_out import sample
from seqrec.evaluation.ranked import Ranked, final_ranks, rank_lists, require_finite, require_fitting
from seqrec.evaluation.report import measure, measure_apart, predictions, show_metrics, without_repeated
from seqrec.storage.metadata import ListsMeta
from seqrec.tables import schemas
from seqrec.tables.schemas import IDS
from tests.metas import lists_meta

BIGINT, STRING = IDS["bigint"], IDS["string"]
RANKED = "user_id bigint, targets array<int>, ranks array<bigint>, items array<int>"
LISTS = "user_id bigint, items array<struct<item_id: string, score: float>>"


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    rows = [("a", 2, 5), ("b", 3, 3), ("c", 4, 1), ("new", 5, 0)]
    return spark.createDataFrame(rows, schemas.items(STRING))


@pytest.fixture(scope="module")
def held_out(spark: SparkSession) -> DataFrame:
    rows = [(user, [2, 3], [2, 3], targets) for user, targets in enumerate([[4], [2], [4, 3, 2], [5]], start=1)]
    return spark.createDataFrame(rows, schemas.held_out(BIGINT))


def by_user(ranked: DataFrame, column: str) -> dict[int, Any]:
    return {row["user_id"]: row[column] for row in ranked.collect()}


def test_metrics_are_of_all_users_and_coverage_of_the_first_ten(spark: SparkSession) -> None:
    rows = [(1, [2], [1], [2, 3]), (2, [3], [3], [3, 4]), (3, [4], [0], []), (4, [5], [500], [*range(2, 12), 99])]
    found = measure(Ranked(name="a", table=spark.createDataFrame(rows, RANKED)), catalogue=20)
    assert found["users"] == 4
    assert found["misses"] == 1
    assert found["ndcg@1"] == 1 / 4
    assert found["ndcg@5"] == pytest.approx((1 + 1 / 2) / 4)
    assert found["hit_rate@10"] == 2 / 4
    assert found["mrr@100"] == pytest.approx((1 + 1 / 3) / 4)
    assert (found["rank100"], found["rank100_share"]) == (2, 0.5)
    assert found["coverage@10"] == 10 / 20  # items 2 to 11; 99 stands at the eleventh place


def test_metrics_below_the_end_of_the_lists_are_left_out(spark: SparkSession) -> None:
    ranked = spark.createDataFrame([(1, [2], [1], [2]), (2, [3], [6], [2])], RANKED)
    kinds = ("ndcg", "hit_rate", "mrr", "recall", "precision", "map")
    names = {"users", "targets", "misses"} | {f"{kind}@{cutoff}" for kind in kinds for cutoff in (1, 5)}
    five, ten = (measure(Ranked(name="a", table=ranked, listed=listed), catalogue=4) for listed in (5, 10))
    assert set(five) == names
    assert set(ten) == names | {*(f"{kind}@10" for kind in kinds), "coverage@10", "gini@10"}


def test_a_target_with_a_vector_or_in_its_list_is_ranked_though_cold(spark: SparkSession) -> None:
    """3 has a vector and 4 has none; of the two in lists of two items, user 3's target stands at the second place."""
    items = spark.createDataFrame([(2, 5, False), (3, 0, True), (4, 0, False)], "item_idx int, count bigint, vector boolean")
    rows = [(1, [2, 3], [3, 1], [2]), (2, [4], [5], [2]), (3, [4], [2], [2])]
    ranked = spark.createDataFrame(rows, RANKED)
    held_out = ranked.select("user_id", "targets")
    found = final_ranks(ranked, held_out, items)
    assert by_user(found, "ranks") == {1: [3, 1], 2: [0], 3: [0]}
    assert by_user(found, "cold") == {1: [False, True], 2: [True], 3: [True]}
    assert by_user(final_ranks(ranked, held_out, items, listed=2), "ranks") == {1: [3, 1], 2: [0], 3: [2]}
    apart = measure_apart(Ranked(name="a", table=found), catalogue=3)
    assert {name: group["users"] for name, group in apart.items()} == {"warm": 1, "cold": 3}
    assert (apart["warm"]["mrr@10"], apart["cold"]["mrr@10"], apart["cold"]["misses"]) == (1 / 3, 1 / 3, 2)
    warm = found.where("user_id = 1").selectExpr("user_id", "array(2) targets", "array(3L) ranks", "array(false) cold", "items")
    assert measure_apart(Ranked(name="a", table=warm), catalogue=3) == {}


def test_metrics_of_several_targets(spark: SparkSession) -> None:
    """Ranks 2 and 4 of three targets, one of which is a miss; ranks 1 and 200 of two."""
    rows = [(1, [2, 3, 4], [4, 0, 2], [2]), (2, [5, 6], [200, 1], [2])]
    found = measure(Ranked(name="a", table=spark.createDataFrame(rows, RANKED)), catalogue=20, cutoffs=(2, 5))
    assert {name: found[name] for name in ("users", "targets", "misses", "rank100")} == {
        "users": 2,
        "targets": 5,
        "misses": 1,
        "rank100": 3,
    }
    second, fourth = 1 / math.log2(3), 1 / math.log2(5)
    expected = {
        "hit_rate@2": 1,
        "recall@2": (1 / 3 + 1 / 2) / 2,
        "precision@2": (1 / 2 + 1 / 2) / 2,
        "map@2": (1 / 2 / 2 + 1 / 2) / 2,
        "mrr@2": (1 / 2 + 1) / 2,
        "ndcg@2": (second + 1) / (1 + second) / 2,
        "recall@5": (2 / 3 + 1 / 2) / 2,
        "precision@5": (2 / 5 + 1 / 5) / 2,
        "map@5": ((1 / 2 + 2 / 4) / 3 + 1 / 2) / 2,
        "ndcg@5": ((second + fourth) / (1 + second + 1 / 2) + 1 / (1 + second)) / 2,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    shown = show_metrics(without_repeated({"a": found}))
    labels = [line.rsplit("  ", 1)[0].strip() for line in shown.splitlines()[1:]]
    missing, cutoffs = "targets that are never recommended (misses)", ("NDCG", "hit rate", "recall", "precision", "MAP", "MRR")
    ranked = [f"{name}@{cutoff}" for name in cutoffs for cutoff in (2, 5)]
    assert labels == [
        "users",
        "targets",
        missing,
        *ranked,
        "coverage (catalogue in the first 10)",
        "Gini index of exposure in the first 10",
    ]


def test_targets_without_a_training_event_or_unknown_are_misses_and_ties_are_parted(
    spark: SparkSession, items: DataFrame
) -> None:
    rows = [(1, [4], [2], [2]), (2, [5], [2], [2]), (3, [6, 2, 3], [1, 9, 4], [2]), (4, [2, 5, 3, 4], [3, 3, 7, 3], [2])]
    ranked = spark.createDataFrame(rows, RANKED)
    found = final_ranks(ranked, ranked.select("user_id", "targets"), items)
    assert by_user(found, "ranks") == {1: [2], 2: [0], 3: [0, 9, 4], 4: [2, 0, 7, 3]}
    assert by_user(found, "targets") == {user: targets for user, targets, _, _ in rows}


def test_lists_rank_by_score_with_ties_against_the_target(spark: SparkSession, held_out: DataFrame, items: DataFrame) -> None:
    rows: list[tuple[int, list[tuple[str, float]]]] = [
        (1, [("x", 3.0), ("c", 2.0), ("y", 2.0), ("z", 1.0)]),
        (2, [("x", 3.0)]),
        (4, [("new", 3.0)]),
        (9, [("x", 1.0)]),
    ]
    lists = spark.createDataFrame(rows, LISTS)
    ranked = rank_lists(held_out, lists, items, top_k=7, subset=False)
    assert by_user(ranked, "ranks") == {1: [3], 2: [8], 3: [10, 10, 10], 4: [1]}
    assert by_user(ranked, "items")[3] == []
    assert by_user(rank_lists(held_out, lists, items, top_k=7, subset=True), "ranks") == {1: [3], 2: [8], 4: [1]}
    several = spark.createDataFrame([(3, [("a", 2.0), ("x", 2.0), ("c", 1.0)])], LISTS)
    beyond = rank_lists(held_out.where("user_id = 3"), several, items, top_k=7, subset=False)
    assert by_user(beyond, "ranks") == {3: [3, 10, 2]}


def test_lists_that_are_not_in_the_order_of_their_scores_rank_by_place(
    spark: SparkSession, held_out: DataFrame, items: DataFrame
) -> None:
    """As re-ranked ones are, and those that were filled up; entries tie with those beside them alone."""
    rows = [(3, [("x", 1.0), ("a", 2.0), ("c", 9.0), ("y", 9.0), ("b", 1.0), ("z", 9.0)])]
    lists = spark.createDataFrame(rows, LISTS)
    assert by_user(rank_lists(held_out.where("user_id = 3"), lists, items, top_k=7, subset=False), "ranks") == {3: [4, 5, 2]}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_an_error(spark: SparkSession, bad: float) -> None:
    lists = spark.createDataFrame([(1, [("x", 1.0), ("y", bad)]), (2, [("x", 1.0)])], LISTS)
    with pytest.raises(UserError, match="out: the lists of 1 users have scores that aren't finite"):
        require_finite(lists, "out")
    require_finite(lists.where("user_id = 2"), "out")


def test_a_sample_is_the_same_for_every_partitioning_and_changes_with_the_seed(spark: SparkSession) -> None:
    users = spark.range(1000).withColumnRenamed("id", "user_id")
    chosen = {parts: set(by_user(sample(users.repartition(parts), users=50, seed=1), "user_id")) for parts in (1, 7, 64)}
    assert len(chosen[1]) == 50
    assert chosen[1] == chosen[7] == chosen[64]
    assert set(by_user(sample(users, users=50, seed=2), "user_id")) != chosen[1]
    assert sample(users, users=None, seed=1) is users


@pytest.mark.parametrize("k", [1, 10, 30])
def test_predictions_have_the_original_ids_and_k_items(k: int, spark: SparkSession, items: DataFrame) -> None:
    rows = [(1, [4, 2], [2, 0], [(f"i{place}", float(-place)) for place in range(12)])]
    ranked = spark.createDataFrame(rows, RANKED.replace("items array<int>", "items array<struct<item_id: string, score: float>>"))
    found = predictions(ranked, items, k=k)
    row = found.collect()[0]
    assert found.schema.simpleString() == schemas.predictions(BIGINT, STRING).simpleString()
    assert (row["user_id"], row["targets"], row["ranks"]) == (1, ["c", "a"], [2, 0])
    assert [entry["item_id"] for entry in row["items"]] == [f"i{place}" for place in range(min(k, 12))]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"history": "full"}, "made with history=full, not test: run batch_recommend history=test"),
        ({"dataset": "other"}, "made from dataset other, not mine: pass data=FOLDER/other"),
        ({"filter_seen": False}, "filter_seen=false"),
    ],
)
def test_a_table_of_another_history_dataset_or_filter_is_refused(changed: dict[str, object], message: str) -> None:
    meta = {**lists_meta("r"), "history": "test", "dataset": "mine", "filter_seen": True}
    require_fitting(ListsMeta.model_validate(meta), path="out", split="test", dataset="mine")
    with pytest.raises(UserError, match=message):
        require_fitting(ListsMeta.model_validate({**meta, **changed}), path="out", split="test", dataset="mine")
