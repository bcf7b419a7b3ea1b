"""A user's hash is Spark's, so that tables, the trainer and one user from code mean the same."""

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.user_hashes import hash_ids, user_rows


def test_ids_hash_as_in_spark(spark: SparkSession) -> None:
    numbers = [0, 7, -1, 2**63 - 1, -(2**63)]
    texts = ["", "a", "abcd", "user-00012", "é🦊", "x" * 31, "x" * 32, "x" * 1000]
    for ids, kind in ((numbers, "bigint"), (texts, "string")):
        rows = spark.createDataFrame([(number, user) for number, user in enumerate(ids)], f"number int, id {kind}")
        hashed = [row[0] for row in rows.orderBy("number").select(F.xxhash64("id")).collect()]
        assert hash_ids(pa.array(ids)).tolist() == hashed


def test_rows_count_from_one_and_strangers_have_none() -> None:
    assert user_rows(np.array([5, 9, 1, 7]), np.array([1, 5, 7])).tolist() == [2, 0, 1, 3]
    assert user_rows(np.array([5]), np.zeros(0, np.int64)).tolist() == [0]
