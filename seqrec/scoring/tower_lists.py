"""A version of recommendations by two towers over features: lists and embeddings of all described users, and the items."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.scoring.batch_recommend import write_scored
from seqrec.scoring.described_users import SEEN, TowerTask
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.shipping import ship_towers
from seqrec.scoring.udf import recommend_by_towers
from seqrec.serving import sealed
from seqrec.serving.towers import tower_hashes
from seqrec.storage import files
from seqrec.storage.draft import Draft
from seqrec.storage.metadata import ListsMeta
from seqrec.tables import feature_schemas, io, schemas
from seqrec.tables.datasets import Dataset

if TYPE_CHECKING:
    from seqrec.storage.metadata import TowersMeta

WRITTEN = ("recommendations", "user_embeddings")


@dataclass(frozen=True, kw_only=True)
class TowerScoring:
    """How users are scored.

    export    the folder of the towers' export, and `meta` its meta.json
    users     the path of the table users
    hidden    user_id, and the item_idx of what is left out of the user's list
    history   until when that is known, for meta.json
    """

    export: str
    meta: "TowersMeta"
    users: str
    hidden: DataFrame
    history: str
    lists: ListSettings


def write_tower_lists(draft: Draft, dataset: Dataset, scoring: TowerScoring, *, generated_at: datetime) -> dict[str, int]:
    """Act: score all users that have features into a version; returns the counts, which its meta.json has too.

    Users that the dataset lacks are among them. What they have had is hidden as that of others.
    """
    spark, meta = dataset.spark, scoring.meta
    task = TowerTask(
        towers=ship_towers(spark, scoring.export, tower_hashes(meta.files, path=scoring.export)), top_k=scoring.lists.top_k
    )
    stamps = {"model": F.lit(meta.name), "run_id": F.lit(draft.run_id), "generated_at": F.lit(generated_at)}
    users = described_users(spark, scoring, columns=meta.user_columns)
    scored = recommend_by_towers(users, task=task, item=dataset.item).withColumns(stamps)
    working_on("scoring the users")
    table, schema = files.join(draft.path, sealed.EMBEDDINGS), schemas.item_embeddings(dataset.item)
    io.write_table(io.read_table(spark, files.join(scoring.export, sealed.EMBEDDINGS), schema), table, schema)
    counts = write_scored(scored, draft.path, item=dataset.item, write=WRITTEN, full=scoring.lists.top_k)
    counts |= {"item_embeddings": io.open_table(spark, table).count()}
    ListsMeta(
        run_id=draft.run_id,
        id_types=dataset.meta.id_types,
        dataset=dataset.meta.run_id,
        history=scoring.history,
        filter_seen=scoring.lists.filter_seen,
        top_k=scoring.lists.top_k,
        model=meta.name,
        model_run_id=meta.run_id,
        export=meta.export,
        checkpoint=meta.checkpoint,
        available=counts["item_embeddings"] - meta.counts["withheld"],
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def read_past(dataset: Dataset, export: str, past: str) -> DataFrame:
    """user_id, and as `seen` the sorted item_idx of all that the user has had, of the items of an export.

    `past` is the path of the table past_items of the features. It has users and items that the dataset lacks.
    """
    items = io.open_parquet(dataset.spark, files.join(export, sealed.VOCABULARY)).select("item_id", "item_idx")
    had = io.read_table(dataset.spark, past, feature_schemas.past_items(dataset.user, dataset.item))
    each = had.select("user_id", F.explode("items").alias("item_id")).join(items, "item_id")
    return each.groupBy("user_id").agg(F.sort_array(F.collect_list("item_idx")).alias("seen"))


def described_users(spark: SparkSession, scoring: TowerScoring, *, columns: Sequence[str]) -> DataFrame:
    """All rows of the table users: user_id, the columns, and SEEN, item indices that are left out of the user's list."""
    users = io.open_table(spark, scoring.users).select(*dict.fromkeys(["user_id", *columns]))
    none = F.array().cast("array<int>")
    if not scoring.lists.filter_seen:
        return users.withColumn(SEEN, none)
    hidden = scoring.hidden.select("user_id", F.col("seen").alias(SEEN))
    return users.join(hidden, "user_id", "left").withColumn(SEEN, F.coalesce(SEEN, none))
