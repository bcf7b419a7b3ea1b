"""The k-core against plain Python."""

import random

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.dataset import k_core as module
from seqrec.dataset.k_core import k_core
from seqrec.errors import UserError
from tests.dataset import reference


def histories(spark: SparkSession, pairs: list[tuple[int, int]]) -> DataFrame:
    """Pairs of user and item, a row a user."""
    events = spark.createDataFrame(pairs, "user_id bigint, item_id bigint")
    return events.groupBy("user_id").agg(F.collect_list("item_id").alias("items"))


def test_it_is_what_is_left_when_nothing_more_is_dropped(spark: SparkSession) -> None:
    draw = random.Random(3)
    pairs = [(draw.randint(1, 40), draw.randint(1, 30)) for _ in range(190)]
    kept = reference.k_core([reference.Rating(user, str(item), 1.0, 0, 0) for user, item in pairs], 4, 4)
    expected = {int(rating.item) for rating in kept}
    assert 0 < len(expected) < 30
    found = k_core(histories(spark, pairs), users=4, items=4)
    assert {row["item_id"] for row in found.collect()} == expected


def test_a_chain_falls_item_by_item_and_the_rounds_are_bounded(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    # User n has items n and n + 1: each item has two users but the first and the last, whose loss takes their neighbours along.
    chain = histories(spark, [(n, item) for n in range(8) for item in (n, n + 1)])
    with pytest.raises(UserError, match=r"k_core\.users=2 and k_core\.items=2 leave no events"):
        k_core(chain, users=2, items=2)
    monkeypatch.setattr(module, "MAX_ROUNDS", 2)
    with pytest.raises(UserError, match="aren't stable after 2 rounds"):
        k_core(chain, users=2, items=2)


def test_one_is_off(spark: SparkSession) -> None:
    found = k_core(histories(spark, [(1, 10), (2, 20), (2, 20)]), users=1, items=0)
    assert {row["item_id"] for row in found.collect()} == {10, 20}


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(n % 20, n) for n in range(200)], "none of 200 items has two users: the columns are probably others than"),
        ([(n, n % 20) for n in range(200)], "none of 200 users has two items: the columns are probably others than"),
        ([(n, 1) for n in range(9)], r"\(0 of 9 users have 5 events; 1 of 1 items have 5 events\): lower them"),
        ([], r"\(0 of 0 users have 5 events; 0 of 0 items have 5 events\): lower them"),
        ([(n % 20, n // 2) for n in range(200)], r"\(20 of 20 users have 5 events; 0 of 100 items have 5 events\): lower them"),
    ],
)
def test_an_empty_core_says_whether_the_columns_or_the_limits_are_to_blame(
    spark: SparkSession, pairs: list[tuple[int, int]], said: str
) -> None:
    with pytest.raises(UserError, match=f"k_core.users=5 and k_core.items=5 leave no events.*{said}"):
        k_core(histories(spark, pairs), users=5, items=5)
