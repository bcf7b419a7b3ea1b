"""A dataset and features that tests write without Spark: users of two groups, each of which takes the items of one genre.

Users 1 to 40 and items 1 to 20 are of group and genre `number % 2`. Of a user's eight events six are train, each with two
negatives of the other genre. Item 21 is new: the dataset lacks it. User 41 is new too.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.storage import versions
from seqrec.storage.metadata import IdTypes
from seqrec.storage.ranker_metadata import FeatureInputs, FeaturesMeta
from tests.metas import dataset_meta

DATASET = "20260101T000000Z-0001"
USERS, ITEMS, NEW_USER, NEW_ITEM = 40, 20, 41, 21
SCHEMA = {
    "genres": ["Crime", "Drama"],
    "recent_items": 3,
    "matching_samples": {
        "discrete": ["user_id", "group", "recent_items", "last_item", "item_id", "genres", "genre"],
        "continuous": ["age", "user_genre_shares", "year"],
    },
}
LISTS = {
    "seen": pa.list_(pa.int32()),
    "recent_items": pa.list_(pa.int64()),
    "genres": pa.list_(pa.string()),
    "user_genre_shares": pa.list_(pa.float32()),
}


def described_user(user: int, earlier: list[int]) -> dict[str, Any]:
    """A user's row as of after some items."""
    odd = sum(item % 2 for item in earlier) / max(1, len(earlier))
    return {
        "user_id": user,
        "group": "AB"[user % 2],
        "age": None if user % 7 == 0 else 20.0 + user,
        "recent_items": earlier[-3:],
        "last_item": earlier[-1] if earlier else None,
        "user_genre_shares": [1 - odd, odd],
    }


def described_item(item: int) -> dict[str, Any]:
    """An item's row."""
    genre = ["Crime", "Drama"][item % 2]
    return {"item_id": item, "year": 1990.0 + item, "genres": [genre, "Long"] if item % 3 == 0 else [genre], "genre": genre}


def events_of(user: int) -> list[int]:
    """Eight items of the user's genre, oldest first."""
    mine = [item for item in range(1, ITEMS + 1) if item % 2 == user % 2]
    return [int(item) for item in np.random.default_rng(user).permutation(mine)[:8]]


def low_rated(user: int) -> int:
    """An item of the other genre that the user rated low before all events, so it is no event."""
    return 1 + user % 2


def past_of(user: int) -> list[int]:
    """All items that a user has had."""
    return sorted({2, 4} if user == NEW_USER else {*events_of(user), low_rated(user), *([NEW_ITEM] if user == 1 else [])})


def matching_rows() -> list[dict[str, Any]]:
    """The samples: positives first, as Spark writes them."""
    positives, negatives = [], []
    for user in range(1, USERS + 1):
        events, draw = events_of(user), np.random.default_rng(1000 + user)
        others = [item for item in range(1, ITEMS + 1) if item % 2 != user % 2]
        for position, item in enumerate(events):
            split = ["train"] * 6 + ["valid", "test"]
            event = {**described_user(user, events[:position]), "position": position, "split": split[position]}
            positives.append({**event, **described_item(item), "label": 1})
            if split[position] == "train":
                drawn = draw.choice(others, 2, replace=False)
                negatives += [{**event, **described_item(int(other)), "label": 0} for other in drawn]
    return [*positives, *negatives]


def write_features(
    root: Path,
    *,
    rows: list[dict[str, Any]] | None = None,
    dataset: str = DATASET,
    schema: dict[str, Any] | None = None,
    lacking: int = 0,
    history: str = "full",
) -> tuple[Path, Path]:
    """Write the dataset (its items, and the table valid) and the features below a folder; returns the folders of their versions.

    The item `lacking` has no features. A second call with another history keeps the dataset.
    """
    data = root / "dataset" / DATASET
    if data.exists():
        return data, _write_version(root, rows=rows, dataset=dataset, schema=schema, lacking=lacking, history=history)
    save(data / "items", [{"item_id": item, "item_idx": item + 1, "count": 5} for item in range(1, ITEMS + 1)])
    save(
        data / "valid",
        [
            {"user_id": user, "seen": sorted(item + 1 for item in (*events_of(user)[:6], low_rated(user)))}
            for user in range(1, USERS + 1)
        ],
    )
    versions.write_meta(str(data), dataset_meta(DATASET, size=ITEMS, item="bigint"))
    versions.commit(str(root / "dataset"), DATASET, keep=1)
    return data, _write_version(root, rows=rows, dataset=dataset, schema=schema, lacking=lacking, history=history)


def _write_version(
    root: Path, *, rows: list[dict[str, Any]] | None, dataset: str, schema: dict[str, Any] | None, lacking: int, history: str
) -> Path:
    """Write a version of the features."""
    run_id = versions.new_run_id()
    path = root / "features" / run_id
    save(path / "matching_samples", matching_rows() if rows is None else rows)
    save(
        path / "users",
        [described_user(user, events_of(user)) for user in range(1, USERS + 1)] + [described_user(NEW_USER, [2, 4])],
    )
    save(
        path / "item_features", [{**described_item(item), "item_count": 3} for item in range(NEW_ITEM, 0, -1) if item != lacking]
    )
    save(path / "past_items", [{"user_id": user, "items": past_of(user)} for user in range(1, NEW_USER + 1)])
    (path / "feature_schema.json").write_text(json.dumps(SCHEMA if schema is None else schema))
    FeaturesMeta(
        run_id=run_id,
        dataset=dataset,
        id_types=IdTypes(user="bigint", item="bigint"),
        history=history,
        settings={},
        inputs=FeatureInputs(ratings="ratings.csv", users=None, items=None),
        counts={},
    ).write(str(path))
    versions.commit(str(root / "features"), run_id, keep=5)
    return path


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    """A finished table of two files."""
    path.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    for name, kind in LISTS.items():
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    half = len(table) // 2
    for number, part in enumerate((table.slice(0, half), table.slice(half))):
        pq.write_table(part, path / f"part-{number:05}.parquet")
    (path / "_SUCCESS").touch()
