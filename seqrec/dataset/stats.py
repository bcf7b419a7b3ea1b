"""What went in, what was dropped and why, and what the dataset holds."""

import json
import logging
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec import files
from seqrec.dataset.parse import Profile
from seqrec.dataset.windows import window_count
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

QUANTILES = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}
SPLITS = ("train", "valid", "test")


def count_ratings(ratings: DataFrame) -> dict[str, int]:
    """Act: cleaned rows, users, and rows that are tied (see `clean`), rated and good."""
    flags = {"users": "first", "tied": "tied", "rated": "rated", "good": "good"}
    counts = (F.count_if(flag).alias(name) for name, flag in flags.items())
    return _row(ratings.agg(F.count(F.lit(1)).alias("rows"), *counts))


def count_events(marked: DataFrame, *, first_cut: int | None, max_len: int, stride: int | None) -> dict[str, Any]:
    """Act: events by split, users by what they have, good ratings that are no events, windows, and quantiles of events a user."""
    late = F.lit(False) if first_cut is None else F.col("timestamp") >= first_cut
    missed = F.col("good") & ~F.col("event")
    users = marked.groupBy("user_id").agg(
        F.count_if("event").alias("events"),
        *(F.count_if(F.col("split") == name).alias(name) for name in SPLITS),
        F.count_if(missed & ~late).alias("outside_core"),
        F.count_if(missed & late).alias("unknown_after_cut"),
        F.count_if("history").alias("history"),
        *(F.max(name).alias(name) for name in ("valid_position", "test_position", "train_length")),
    )
    some = F.col("events") > 0
    sums = ("events", *SPLITS, "outside_core", "unknown_after_cut")
    having = {
        "users_events": some,
        "users_train": F.col("train") > 0,
        "users_valid": F.col("valid_position") > 0,
        "users_test": F.col("test_position") > 0,
        "left_out_valid": F.col("valid_position") == 0,
        "left_out_test": F.col("test_position") == 0,
        "users_without_history": F.col("history") == 0,
    }
    return _row(
        users.agg(
            *(F.sum(name).alias(name) for name in sums),
            *(F.count_if(test).alias(name) for name, test in having.items()),
            F.sum(window_count(max_len=max_len, stride=stride)).alias("windows"),
            F.percentile(F.when(some, F.col("events")), list(QUANTILES.values())).alias("lengths"),
        )
    )


def guard_windows(counted: dict[str, Any], *, task: str) -> None:
    """Raise UserError if there is nothing to train on; the task test needs nothing."""
    if not counted["windows"] and task != "test":
        raise UserError(
            f"no user has 2 training events ({counted['events']} events of {counted['users_events']} users, "
            f"{counted['train']} of them to train on): hold out less (task, split_times), or lower min_rating and k_core"
        )


def summarise(found: Profile, rated: dict[str, int], counted: dict[str, Any], *, items: int, trained: int) -> dict[str, Any]:
    """The content of stats.json. Density is events over users times items, of those that have events or are in the vocabulary."""
    users, events = counted["users_events"], counted["events"]
    lengths = counted["lengths"] or []
    return {
        "rows": {
            "in": found.rows,
            "dropped": {**found.dropped, "exact_duplicate": found.usable - rated["rows"]},
            "cleaned": rated["rows"],
        },
        "not_events": {
            "below_min_rating": rated["rows"] - rated["rated"],
            "consecutive_duplicate": rated["rated"] - rated["good"],
            "outside_k_core": counted["outside_core"],
            "unknown_after_cut": counted["unknown_after_cut"],
        },
        "events": {"all": events, **{name: counted[name] for name in SPLITS}},
        "users": {
            "cleaned": rated["users"],
            "without_history": counted["users_without_history"],
            "with_events": users,
            **{name: counted[f"users_{name}"] for name in SPLITS},
            "left_out_of_valid": counted["left_out_valid"],
            "left_out_of_test": counted["left_out_test"],
        },
        "items": {"vocabulary": items, "with_training_events": trained},
        "windows": counted["windows"],
        "events_per_user": {**dict(zip(QUANTILES, lengths, strict=False)), "mean": events / users if users else 0.0},
        "density": events / (users * items) if users and items else 0.0,
        "equal_timestamps": rated["tied"] / rated["rows"],
        "types": {"user": found.types.user, "item": found.types.item, "time": found.types.time},
    }


def write_stats(stats: dict[str, Any], path: str) -> None:
    """Write PATH/stats.json, and log the numbers."""
    files.write_text(files.join(path, "stats.json"), json.dumps(stats, indent=2, ensure_ascii=False) + "\n")
    log.info("%s holds\n%s", path, table(stats))


def table(stats: dict[str, Any]) -> str:
    """The numbers as lines of text.

    >>> print(table({"rows": {"in": 12000, "dropped": {"null_user": 0, "bad_rating": 3}}, "density": 0.0625}))
    rows       in 12,000 · bad_rating 3
    density    0.0625
    """
    width = max(map(len, stats)) + 4
    return "\n".join(f"{name:<{width}}{_shown(value)}" for name, value in stats.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        parts = []
        for name, inner in value.items():
            if isinstance(inner, dict):
                parts += [f"{reason} {_shown(count)}" for reason, count in inner.items() if count]
            else:
                parts.append(f"{name} {_shown(inner)}")
        return " · ".join(parts)
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _row(one: DataFrame) -> dict[str, Any]:
    counts: dict[str, Any] = one.collect()[0].asDict()
    return counts
