"""The users whose next items are held out, of one split of a dataset, or a seeded sample of them."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.tables.datasets import Dataset, open_dataset


@dataclass(frozen=True)
class HeldOut:
    """A dataset, the split (valid or test), and its users that are evaluated, cached (schemas.held_out)."""

    dataset: Dataset
    split: str
    users: DataFrame


def open_held_out(spark: SparkSession, data: str, *, split: str, sample_users: int | None, seed: int) -> HeldOut:
    """Act: a split of the dataset's current version, or a sample of its users; UserError if it holds nobody out."""
    dataset = open_dataset(spark, data)
    users = dataset.held_out(split)
    if users.isEmpty():
        raise UserError(
            f"{dataset.table(split)} holds nobody out (task {dataset.meta.task}): take the other split or another task"
        )
    return HeldOut(dataset, split, sample(users, users=sample_users, seed=seed).persist())


def sample(table: DataFrame, *, users: int | None, seed: int) -> DataFrame:
    """`users` rows of a table (key user_id), or all if None: those whose ids hash lowest with the seed, however partitioned."""
    if users is None:
        return table
    return table.orderBy(F.xxhash64(F.lit(seed), "user_id"), "user_id").limit(users)
