"""Features into their tables and feature_schema.json. All of it acts."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.ranking import history
from seqrec.ranking.build_features import Dataset, Tables
from seqrec.ranking.matching import matching_samples, tickets
from seqrec.ranking.samples import ranking_samples
from seqrec.storage import files
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

PAST = {"valid": ("train",), "test": ("train", "valid")}  # the splits that a history has; of full there are all ratings


def write_catalogues(
    features: DataFrame, tables: Tables, dataset: Dataset, path: str, *, past: str, last: int, threshold: float
) -> dict[str, int]:
    """Write users, item_catalogue and item_features, every id of the tables or of the ratings a row; returns their counts.

    Features are as of the end of the past (full, or the input of valid or test); with full all ratings of an item count, else,
    as in the samples, those of the training.
    """
    of_users = features if past == "full" else features.where(F.col("split").isin(*PAST[past]))
    of_items = features if past == "full" else features.where(F.col("split") == "train")
    user_ids, item_ids = (
        table.select(name).union(features.select(name)).distinct()
        for name, table in (("user_id", tables.users), ("item_id", tables.items))
    )
    at_end = history.users_at_end(of_users, user_ids, genres=tables.genres, last=last, threshold=threshold)
    catalogue = item_ids.join(tables.items, "item_id", "left").persist()
    user, item = dataset.user, dataset.item
    user_columns, item_columns = schemas.described(**tables.of_users), schemas.described(**tables.of_items)
    features_alone = schemas.described(**{**tables.of_items, "text": []})
    written = {
        "users": (at_end.join(tables.users, "user_id", "left"), schemas.users(user, item, columns=user_columns)),
        "item_catalogue": (catalogue, schemas.item_catalogue(item, columns=item_columns)),
        "item_features": (
            history.items_at_end(of_items, catalogue, threshold=threshold),
            schemas.item_features(item, columns=features_alone),
        ),
    }
    return {name: _write(table, files.join(path, name), schema) for name, (table, schema) in written.items()}


def write_samples(
    features: DataFrame,
    tables: Tables,
    dataset: Dataset,
    path: str,
    *,
    ranking: Mapping[str, Any] | None,
    matching: Mapping[str, Any] | None,
) -> dict[str, int]:
    """Write ranking_samples and matching_samples, each if it has settings (see `samples`, `matching`); returns their counts."""
    columns = {
        "user_columns": schemas.described(**{**tables.of_users, "text": []}),
        "item_columns": schemas.described(**{**tables.of_items, "text": []}),
    }
    counts = {}
    if ranking is not None:
        schema = schemas.ranking_samples(dataset.user, dataset.item, **columns)
        counts["ranking_samples"] = _write(ranking_samples(features, **ranking), files.join(path, "ranking_samples"), schema)
    if matching is not None:
        items = tables.items.drop(*tables.of_items["text"])
        drawing = dict(matching)
        drawn = tickets(dataset.items, power=drawing.pop("power")).join(items, "item_id", "left").persist()
        of_items = [name for name in items.columns if name != "item_id"]
        samples = matching_samples(features, drawn, of_items=of_items, **drawing)
        schema = schemas.matching_samples(dataset.user, dataset.item, **columns)
        counts["matching_samples"] = _write(samples, files.join(path, "matching_samples"), schema)
    return counts


def write_schema(tables: Tables, path: str, *, last: int) -> None:
    """Write feature_schema.json: of each sample table which columns are discrete, which continuous; the order of the genres."""
    of_user = {
        "discrete": ["user_id", *tables.of_users["discrete"], *history.USER_DISCRETE],
        "continuous": [*tables.of_users["continuous"], *history.USER_CONTINUOUS],
    }
    of_item = {
        "discrete": ["item_id", *tables.of_items["discrete"], *history.ITEM_GENRES],
        "continuous": list(tables.of_items["continuous"]),
    }
    both = {kind: [*of_user[kind], *of_item[kind]] for kind in of_user}
    content = {
        "genres": tables.genres,
        "recent_items": last,
        "matching_samples": both,
        "ranking_samples": {**both, "continuous": [*both["continuous"], *history.ITEM_COUNTS]},
    }
    files.write_text(files.join(path, "feature_schema.json"), json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _write(table: DataFrame, path: str, schema: StructType) -> int:
    started = time.monotonic()
    io.write_table(table, path, schema)
    rows = io.open_table(table.sparkSession, path).count()
    log.info("wrote %s rows of %s in %.1f s", f"{rows:,}", path.rsplit("/", 1)[-1], time.monotonic() - started)
    return rows
