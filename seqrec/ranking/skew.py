"""Sums and joins for keys with very many rows, such as a popular item: no task sees all rows of a key."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

ROWS_PER_BUCKET = 500_000
MOST_BUCKETS = 256


def time_cuts(histories: DataFrame, *, rows: int, rows_per_bucket: int = ROWS_PER_BUCKET) -> list[int]:
    """Act: timestamps that cut all the ratings of histories (see `dataset.clean`) into buckets of about equal numbers.

    A bucket has about rows_per_bucket ratings, or more where MOST_BUCKETS don't suffice. So no item has more in a bucket, unless
    more ratings than that have the same timestamp. No result depends on where the cuts are.
    """
    buckets = min(-(-rows // rows_per_bucket), MOST_BUCKETS)
    if buckets <= 1:
        return []
    shares = [number / buckets for number in range(1, buckets)]
    times = histories.select(F.explode("timestamps").alias("timestamp"))
    quantiles = times.agg(F.percentile_approx("timestamp", shares)).collect()[0][0]
    return sorted(set(quantiles))


def time_bucket(cuts: Sequence[int]) -> Column:
    """The bucket of the column timestamp: how many of the cuts don't lie after it."""
    if not cuts:
        return F.lit(0)
    return F.size(F.filter(F.array(*map(F.lit, cuts)), lambda cut: cut <= F.col("timestamp")))


def earlier_sums(
    rows: DataFrame, *, group: Sequence[str], block: str, order: str, values: Sequence[str], table: DataFrame | None = None
) -> DataFrame:
    """Rows with `earlier_VALUE` for each value: its sum over the group's rows of a smaller `order`, which is unique in the group.

    Blocks are ranges of the order. A sum is the totals of the blocks before, which are summed over a small table, plus the values
    before inside the block. So a task holds no more of a group than a block. Values are whole numbers, so that no sum depends on
    the order of additions. Without a group all rows are one group, and the table of its blocks passes through one task. The
    columns of a `table` with a row a group are joined to the blocks, and so to the rows (nulls for a group that it lacks).
    """
    before = Window.partitionBy(*group).orderBy(block).rowsBetween(Window.unboundedPreceding, -1)
    inside = Window.partitionBy(*group, block).orderBy(order).rowsBetween(Window.unboundedPreceding, -1)
    totals = rows.groupBy(*group, block).agg(*(F.sum(value).alias(value) for value in values))
    blocks = totals.select(*group, block, *(F.sum(value).over(before).alias(f"offset_{value}") for value in values))
    joined = [] if table is None else [name for name in table.columns if name not in group]
    blocks = blocks if table is None else blocks.join(table, list(group), "left")
    summed = rows.withColumns({f"inside_{value}": F.sum(value).over(inside) for value in values})
    kept = [name for name in rows.columns if name not in values]
    earlier = [
        (F.coalesce(f"inside_{value}", F.lit(0)) + F.coalesce(f"offset_{value}", F.lit(0)))
        .cast("bigint")
        .alias(f"earlier_{value}")
        for value in values
    ]
    return summed.join(blocks, [*group, block]).select(*kept, *earlier, *joined)


def join_spread(rows: DataFrame, table: DataFrame, *, key: str, bucket: str) -> DataFrame:
    """A left join by a key that is unique in the table, and that very many of the rows may share.

    The table is first joined to the distinct pairs of key and bucket, then these to the rows, which a key's buckets spread.
    """
    pairs = rows.select(key, bucket).distinct().join(table, key, "left")
    return rows.join(pairs, [key, bucket], "left")
