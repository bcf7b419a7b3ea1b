"""Similar items against plain Python."""

import math
import random
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.session import working
from seqrec.errors import UserError
from seqrec.retrieval.activity import Limits, item_users, sample_users, user_items
from seqrec.retrieval.item_cf import item_pairs
from seqrec.retrieval.item_similarity import methods, similar_items
from seqrec.retrieval.pairs import estimate, guard_pairs
from seqrec.retrieval.swing import Smoothing, user_pairs
from seqrec.tables import schemas
from tests.retrieval import reference

DEFAULTS: dict[str, Any] = {
    "top_n": 100,
    "min_user_items": 1,
    "max_user_items": 1000,
    "max_users_per_item": None,
    "max_pairs": 10**9,
    "seed": 42,
    "alpha1": 15,
    "alpha2": 0,
    "beta": 0.3,
}
METHODS = {"item_cf": reference.item_cf, "swing": reference.swing}
Pairs = list[tuple[int, int]]


def drawn(*, users: int = 40, items: int = 25, events: int = 400) -> Pairs:
    """Pairs of user and item, some of them repeated, the lower items popular; one user has everything, one a single item."""
    draw = random.Random(5)
    pairs = [(draw.randint(1, users), 2 + int(draw.random() ** 2 * items)) for _ in range(events)]
    return pairs + [(users + 1, item) for item in range(2, items + 2)] + [(users + 2, 2)]


def events_of(spark: SparkSession, pairs: Pairs, partitions: int = 3) -> DataFrame:
    return spark.createDataFrame(pairs, "user_id bigint, item_idx int").repartition(partitions)


def found(spark: SparkSession, pairs: Pairs, *, partitions: int = 3, **settings: Any) -> dict[int, list[tuple[int, float]]]:
    """The lists of each item; an item's id is a thousand less its index, so that ids and indices are ordered differently."""
    items = spark.createDataFrame([(1000 - idx, idx, 1) for idx in range(2, 60)], schemas.items(schemas.IDS["bigint"]))
    known = {**DEFAULTS, **settings}
    limits = Limits(**{field.name: known[field.name] for field in fields(Limits)})
    smoothing = Smoothing(**{field.name: known[field.name] for field in fields(Smoothing)})
    method = methods(smoothing)[known["method"]]
    events = events_of(spark, pairs, partitions)
    with (
        working(spark, partitions=partitions),
        similar_items(events, items, method=method, limits=limits, top_n=known["top_n"]) as (table, _),
    ):
        assert table.columns == schemas.similar_items(schemas.IDS["bigint"]).fieldNames()
        rows = table.collect()
    assert len({row["item_id"] for row in rows}) == len(rows)
    return {row["item_id"]: [(entry["item_id"], entry["score"]) for entry in row["items"]] for row in rows}


def named(pairs: Pairs) -> Pairs:
    """With ids in place of indices."""
    return [(user, 1000 - idx) for user, idx in pairs]


def assert_lists(ours: dict[int, list[tuple[int, float]]], expected: dict[int, list[tuple[int, float]]]) -> None:
    assert {item: [other for other, _ in row] for item, row in ours.items()} == {
        item: [other for other, _ in row] for item, row in expected.items()
    }
    for item, row in expected.items():
        assert [score for _, score in ours[item]] == pytest.approx([score for _, score in row], rel=1e-6)


def test_item_cf_by_hand(spark: SparkSession) -> None:
    # The weights are 1/2, 1/3 and 1; so the sums over the users of items 2, 3, 4 are 11/6, 5/6, 1/3.
    pairs = [(1, 2), (1, 3), (2, 2), (2, 3), (2, 4), (3, 2)]
    ours = found(spark, pairs, method="item_cf")
    scores = {
        (2, 3): 5 / 6 / math.sqrt(11 / 6 * 5 / 6),
        (2, 4): 1 / 3 / math.sqrt(11 / 6 / 3),
        (3, 4): 1 / 3 / math.sqrt(5 / 6 / 3),
    }
    expected = {2: [(3, scores[2, 3]), (4, scores[2, 4])], 3: [(2, scores[2, 3]), (4, scores[3, 4])]}
    expected[4] = [(3, scores[3, 4]), (2, scores[2, 4])]
    assert_lists(ours, {1000 - i: [(1000 - j, score) for j, score in row] for i, row in expected.items()})


