"""Candidates by hand, and against plain Python on random inputs."""

import random
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from seqrec.retrieval.fusion import expand_seeds, fuse, list_entries, rank_scored, similar_by_index
from seqrec.tables import schemas
from seqrec.tables.schemas import IDS

BIGINT, STRING = IDS["bigint"], IDS["string"]
HISTORIES = "user_id bigint, items array<int>, seen array<int>"
LISTS = "user_id bigint, source string, items array<struct<item_id: string, item_idx: int, score: float>>"
RECOMMENDATIONS = "user_id bigint, items array<struct<item_id: string, score: float>>"
IDS_OF_ITEMS = {index: chr(ord("a") + index - 2) for index in range(2, 22)}


@pytest.fixture(scope="module")
def items(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([(item, index, 1) for index, item in IDS_OF_ITEMS.items()], schemas.items(STRING))


def similar_items(spark: SparkSession, rows: dict[str, list[tuple[str, float]]]) -> DataFrame:
    return spark.createDataFrame(list(rows.items()), schemas.similar_items(STRING))


def listed(table: DataFrame) -> dict[Any, list[tuple[Any, ...]]]:
    return {row["user_id"]: [tuple(entry) for entry in row["items"]] for row in table.collect()}


def test_newest_seeds_are_expanded_and_summed_and_seen_items_left_out(spark: SparkSession, items: DataFrame) -> None:
    similar = similar_items(spark, {"a": [("b", 1.0), ("c", 0.5)], "b": [("d", 0.25), ("c", 0.25)], "c": [("a", 9.0)]})
    histories = [(1, [4, 2, 3, 2], [2, 3, 4]), (2, [2, 3], [3]), (3, [21], [21]), (4, [], [])]
    table = spark.createDataFrame(histories, HISTORIES)
    scored = expand_seeds(table, similar_by_index(similar, items), max_seeds=2)
    assert sorted(tuple(row) for row in scored.where("user_id = 1").collect()) == [
        (1, 3, 1.0),
        (1, 4, 0.25),
        (1, 4, 0.5),
        (1, 5, 0.25),
    ]
    found = listed(rank_scored(scored, table, items, top_n=2))
    assert found == {1: [("d", 5, 0.25)], 2: [("c", 4, 0.75), ("d", 5, 0.25)]}


def test_equal_scores_are_ordered_by_index_and_unknown_items_left_out(spark: SparkSession, items: DataFrame) -> None:
    lists = spark.createDataFrame([(1, [("d", 2.0), ("b", 1.0), ("?", 1.0), ("c", 1.0), ("a", 0.5)])], RECOMMENDATIONS)
    histories = spark.createDataFrame([(1, [2], [2])], HISTORIES)
    found = listed(rank_scored(list_entries(lists, items), histories, items, top_n=2))
    assert found == {1: [("d", 5, 2.0), ("b", 3, 1.0)]}


def test_ranks_are_fused_with_weights_and_sources_kept(spark: SparkSession) -> None:
    rows = [
        (1, "cf", [("a", 2, 9.0), ("b", 3, 8.0)]),
        (1, "model", [("c", 4, -1.0), ("a", 2, -2.0)]),
        (2, "model", [("b", 3, 0.5)]),
    ]
    users = spark.createDataFrame([(1,), (2,), (3,)], "user_id bigint")
    found = fuse(spark.createDataFrame(rows, LISTS), users, weights={"model": 2.0, "cf": 1.0}, k=1, top_n=2)
    assert [items for _, items in sorted(listed(found).items())] == [
        [
            ("a", 2, pytest.approx(2 / 3 + 1 / 2), [("model", 2, -2.0), ("cf", 1, 9.0)]),  # rank 2 of model, rank 1 of cf
            ("c", 4, 1.0, [("model", 1, -1.0)]),
        ],
        [("b", 3, 1.0, [("model", 1, 0.5)])],
        [],
    ]


def naive_rank(scores: dict[int, float], seen: list[int], top_n: int) -> list[tuple[int, float]]:
    kept = [(-score, item) for item, score in scores.items() if item not in seen]
    return [(item, -less) for less, item in sorted(kept)[:top_n]]


def naive(
    histories: list[Any], similar: dict[str, list[Any]], lists: dict[int, list[Any]], *, max_seeds: int, top_n: int, k: int
) -> dict[int, list[Any]]:
    """Item, float32 score and sources of each user's candidates, in double loops; weights are 1 and 0.5."""
    index = {item: number for number, item in IDS_OF_ITEMS.items()}
    found = {}
    for user, items, seen in histories:
        seeds = list(dict.fromkeys(reversed(items)))[:max_seeds]
        sums: dict[int, float] = {}
        for seed in seeds:
            for item, score in similar.get(IDS_OF_ITEMS[seed], []):
                sums[index[item]] = sums.get(index[item], 0.0) + score
        proposed = {"cf": sums, "model": {index[item]: score for item, score in lists.get(user, [])}}
        fused: dict[int, float] = {}
        sources: dict[int, list[Any]] = {}
        for name, weight in (("cf", 1.0), ("model", 0.5)):
            for place, (item, score) in enumerate(naive_rank(proposed[name], seen, top_n), start=1):
                fused[item] = fused.get(item, 0.0) + weight / (k + place)
                sources.setdefault(item, []).append((name, place, score))
        merged = naive_rank({item: float(np.float32(score)) for item, score in fused.items()}, [], top_n)
        found[user] = [(IDS_OF_ITEMS[item], item, score, sources[item]) for item, score in merged]
    return found


@pytest.mark.parametrize("partitions", [1, 7])
def test_as_plain_python_whatever_the_partitions(spark: SparkSession, items: DataFrame, partitions: int) -> None:
    draw = random.Random(5)
    known = list(IDS_OF_ITEMS.values())
    similar = {item: [(other, draw.randint(1, 8) / 8) for other in draw.sample(known, 6) if other != item] for item in known[:15]}
    histories = []
    for user in range(12):
        past = [draw.choice(list(IDS_OF_ITEMS)) for _ in range(draw.randint(0, 8))]
        histories.append((user, past, sorted({*past, *draw.sample(list(IDS_OF_ITEMS), 2)})))
    lists = {user: [(item, float(-place)) for place, item in enumerate(draw.sample(known, 6))] for user in range(0, 12, 2)}
    settings = {"max_seeds": 3, "top_n": 5}

    table = spark.createDataFrame(histories, HISTORIES).repartition(partitions)
    alike = similar_by_index(similar_items(spark, similar).repartition(partitions), items)
    scored = expand_seeds(table, alike, max_seeds=settings["max_seeds"])
    finished = list_entries(spark.createDataFrame(list(lists.items()), RECOMMENDATIONS).repartition(partitions), items)
    ranked = {"cf": scored, "model": finished}
    both = [
        rank_scored(rows, table, items, top_n=settings["top_n"]).selectExpr("user_id", f"'{name}' AS source", "items")
        for name, rows in ranked.items()
    ]
    found = fuse(both[0].unionByName(both[1]), table, weights={"cf": 1.0, "model": 0.5}, k=60, top_n=settings["top_n"])
    assert listed(found) == naive(histories, similar, lists, **settings, k=60)


def test_scored_rows_are_shuffled_once_and_by_user(spark: SparkSession, items: DataFrame) -> None:
    histories = spark.createDataFrame([(1, [2], [2])], HISTORIES)
    scored = spark.createDataFrame([(1, 3, 0.5)], "user_id bigint, item_idx int, score float")
    plan = rank_scored(scored, histories, items.hint("broadcast"), top_n=2)._jdf.queryExecution().executedPlan().toString()
    shuffles = [line.split("Exchange ")[1] for line in plan.splitlines() if "Exchange hashpartitioning" in line]
    assert len(shuffles) == 1
    assert shuffles[0].startswith("hashpartitioning(user_id")
