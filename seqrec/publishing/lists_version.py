"""A version of lists and item embeddings, opened to be published."""

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from seqrec.publishing import guards
from seqrec.storage import files
from seqrec.storage.metadata import ListsMeta
from seqrec.tables import io, schemas


@dataclass(frozen=True, kw_only=True)
class ListsVersion:
    """A version that batch_recommend or train_two_tower wrote, and the users (a column user_id) to publish; None for all."""

    spark: SparkSession
    path: str
    meta: ListsMeta
    users: DataFrame | None

    @property
    def output(self) -> str:
        """The folder of the versions."""
        return self.path.rpartition("/")[0]

    @property
    def whole(self) -> bool:
        """Whether the version has all users and all of them are published: then it replaces everything that a store holds."""
        return self.users is None and self.meta.users is None

    def recommendations(self) -> DataFrame:
        """Act: the lists of the users; UserError if the table hasn't the number of rows in meta.json."""
        user, item = (schemas.IDS[kind] for kind in (self.meta.id_types.user, self.meta.id_types.item))
        path = self.table("recommendations")
        horizon, explained = self.meta.horizon is not None, self.meta.explanation is not None
        schema = schemas.recommendations(user, item, horizon=horizon, reranked=self.meta.reranked, explained=explained)
        table = io.read_table(self.spark, path, schema)
        guards.check_rows(table, self.meta, "recommendations", path=path)
        return table if self.users is None else table.join(self.users, "user_id", "left_semi")

    def item_embeddings(self) -> DataFrame:
        """Act: the items; UserError if the table hasn't the number of rows in meta.json."""
        path = self.table("item_embeddings")
        table = io.read_table(self.spark, path, schemas.item_embeddings(schemas.IDS[self.meta.id_types.item]))
        guards.check_rows(table, self.meta, "item_embeddings", path=path)
        return table

    def table(self, name: str) -> str:
        """The path of a table."""
        return files.join(self.path, name)


def open_lists(spark: SparkSession, path: str, *, users: DataFrame | None) -> ListsVersion:
    """The version at a path; UserError if its meta.json isn't one of lists."""
    return ListsVersion(spark=spark, path=path, meta=ListsMeta.read(path), users=users)
