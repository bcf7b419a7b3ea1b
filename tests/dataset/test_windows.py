"""Where windows go: files of near-equal rows, each written by one task."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.windows import Filing, file_count, partition_keys, shuffle_into_files


@pytest.mark.parametrize("partitions", [1, 8, 1000])
def test_each_partition_gets_its_key(spark: SparkSession, partitions: int) -> None:
    keys = partition_keys(spark, partitions)
    assert {row["file"] for row in keys.collect()} == set(range(partitions))
    sent = keys.repartition(partitions, "partition_key")
    assert sent.where(F.spark_partition_id() != F.col("file")).count() == 0
    assert sent.count() == partitions


@pytest.mark.parametrize(
    ("rows", "expected"), [(0, 1), (1, 1), (7, 7), (8, 8), (16384, 8), (16385, 16), (32768, 16), (32769, 24)]
)
def test_files_are_a_multiple_and_never_empty(rows: int, expected: int) -> None:
    assert file_count(rows, Filing(rows_per_file=2048, multiple=8)) == expected


def test_rows_lie_in_the_order_of_the_hash(spark: SparkSession) -> None:
    cut = spark.range(53).select(
        F.array(F.col("id").cast("int"), F.lit(1)).alias("items"),
        F.lit(2).alias("length"),
        F.xxhash64("id").alias("user"),
        F.pmod(F.col("id"), F.lit(4)).alias("bucket"),
        (-F.col("id")).alias("key"),
        F.col("id").alias("user_id"),
        F.lit(0).alias("window"),
    )
    buckets = {bucket: len(range(bucket, 53, 4)) for bucket in range(4)}
    filed = shuffle_into_files(cut, buckets=buckets, filing=Filing(rows_per_file=20, multiple=5))
    parts = [[row["items"][0] for row in part] for part in filed.rdd.glom().collect()]
    assert [len(part) for part in parts] == [11, 11, 10, 11, 10]
    assert [user for part in parts for user in part] == [
        user for bucket in range(4) for user in sorted(range(bucket, 53, 4), reverse=True)
    ]