def test_swing_by_hand(spark: SparkSession) -> None:
    # alpha1 2, alpha2 1, beta 1/2: weights 1/sqrt(2 + items) are 1/2, 1/2, 1/sqrt 5. Users 1 and 2 have items 2 and 3 in common,
    # and so have 1 and 3, and 2 and 3; nobody shares item 4, 5 or 6.
    pairs = [(1, 2), (1, 3), (2, 2), (2, 3), (3, 2), (3, 3), (3, 4), (4, 5), (4, 6)]
    ours = found(spark, pairs, method="swing", alpha1=2, alpha2=1, beta=0.5)
    score = (1 / 4 + 2 * (1 / 2) * (1 / math.sqrt(5))) / (1 + 2)
    assert_lists(ours, {998: [(997, score)], 997: [(998, score)]})


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_loops_find(spark: SparkSession, method: str) -> None:
    pairs = drawn()
    users = reference.within(named(pairs), 4, 20)
    assert 0 < len(users) < 40
    expected = reference.lists(METHODS[method](users), 7)
    assert_lists(found(spark, pairs, method=method, top_n=7, min_user_items=4, max_user_items=20), expected)


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_stands_for_all_users(spark: SparkSession, method: str) -> None:
    """Of at most 5 users an item: the sums run over them, scaled to all users within, of whom sizes and denominators are."""
    pairs, cap = drawn(), 5
    users = user_items(events_of(spark, pairs), min_user_items=2, max_user_items=20)
    samples = sample_users(users, max_users_per_item=cap, seed=42)
    user_of = {tuple(row["items"]): row["user_id"] for row in users.collect()}
    assert len(user_of) == users.count()  # so that a list of items tells the user
    chosen: dict[int, set[int]] = {}
    for row in samples.collect():
        chosen.setdefault(1000 - row["item_idx"], set()).add(user_of[tuple(row["items"])])
    sets = reference.within(named(pairs), 2, 20)
    sizes = {item: len(of) for item, of in reference.turned(sets).items()}
    assert {item: len(of) for item, of in chosen.items()} == {item: min(cap, size) for item, size in sizes.items()}
    assert max(sizes.values()) > 2 * cap
    ours = found(spark, pairs, method=method, min_user_items=2, max_user_items=20, max_users_per_item=cap)
    assert_lists(ours, reference.lists(METHODS[method](sets, chosen), 100))


@pytest.mark.parametrize("method", METHODS)
def test_partitions_change_nothing_and_seeds_the_sample(spark: SparkSession, method: str) -> None:
    settings: dict[str, Any] = {"method": method, "max_users_per_item": 6}
    single, seven = (found(spark, drawn(), partitions=partitions, **settings) for partitions in (1, 7))
    assert single == seven
    assert found(spark, drawn(), seed=7, **settings) != single


@pytest.mark.parametrize("pairs_of", [item_pairs, user_pairs])
def test_the_estimate_is_the_number_of_pairs(spark: SparkSession, pairs_of: Callable[[int | None], Any]) -> None:
    users = user_items(events_of(spark, drawn()), min_user_items=1, max_user_items=None)
    counted = {}
    for cap in (None, 10):
        samples = sample_users(users, max_users_per_item=cap, seed=1)
        sizes = samples.groupBy("item_idx").agg(F.count("*").alias("n"), F.sum(F.col("size") - 1).alias("others")).collect()
        of_items, of_users = sum(row["others"] for row in sizes), sum(row["n"] * (row["n"] - 1) // 2 for row in sizes)
        counted[cap] = of_items if pairs_of is item_pairs else of_users
        work = estimate(item_users(users), pairs=pairs_of, max_users_per_item=cap)
        # A sample's users have as many items as the others on average alone.
        assert work.pairs == pytest.approx(counted[cap], rel=0.1 if cap and pairs_of is item_pairs else 0)
        assert work.most_users == max(row["n"] for row in sizes)
    assert work.pairs < counted[None]


def test_too_many_pairs_are_refused_with_the_cap_that_helps(spark: SparkSession) -> None:
    users = user_items(events_of(spark, drawn()), min_user_items=1, max_user_items=None)
    work = estimate(item_users(users), pairs=user_pairs, max_users_per_item=None)
    assert list(work.smaller) == [1000, 500, 200, 100, 50, 20, 10]
    with pytest.raises(
        UserError, match=r"swing would count about .* max_users_per_item=null.*lower it to max_users_per_item=20 \("
    ):
        guard_pairs(work, method="swing", max_users_per_item=None, max_pairs=work.smaller[20])
    with pytest.raises(UserError, match="lower it, and max_user_items, or raise max_pairs"):
        guard_pairs(work, method="swing", max_users_per_item=None, max_pairs=5)
    guard_pairs(work, method="swing", max_users_per_item=None, max_pairs=work.pairs)


def test_limits_that_leave_nothing_are_refused(spark: SparkSession) -> None:
    with pytest.raises(UserError, match="no pair to count"):
        found(spark, drawn(), method="item_cf", min_user_items=26, max_user_items=None)
    with pytest.raises(UserError, match="no pair to count"):
        found(spark, [(1, 2), (2, 2)], method="item_cf")
