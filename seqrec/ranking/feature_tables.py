"""Features into their tables and feature_schema.json. All of it acts."""

import json
import logging
import time

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.command.bars import working_on
from seqrec.command.screen import counted, duration
from seqrec.ranking.build_features import ReadTables
from seqrec.ranking.features_as_of import (
    ITEM_COUNTS,
    ITEM_GENRES,
    USER_CONTINUOUS,
    USER_DISCRETE,
    FeatureOptions,
    item_features_at_end,
    user_features_at_end,
)
from seqrec.ranking.matching_samples import NegativeDrawing, matching_samples, tickets
from seqrec.ranking.ranking_samples import Labelling, ranking_samples
from seqrec.storage import files
from seqrec.storage.ranker_metadata import FEATURE_SCHEMA
from seqrec.tables import feature_schemas, io
from seqrec.tables.datasets import Dataset

log = logging.getLogger("seqrec")

PAST = {"valid": ("train",), "test": ("train", "valid")}  # the splits that belong to a history; full has all ratings
LATER = {"valid": ("valid", "test"), "test": ("test",), "full": ()}  # the splits that come after it


def write_catalogues(
    features: DataFrame, tables: ReadTables, dataset: Dataset, path: str, *, past: str, options: FeatureOptions
) -> dict[str, int]:
    """Write users, item_catalogue and item_features, with a row for every id of tables or ratings; returns their counts.

    Features are as of the end of the past (full, or the input of valid or test). With full, all ratings of an item count; else
    only its training ratings, as in the samples.
    """
    user_past = features if past == "full" else features.where(F.col("split").isin(*PAST[past]))
    item_past = features if past == "full" else features.where(F.col("split") == "train")
    user_ids, item_ids = (
        table.select(name).union(features.select(name)).distinct()
        for name, table in (("user_id", tables.users), ("item_id", tables.items))
    )
    at_end = user_features_at_end(user_past, user_ids, genres=tables.genres, options=options)
    catalogue = item_ids.join(tables.items, "item_id", "left").persist()
    user, item = dataset.user, dataset.item
    written = {
        "users": (
            at_end.join(tables.users, "user_id", "left"),
            feature_schemas.users(user, item, columns=tables.user_columns.schema),
        ),
        "item_catalogue": (catalogue, feature_schemas.item_catalogue(item, columns=tables.item_columns.schema)),
        "item_features": (
            item_features_at_end(item_past, catalogue, threshold=options.threshold),
            feature_schemas.item_features(item, columns=tables.item_columns.features.schema),
        ),
    }
    return {name: _write_counted(table, files.join(path, name), schema) for name, (table, schema) in written.items()}


def write_past_items(ratings: DataFrame, dataset: Dataset, path: str, *, past: str) -> dict[str, int]:
    """Write past_items, see `past_items`; returns its count."""
    schema = feature_schemas.past_items(dataset.user, dataset.item)
    return {"past_items": _write_counted(past_items(ratings, past=past), files.join(path, "past_items"), schema)}


def past_items(ratings: DataFrame, *, past: str) -> DataFrame:
    """user_id, and the items, sorted, of all ratings before the first of a split that comes after the past.

    With full, or for a user who has none of such a split, these are all. So they are what the dataset's tables have as `seen`,
    and they have users and items too that the dataset lacks.
    """
    later = F.min(F.when(F.col("split").isin(*LATER[past]), F.col("ordinal")))
    before = ratings.withColumn("later", later.over(Window.partitionBy("user_id")))
    before = before.where(F.coalesce(F.col("ordinal") < F.col("later"), F.lit(True)))
    return before.groupBy("user_id").agg(F.sort_array(F.collect_set("item_id")).alias("items"))


def write_samples(
    features: DataFrame,
    tables: ReadTables,
    dataset: Dataset,
    path: str,
    *,
    labelling: Labelling | None,
    drawing: NegativeDrawing | None,
) -> dict[str, int]:
    """Write ranking_samples and matching_samples, each if its options are passed; returns their counts."""
    user_columns, item_columns = tables.user_columns.features.schema, tables.item_columns.features.schema
    counts = {}
    if labelling is not None:
        schema = feature_schemas.ranking_samples(dataset.user, dataset.item, user_columns=user_columns, item_columns=item_columns)
        samples = ranking_samples(features, labelling)
        counts["ranking_samples"] = _write_counted(samples, files.join(path, "ranking_samples"), schema)
    if drawing is not None:
        schema = feature_schemas.matching_samples(
            dataset.user, dataset.item, user_columns=user_columns, item_columns=item_columns
        )
        items = tables.items.drop(*tables.item_columns.text)
        with_columns = tickets(dataset.items, power=drawing.power).join(items, "item_id", "left").persist()
        names = [name for name in items.columns if name != "item_id"]
        samples = matching_samples(features, with_columns, drawing, item_columns=names)
        counts["matching_samples"] = _write_counted(samples, files.join(path, "matching_samples"), schema)
    return counts


def write_feature_schema(tables: ReadTables, path: str, *, recent_items: int) -> None:
    """Write feature_schema.json: of each sample table which columns are discrete, which continuous; the order of the genres."""
    both = {
        "discrete": [
            *("user_id", *tables.user_columns.discrete, *USER_DISCRETE),
            *("item_id", *tables.item_columns.discrete, *ITEM_GENRES),
        ],
        "continuous": [*tables.user_columns.continuous, *USER_CONTINUOUS, *tables.item_columns.continuous],
    }
    content = {
        "genres": tables.genres,
        "recent_items": recent_items,
        "matching_samples": both,
        "ranking_samples": {**both, "continuous": [*both["continuous"], *ITEM_COUNTS]},
    }
    files.write_text(files.join(path, FEATURE_SCHEMA), json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write_counted(table: DataFrame, path: str, schema: StructType) -> int:
    """Write a table; returns its number of rows."""
    started, name = time.monotonic(), path.rsplit("/", 1)[-1]
    working_on(f"writing {name}")
    io.write_table(table, path, schema)
    rows = io.open_table(table.sparkSession, path).count()
    log.debug("wrote %s of %s in %s", counted(rows, "row"), name, duration(time.monotonic() - started))
    return rows
