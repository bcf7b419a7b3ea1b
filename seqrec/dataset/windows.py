"""Training windows: cut from the training history, shuffled, in files of near-equal rows."""

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from seqrec.dataset.sequences import last
from seqrec.tables import io
from seqrec.tables.numbering import first_numbers

BUCKETS = 1024  # of the shuffle; the driver sees their counts
IDS_A_PARTITION = 64
SHORTEST = 2  # items: one to predict and one to predict it from


def windows(arranged: DataFrame, *, max_len: int, stride: int | None, seed: int) -> DataFrame:
    """items (2 to max_len + 1, oldest first), length, user, and what the shuffle goes by: bucket, key, user_id, window.

    Window 0 ends with the user's last training event, window k ends k strides (of at most max_len) before that, and the last
    one begins with the first event, so that each pair of neighbours is in a window. Without a stride there is window 0 only.
    Users with fewer than 2 training events have none.
    """
    some = arranged.where(F.col("train_length") >= SHORTEST)
    end = F.col("train_length")
    one = F.transform(
        _numbers(max_len=max_len, stride=stride),
        lambda window: F.struct(
            window.alias("window"), last(F.col("event_items"), end - window * (stride or 0), max_len + 1).alias("items")
        ),
    )
    cut, key = some.select("user_id", F.inline(one)), _key(seed)
    told = {"length": F.size("items"), "user": F.xxhash64("user_id"), "bucket": _bucket(key), "key": key}
    return cut.select("items", *(value.alias(name) for name, value in told.items()), "user_id", "window")


def window_count(*, max_len: int, stride: int | None) -> Column:
    """How many windows a user of `train_length` events has."""
    enough = F.col("train_length") >= SHORTEST
    if stride is None:
        return F.when(enough, 1).otherwise(0)
    more = F.greatest(F.lit(0), F.ceil((F.col("train_length") - max_len - 1) / stride))
    return F.when(enough, 1 + more).otherwise(0).cast("int")


def _numbers(*, max_len: int, stride: int | None) -> Column:
    """The windows of a user who has some, as an array."""
    if stride is None:
        return F.array(F.lit(0))
    return F.sequence(F.lit(0), window_count(max_len=max_len, stride=stride) - 1)


def count_buckets(arranged: DataFrame, *, max_len: int, stride: int | None, seed: int) -> dict[int, int]:
    """Act: the windows in each bucket of the shuffle, without cutting them."""
    some = arranged.where(F.col("train_length") >= SHORTEST)
    numbered = some.select("user_id", F.explode(_numbers(max_len=max_len, stride=stride)).alias("window"))
    return {row["bucket"]: row["count"] for row in numbered.groupBy(_bucket(_key(seed)).alias("bucket")).count().collect()}


def shuffle_into_files(cut: DataFrame, *, buckets: dict[int, int], rows_per_file: int, multiple: int) -> DataFrame:
    """Items, length and user in the order of a hash, one partition a file; files differ by at most one row.

    A window's number is that of its bucket's first window (see `tables.numbering`) plus its rank in the bucket.
    """
    spark, total = cut.sparkSession, sum(buckets.values())
    files = file_count(total, rows_per_file=rows_per_file, multiple=multiple)
    starts = io.few_rows(spark, list(first_numbers(buckets).items()), "bucket", "start")
    rank = F.row_number().over(Window.partitionBy("bucket").orderBy("key", "user_id", "window")) - 1
    numbered = cut.withColumn("rank", rank).join(starts, "bucket").withColumn("number", F.col("start") + F.col("rank"))
    filed = numbered.withColumn("file", F.floor(F.col("number") * files / max(total, 1)))
    placed = filed.join(partition_keys(spark, files), "file")
    return placed.repartition(files, "partition_key").sortWithinPartitions("number").select("items", "length", "user")


def partition_keys(spark: SparkSession, partitions: int) -> DataFrame:
    """For each `file`, counted from 0, a `partition_key` that `repartition(partitions, "partition_key")` sends to that partition.

    Spark's own hash is asked: for each partition the smallest of the first integers that the hash sends there is taken. With
    IDS_A_PARTITION times as many integers as partitions the chance that a partition gets none is below 1e-20.
    """
    ids = spark.range(0, IDS_A_PARTITION * partitions, numPartitions=1)
    partition = F.pmod(F.hash("id"), F.lit(partitions)).cast("bigint").alias("file")
    return F.broadcast(ids.groupBy(partition).agg(F.min("id").alias("partition_key")))


def file_count(rows: int, *, rows_per_file: int, multiple: int) -> int:
    """The least multiple of `multiple` that leaves at most `rows_per_file` rows to a file; a file a row where rows are fewer.

    >>> file_count(6040, rows_per_file=2048, multiple=8), file_count(5, rows_per_file=2048, multiple=8)
    (8, 5)
    """
    needed = -(-rows // rows_per_file)
    return max(1, min(rows, -(-needed // multiple) * multiple))


def _key(seed: int) -> Column:
    return F.xxhash64(F.lit(seed), "user_id", "window")


def _bucket(key: Column) -> Column:
    return F.pmod(key, F.lit(BUCKETS))
