"""A whole chain of six items and five users, written by Arrow: small enough to count by hand, with text that must be escaped."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.storage import files, versions
from tests.metas import dataset_meta, lists_meta
from tests.scoring.toy import write_model

DATASET, TRAINING, EXPORT, EVALUATION, LISTS = (f"20260101T0{hour}0000Z-000{hour}" for hour in range(1, 6))
IDS = ["a", "b", "<i>c</i>", "d", "e", "f"]
COUNTS = [9, 7, 7, 2, 1, 0]
MATRIX = np.array([[0, 0], [9, 9], [1, 0], [2, 0], [0, 1], [0, 1], [1, 1], [8, 8]], np.float32)
MODEL = "sasrec-with-<b>-a-name-that-is-too-long-for-a-column"
HISTORIES = {1: [2, 3, 4], 2: [5, 4], 3: [2], 4: [2, 3, 4, 5, 6], 5: [4]}  # item indices, oldest first
BEST = {1: ["d", "e"], 2: ["a", "b"], 3: ["b", "<i>c</i>"], 4: ["a"], 5: ["b", "a"]}
DAY = 86_400_000
STATS: dict[str, Any] = {
    "rows": {"in": 20, "dropped": {"null_user": 3, "bad_rating": 0}, "cleaned": 17},
    "not_events": {"below_min_rating": 5},
    "events": {"all": 12, "train": 10, "valid": 1, "test": 1},
    "users": {"with_events": 5, "train": 5, "valid": 1, "test": 1, "too_short_to_hold_out": 4},
    "targets": {"valid": 1, "test": 1},
    "items": {"vocabulary": 6},
    "events_per_user": {"p50": 2.0, "mean": 2.4},
    "density": 0.4,
    "equal_timestamps": 0.25,
    "times": {"first": "1970-01-01T00:00:00Z", "last": "1970-01-05T00:00:00Z"},
}
METRICS: dict[str, Any] = {
    "metrics": {
        MODEL: {"users": 5.0, "ndcg@10": 0.5, "hit_rate@10": 0.75},
        "popularity": {"users": 5.0, "ndcg@10": 0.25, "hit_rate@10": 0.5},
    },
    "intervals": {MODEL: {"ndcg@10": [0.4, 0.6]}, "popularity": {"ndcg@10": [0.2, 0.3]}},
    "verdict": {"sentence": f"{MODEL} is worth using: it is better", "comparisons": []},
    "segments": {
        MODEL: {"history": {"1 to 3": {"users": 4, "ndcg@10": 0.5, "intervals": {"ndcg@10": [0.3, 0.7]}}}},
        "popularity": {"history": {}},
    },
}
VALIDATED = ("epoch", "step", "train_loss", "loss", "ndcg@10", "recall@10", "lr", "seconds", "best")
RECORDS = [
    dict(zip(VALIDATED, values, strict=True))
    for values in (
        (1, 10, 3.0, 2.5, 0.125, 0.2, 0.001, 4.0, True),
        (2, 20, 2.0, 2.25, 0.25, 0.4, 0.001, 8.0, True),
        (3, 30, 1.5, 2.5, 0.1875, 0.3, 0.001, 12.0, False),
    )
]


def write_table(version: Path, name: str, table: pa.Table) -> None:
    """A finished table of a version."""
    folder = version / name
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-00000.parquet")
    (folder / "_SUCCESS").touch()


def finish(version: Path, meta: dict[str, Any]) -> None:
    """Write meta.json, and make the version current."""
    versions.write_meta(str(version), meta)
    files.write_text(f"{version.parent}/CURRENT", version.name)


def write_dataset(root: Path, *, run_id: str = DATASET, stats: dict[str, Any] = STATS, **settings: Any) -> None:
    """The dataset: each user has an event a day, and user 4 a test event."""
    version = root / "dataset" / run_id
    rows = [(user, item, place) for user, items in HISTORIES.items() for place, item in enumerate(items)]
    splits = ["test" if (user, place) == (4, 4) else "train" for user, _, place in rows]
    events = {
        "user_id": [user for user, _, _ in rows],
        "item_idx": [item for _, item, _ in rows],
        "position": pa.array([place for _, _, place in rows], pa.int32()),
        "timestamp": [DAY * place for _, _, place in rows],
        "split": splits,
    }
    write_table(version, "events", pa.table(events))
    write_table(version, "items", pa.table({"item_id": IDS, "item_idx": pa.array(range(2, 8), pa.int32()), "count": COUNTS}))
    write_table(version, "sequences", pa.table({"user_id": list(HISTORIES), "items": list(HISTORIES.values())}))
    (version / "stats.json").write_text(json.dumps(stats))
    finish(
        version, {**dataset_meta(run_id, size=6), "settings": {"min_rating": 3, **settings}, "inputs": {"ratings": "r & s.csv"}}
    )


def write_training(root: Path, *, run_id: str = TRAINING) -> None:
    """The folder of the model."""
    folder = root / "model"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "epochs.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    versions.write_meta(
        str(folder), {"run_id": run_id, "name": MODEL, "dataset": DATASET, "parameters": 1234, "settings": {"seed": 1}}
    )


def write_export(root: Path, *, run_id: str = EXPORT, seed: int = 1) -> None:
    """The export, whose item matrix is MATRIX."""
    version = root / "model" / "exports" / run_id
    write_model(version, MATRIX, IDS, COUNTS, run_id=TRAINING, name=MODEL)
    finish(version, {**versions.read_meta(str(version)), "dataset": DATASET, "export": run_id, "settings": {"seed": seed}})


def write_evaluation(
    root: Path,
    *,
    run_id: str = EVALUATION,
    ranks: list[int] | None = None,
    metrics: dict[str, Any] = METRICS,
    export: str = EXPORT,
    **settings: Any,
) -> None:
    """An evaluation; with `ranks`, of users from 1 on, it has predictions."""
    version = root / "evaluation" / run_id
    version.mkdir(parents=True)
    (version / "metrics.json").write_text(json.dumps(metrics))
    if ranks is not None:
        users = range(1, len(ranks) + 1)
        write_table(version, "predictions", pa.table({"user_id": list(users), "ranks": [[rank] for rank in ranks]}))
    source = {MODEL: {"model": MODEL, "model_run_id": TRAINING, "export": export}, "a": {"method": "popularity"}}
    meta = {"run_id": run_id, "dataset": DATASET, "split": "test", "sources": source, "settings": {"seed": 42, **settings}}
    finish(version, meta)


def write_lists(
    root: Path, *, run_id: str = LISTS, best: dict[int, list[str]] = BEST, export: str = EXPORT, **settings: Any
) -> None:
    """The lists; user 5's are popular items."""
    version = root / "output" / run_id
    items = [[{"item_id": item, "score": 2.0 - place} for place, item in enumerate(listed)] for listed in best.values()]
    sources = ["popular" if user == 5 else "model" for user in best]
    write_table(version, "recommendations", pa.table({"user_id": list(best), "items": items, "source": sources}))
    meta = {**lists_meta(run_id), "dataset": DATASET, "model": MODEL, "model_run_id": TRAINING, "export": export}
    finish(version, {**meta, "settings": {"top_k": 2, **settings}})


def write_journal(root: Path, *, run_id: str = LISTS, finished: str | None = "2026-01-02T03:04:05+00:00") -> None:
    """A publication into MongoDB."""
    entry = {
        "publish_id": "20260102T030000000000Z-aaaa",
        "run_id": run_id,
        "stores": ["MongoDB mongodb://u:secret@host:27017, collection x.y"],
        "whole": True,
        "steps": ["MongoDB staged"],
        "finished": finished,
        "users": 5,
    }
    content = {"last": entry, "abandoned": [], "ended": [entry] if finished else []}
    (root / "output" / "PUBLISHED.json").write_text(json.dumps(content))


def write_chain(root: Path) -> None:
    """All of it."""
    write_dataset(root)
    write_training(root)
    write_export(root)
    write_evaluation(root, ranks=[1, 2, 4, 11, 0])
    write_lists(root)
    write_journal(root)
