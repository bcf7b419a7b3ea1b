"""A dataset that build_sequences wrote, opened: its tables and what its meta.json says of them.

    dataset = open_dataset(spark, "s3a://bucket/dataset")
    dataset.events.where("split = 'train'").join(dataset.items, "item_idx")

The version is resolved once, when the dataset is opened: all its tables are of one version, whatever is built meanwhile. A table
is opened, and its files are compared with meta.json, when it is first used.
"""

from dataclasses import dataclass
from functools import cached_property

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import DataType, StructType

from seqrec.storage import files, versions
from seqrec.storage.metadata import DatasetMeta
from seqrec.tables import io, schemas


@dataclass(frozen=True)
class Dataset:
    """A version of a dataset; the tables are those of `schemas`, with the dataset's types of ids."""

    spark: SparkSession
    path: str
    meta: DatasetMeta

    @property
    def user(self) -> DataType:
        """The type of the users' ids."""
        return schemas.IDS[self.meta.id_types.user]

    @property
    def item(self) -> DataType:
        """The type of the items' ids."""
        return schemas.IDS[self.meta.id_types.item]

    @cached_property
    def items(self) -> DataFrame:
        """The vocabulary."""
        return self._read("items", schemas.items(self.item))

    @cached_property
    def events(self) -> DataFrame:
        """The events of all splits, training and held out."""
        return self._read("events", schemas.events(self.user))

    @cached_property
    def sequences(self) -> DataFrame:
        """The whole history of every user."""
        return self._read("sequences", schemas.sequences(self.user))

    def held_out(self, split: str) -> DataFrame:
        """The users with a target in a split, valid or test."""
        return self._read(split, schemas.held_out(self.user))

    def histories(self, history: str) -> DataFrame:
        """user_id, items and seen of every user: of the full history, or of the input of valid or test."""
        table = self.sequences if history == "full" else self.held_out(history)
        return table.select("user_id", "items", "seen")

    def table(self, name: str) -> str:
        """The path of a table."""
        return files.join(self.path, name)

    def _read(self, name: str, schema: StructType) -> DataFrame:
        """A table of the dataset, with the schema checked."""
        return io.read_table(self.spark, self.table(name), schema)


def open_dataset(spark: SparkSession, folder: str) -> Dataset:
    """The current version of a dataset's folder, or the version that the path names; UserError if it isn't one."""
    path = versions.resolve(folder)
    return Dataset(spark, path, DatasetMeta.read(path))
