"""Versions of samples that tests write without Spark: 600 rows whose label follows the age, the item and a genre's share."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.storage import versions
from seqrec.storage.metadata import IdTypes
from seqrec.storage.ranker_metadata import SamplesMeta

USERS, ITEMS = 30, 12
FEATURE_SCHEMA = {
    "genres": ["Crime", "Drama"],
    "recent_items": 2,
    "ranking_samples": {
        "discrete": ["user_id", "item_id", "genre", "recent_items"],
        "continuous": ["age", "user_genre_shares", "item_mean_rating"],
    },
}


def sample_table(*, rows: int = 600, seed: int = 1) -> pa.Table:
    """Samples in turn of split train, train, valid and test; every 50th label is missing."""
    draw = np.random.default_rng(seed)
    users, items = draw.integers(1, USERS + 1, rows), draw.integers(1, ITEMS + 1, rows)
    ages = np.where(users % 5 == 0, np.nan, users).astype(np.float32)
    shares = draw.random(rows).astype(np.float32)
    logits = np.where(np.isnan(ages), 0.5, (ages - 15) / 5) + (items % 3 - 1) * 1.5 + 4 * (shares - 0.5)
    labels = (draw.random(rows) < 1 / (1 + np.exp(-logits))).astype(np.int32)
    numbers = np.arange(rows)
    return pa.table(
        {
            "user_id": pa.array(users),
            "item_id": pa.array(items),
            "label": pa.array(labels, mask=numbers % 50 == 49),
            "rating": pa.array(np.where(labels == 1, 4.5, 2.0).astype(np.float32)),
            "split": pa.array(np.array(["train", "train", "valid", "test"])[numbers % 4]),
            "genre": pa.array([["Crime", "Drama", None][item % 3] for item in items]),
            "age": pa.array(ages, from_pandas=True),
            "recent_items": pa.array([[int(item)] for item in items], pa.list_(pa.int64())),
            "user_genre_shares": pa.array([[share, 1 - share] for share in shares], pa.list_(pa.float32())),
            "item_mean_rating": pa.array(np.where(items == 1, np.nan, 3 + items % 3 * 0.5).astype(np.float32), from_pandas=True),
            "purchased": pa.array(labels == 0),
        }
    )


def write_samples(folder: Path, table: pa.Table, *, name: str = "ranking_samples", schema: dict[str, Any] | None = None) -> Path:
    """Write a version of samples in two files, and make it current; returns the version's folder."""
    run_id = versions.new_run_id()
    path = folder / run_id
    (path / name).mkdir(parents=True)
    half = len(table) // 2
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(part, path / name / f"part-{number:05}.parquet")
    (path / name / "_SUCCESS").touch()
    (path / "feature_schema.json").write_text(json.dumps(FEATURE_SCHEMA if schema is None else schema))
    meta = SamplesMeta(run_id=run_id, dataset="20260101T000000Z-0001", id_types=IdTypes(user="bigint", item="bigint"))
    meta.write(str(path))
    versions.commit(str(folder), run_id, keep=5)
    return path
