"""Training windows: cut from the training history, shuffled once, in files of near-equal rows.

A file is one row group, which the trainer's loader reads and shuffles as a unit; so the windows of a user must not lie together.
The order is a hash of the seed, the user and the window: files hold the same rows in the same order whatever the partitioning.
No task sees more than a bucket or a file, and the driver only the number of windows in each bucket.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from seqrec.dataset.sequences import newest_before
from seqrec.tables import io
from seqrec.tables.numbering import first_numbers

BUCKETS = 1024  # of the shuffle; the driver takes their counts
IDS_A_PARTITION = 64  # integers that are hashed for each partition, see `partition_keys`
SHORTEST = 2  # items: one to predict and one to predict it from


@dataclass(frozen=True, kw_only=True)
class Windowing:
    """How training windows are cut and shuffled.

    max_len   a window has at most max_len + 1 items: an input of max_len and the target of its last item
    stride    events between the ends of two windows of a user; None: a user has one window, which ends with the last event
    seed      of the order in which the windows lie in their files
    """

    max_len: int
    stride: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class Filing:
    """How windows lie in files: at most rows_per_file in each, and a number of files that is a multiple of `multiple`."""

    rows_per_file: int
    multiple: int


def windows(arranged: DataFrame, windowing: Windowing) -> DataFrame:
    """items (2 to max_len + 1, oldest first), length, user, and the columns of the shuffle: bucket, key, user_id, window.

    Window 0 ends with the user's last training event, window k ends k strides (of at most max_len) before that, and the last
    one begins with the first event, so that each pair of neighbours is in a window. Without a stride there is window 0 only.
    Users with fewer than 2 training events have none.
    """
    users, end = arranged.where(F.col("train_length") >= SHORTEST), F.col("train_length")
    of_user = F.transform(
        _window_numbers(windowing),
        lambda window: F.struct(
            window.alias("window"),
            newest_before(F.col("event_items"), end - window * (windowing.stride or 0), windowing.max_len + 1).alias("items"),
        ),
    )
    cut, key = users.select("user_id", F.inline(of_user)), _shuffle_key(windowing.seed)
    return cut.select(
        "items",
        F.size("items").alias("length"),
        F.xxhash64("user_id").alias("user"),
        bucket_of(key).alias("bucket"),
        key.alias("key"),
        "user_id",
        "window",
    )


def window_count(windowing: Windowing) -> Column:
    """How many windows a user of `train_length` events has."""
    enough = F.col("train_length") >= SHORTEST
    if windowing.stride is None:
        return F.when(enough, 1).otherwise(0)
    further = F.greatest(F.lit(0), F.ceil((F.col("train_length") - windowing.max_len - 1) / windowing.stride))
    return F.when(enough, 1 + further).otherwise(0).cast("int")


def _window_numbers(windowing: Windowing) -> Column:
    """The numbers of the windows of a user who has some, as an array."""
    if windowing.stride is None:
        return F.array(F.lit(0))
    return F.sequence(F.lit(0), window_count(windowing) - 1)


def count_buckets(arranged: DataFrame, windowing: Windowing) -> dict[int, int]:
    """Act: the number of windows in each bucket of the shuffle, without cutting them."""
    users = arranged.where(F.col("train_length") >= SHORTEST)
    numbered = users.select("user_id", F.explode(_window_numbers(windowing)).alias("window"))
    counts = numbered.groupBy(bucket_of(_shuffle_key(windowing.seed)).alias("bucket")).count()
    return {row["bucket"]: row["count"] for row in counts.collect()}


def shuffle_into_files(
    cut: DataFrame, *, buckets: dict[int, int], filing: Filing, columns: Sequence[str] = ("items", "length", "user")
) -> DataFrame:
    """The columns of rows in the order of a hash, one partition a file; files differ by at most one row.

    A row has besides them the columns of the shuffle: bucket, key, user_id, window (see `windows`). Its number is that of its
    bucket's first row (see `tables.numbering`) plus its rank in the bucket.
    """
    spark, total = cut.sparkSession, sum(buckets.values())
    files = file_count(total, filing)
    starts = io.few_rows(spark, list(first_numbers(buckets).items()), "bucket", "start")
    rank = F.row_number().over(Window.partitionBy("bucket").orderBy("key", "user_id", "window")) - 1
    numbered = cut.withColumn("rank", rank).join(starts, "bucket").withColumn("number", F.col("start") + F.col("rank"))
    filed = numbered.withColumn("file", F.floor(F.col("number") * files / max(total, 1)))
    keyed = filed.join(partition_keys(spark, files), "file")
    return keyed.repartition(files, "partition_key").sortWithinPartitions("number").select(*columns)


def partition_keys(spark: SparkSession, partitions: int) -> DataFrame:
    """For each `file`, counted from 0, a `partition_key` that `repartition(partitions, "partition_key")` sends to that partition.

    Spark itself computes its hash of the first integers, and the smallest that belongs to a partition is taken. With
    IDS_A_PARTITION times as many integers as partitions the chance that a partition gets none is below 1e-20.
    """
    ids = spark.range(0, IDS_A_PARTITION * partitions, numPartitions=1)
    partition = F.pmod(F.hash("id"), F.lit(partitions)).cast("bigint").alias("file")
    return F.broadcast(ids.groupBy(partition).agg(F.min("id").alias("partition_key")))


def file_count(rows: int, filing: Filing) -> int:
    """The least multiple of `multiple` with at most rows_per_file rows in a file; with fewer rows than files, one for each row.

    >>> filing = Filing(rows_per_file=2048, multiple=8)
    >>> file_count(6040, filing), file_count(5, filing)
    (8, 5)
    """
    needed = -(-rows // filing.rows_per_file)
    return max(1, min(rows, -(-needed // filing.multiple) * filing.multiple))


def _shuffle_key(seed: int) -> Column:
    """What windows are ordered by: a seeded hash of the user and the window's number."""
    return F.xxhash64(F.lit(seed), "user_id", "window")


def bucket_of(key: Column) -> Column:
    """The bucket of a key of the shuffle, one of BUCKETS."""
    return F.pmod(key, F.lit(BUCKETS))
