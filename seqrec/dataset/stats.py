"""What went in, what was dropped and why, and what the dataset holds."""

import json
import logging
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.parse import Profile
from seqrec.dataset.splits import HELD_OUT
from seqrec.dataset.windows import window_count
from seqrec.errors import UserError
from seqrec.storage import files

log = logging.getLogger("seqrec")

QUANTILES = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}
SPLITS = ("train", "valid", "test")


def count_ratings(histories: DataFrame) -> dict[str, int]:
    """Act: cleaned rows, users, rows that are usable, tied, rated and learnable (see `clean`), first and last time (epoch ms)."""
    counts = {"rows": F.size("items"), **{name: F.col(name) for name in ("usable", "tied", "rated", "learnable")}}
    times = F.min(F.get("timestamps", F.lit(0))).alias("first"), F.max(F.element_at("timestamps", -1)).alias("last")
    users = F.count(F.lit(1)).alias("users")
    return _row(histories.agg(users, *times, *(F.sum(count).alias(name) for name, count in counts.items())))


def count_events(arranged: DataFrame, *, max_len: int, stride: int | None) -> dict[str, Any]:
    """Act: events by split, users by what they have, good ratings that are no events, windows, and quantiles of events a user."""
    length, trained, tested = F.size("event_items"), F.col("train_length"), F.col("tested")
    sums = {
        "events": length,
        "train": trained,
        "valid": tested - trained,
        "test": length - tested,
        "outside_core": F.col("outside_core"),
        "unknown_after_cut": F.col("unknown_after_cut"),
        "windows": window_count(max_len=max_len, stride=stride),
    }
    having = {
        "users_events": length > 0,
        "users_train": trained > 0,
        "users_valid": (trained > 0) & (trained < tested),
        "users_test": (tested > 0) & (tested < length),
        "left_out_valid": (trained == 0) & (trained < tested),
        "left_out_test": (tested == 0) & (tested < length),
        "users_without_history": F.size("items") == 0,
    }
    return _row(
        arranged.agg(
            *(F.sum(count).alias(name) for name, count in sums.items()),
            *(F.count_if(test).alias(name) for name, test in having.items()),
            F.percentile(F.when(length > 0, length), list(QUANTILES.values())).alias("lengths"),
        )
    )


def warn_held_out(counted: dict[str, Any], *, task: str, split_times: list[str] | None, split_users: float | None) -> None:
    """Log, with the key that helps, which of valid and test holds nobody out although the task asks for it."""
    empty = [
        name for name, events in zip(("valid", "test"), HELD_OUT[task], strict=True) if events and not counted[f"users_{name}"]
    ]
    if not empty:
        return
    if split_times is not None:
        reason = f"no user with events before {split_times[0]} has one in its time", "choose other split_times"
    elif split_users is not None:
        reason = (
            f"split_users={split_users:g} of {counted['users_events']:,} users chose none with enough events",
            "raise split_users",
        )
    else:
        least = sum(HELD_OUT[task]) + 1
        reason = f"no user has {least} events", "choose another task, or lower min_rating and k_core"
    log.warning("nobody is held out for %s: %s; to hold users out, %s", " and ".join(empty), *reason)


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
            "consecutive_duplicate": rated["rated"] - rated["learnable"],
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
