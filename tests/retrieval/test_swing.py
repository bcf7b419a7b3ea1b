"""Swing's sums over an item's users against plain Python, in blocks and batches of any size."""

import random

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.ragged import Ragged
from seqrec.retrieval.activity import Sample, item_users, sample_users, user_items
from seqrec.retrieval.swing import Smoothing, pair_sums, swing
from tests.retrieval import reference


def lists(users: int) -> list[list[int]]:
    """Distinct sorted items of each user: item 2 is everybody's, item 3 half the users', the others those of a few."""
    draw = random.Random(3)
    return [sorted({2, 3 + user % 2, *draw.choices(range(5, 70), k=draw.randint(1, 9))}) for user in range(users)]


@pytest.mark.parametrize("block", [1, 150, 2**20])
@pytest.mark.parametrize("alpha2", [0.0, 1.5])
def test_sums_are_what_loops_find_whatever_the_block(block: int, alpha2: float) -> None:
    of_users = lists(60)
    weights = 1 / (15.0 + np.array([len(items) for items in of_users])) ** 0.3
    items, sums = pair_sums(Ragged.of(of_users), weights, alpha2=alpha2, block=block)
    expected = reference.swing({user: {1, *listed} for user, listed in enumerate(of_users)}, alpha1=14, alpha2=alpha2 - 1)[1]
    assert dict(zip(items.tolist(), sums, strict=True)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("of_users", [[[2, 3]], [[2, 3], [4]]], ids=["one user", "nothing in common"])
def test_users_with_nothing_in_common_say_nothing(of_users: list[list[int]]) -> None:
    items, sums = pair_sums(Ragged.of(of_users), np.ones(len(of_users)), alpha2=0.0)
    assert (items.tolist(), sums.tolist()) == ([], [])


def test_batches_change_nothing(spark: SparkSession) -> None:
    """Spark cuts partitions into batches anywhere, also within an item."""
    pairs = [(user, item) for user, listed in enumerate(lists(30)) for item in listed]
    users = user_items(spark.createDataFrame(pairs, "user_id bigint, item_idx int"), min_user_items=1, max_user_items=None)
    sampled = sample_users(users, max_users_per_item=None, seed=1).repartition(2, "item_idx")
    sample = Sample(users=sampled, items=item_users(users), max_users_per_item=None, most_users=30, top_n=5)
    rows = {}
    before = str(spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch"))
    for size in ("1", "7", "10000"):
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", size)
        try:
            scores = swing(sample, smoothing=Smoothing(alpha1=15, alpha2=0, beta=0.3)).collect()
        finally:
            spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", before)
        rows[size] = {(row["item_idx"], row["neighbour"]): row["score"] for row in scores}
        assert len(rows[size]) == len(scores)
    assert rows["1"] == rows["7"] == rows["10000"] != {}
