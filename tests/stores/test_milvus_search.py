"""Search for users, on Milvus Lite and on MILVUS_URI_TEST."""

from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import LongType, StringType

from seqrec.stores import milvus
from seqrec.stores import milvus_search as search
from seqrec.stores.milvus_alias import MilvusAlias
from seqrec.stores.milvus_index import Index
from seqrec.stores.milvus_search import search_for_users
from seqrec.stores.vectors import Embeddings
from tests.servers import MILVUS_SERVERS
from tests.stores.test_milvus import RUNS, A, embeddings, put

NOT_BY_TASKS = [name for name in MILVUS_SERVERS if name != "aliases"]  # those aliases are this process's, and tasks search
pytestmark = pytest.mark.parametrize("milvus_server", NOT_BY_TASKS, indirect=True)
USERS = "user_id bigint, embedding array<float>, seen array<int>"


def lists(searched: DataFrame) -> dict[Any, list[tuple[Any, float]]]:
    return {row["user_id"]: [(item["item_id"], item["score"]) for item in row["items"]] for row in searched.collect()}


def test_the_best_unseen_items_of_each_user(spark: SparkSession, alias: MilvusAlias) -> None:
    """Items a (2), b (3), c (4), d (5), of which b and c score alike; d is left out for all."""
    put(spark, {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.0, 1.0], "d": [1.0, 1.0]}, alias, A)
    users = spark.createDataFrame([(1, [3.0, 1.0], []), (2, [3.0, 1.0], [2]), (3, [0.0, -1.0], [2, 3, 4])], USERS)
    searched = search_for_users(users, alias, item=StringType(), top_k=2, params={}, without=[5])
    assert lists(searched) == {1: [("a", 3.0), ("b", 1.0)], 2: [("b", 1.0), ("c", 1.0)], 3: []}


def test_many_users_against_a_double_loop(spark: SparkSession, alias: MilvusAlias, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES", 3)
    rng = np.random.default_rng(5)
    items, queries = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(10, 4)).astype(np.float32)
    put(spark, {100 + index: row.tolist() for index, row in enumerate(items)}, alias, A)
    seen = [sorted(rng.choice(30, size=user, replace=False).tolist()) for user in range(10)]
    rows = [(user, queries[user].tolist(), [2 + item for item in seen[user]]) for user in range(10)]
    by_search = lists(search_for_users(spark.createDataFrame(rows, USERS), alias, item=LongType(), top_k=7, params={}))
    for user in range(10):
        scores = items @ queries[user]
        best = [item for item in np.argsort(-scores) if item not in seen[user]][:7]
        assert [item for item, _ in by_search[user]] == [100 + item for item in best]
        assert [score for _, score in by_search[user]] == pytest.approx(scores[best].tolist(), rel=1e-5)


def test_an_index_by_cosine(spark: SparkSession, alias: MilvusAlias) -> None:
    """By cosine b is nearer than a, whose inner product is larger."""
    table = embeddings(spark, {"a": [9.0, 9.0], "b": [1.0, 0.0]})
    index = Index(kind="FLAT", params={}, metric="COSINE")
    checked = Embeddings(table=table, rows=2, dim=2)
    if alias.server.aliases:
        milvus.stage(alias, checked, run_id=RUNS[A], publish_id=A, index=index, writers=1)
        milvus.switch(alias, publish_id=A)
    else:
        milvus.upsert(alias, checked, run_id=RUNS[A], index=index)
    users = spark.createDataFrame([(1, [1.0, 0.1], [])], USERS)
    assert [item for item, _ in lists(search_for_users(users, alias, item=StringType(), top_k=2, params={}))[1]] == ["b", "a"]
