"""The meta.json of datasets and lists that tests write by hand, with everything that readers take from one."""

from typing import Any


def dataset_meta(run_id: str, *, size: int, item: str = "string", vocabulary: dict[str, Any] | None = None) -> dict[str, Any]:
    """Of a dataset with a vocabulary of that size, or that vocabulary; users' ids are integers."""
    step = {"hash": "v1", "size": size}
    return {
        "run_id": run_id,
        "id_types": {"user": "bigint", "item": item},
        "vocabulary": vocabulary or {**step, "lineage": [step]},
        "task": "train_val_test",
        "max_len": 5,
        "counts": {"events": {"all": 0}},
    }


def lists_meta(run_id: str, *, item: str = "string") -> dict[str, Any]:
    """Of a version of lists."""
    return {
        "run_id": run_id,
        "id_types": {"user": "bigint", "item": item},
        "dataset": "20260101T000000Z-0001",
        "history": "full",
        "filter_seen": True,
        "top_k": 9,
        "model": "m",
        "model_run_id": "20260102T000000Z-0002",
        "users": None,
    }
