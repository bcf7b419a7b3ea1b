"""The counts of a dataset's users: of their cleaned ratings, and of their events, splits, targets and windows."""

from dataclasses import dataclass
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.sequences import split_bounds, targets
from seqrec.dataset.splits import Split
from seqrec.dataset.windows import Windowing, window_count

QUANTILES = {"min": 0.0, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p90": 0.9, "p99": 0.99, "max": 1.0}


class RatingCounts(NamedTuple):
    """Of cleaned ratings: users, first and last time (epoch ms), rows, and how many are usable, tied … (see `clean`)."""

    users: int
    first: int
    last: int
    rows: int
    usable: int
    tied: int
    rated: int
    learnable: int


@dataclass(frozen=True, kw_only=True)
class EventCounts:
    """Of arranged users: the events by split, the good ratings that are no events, the windows, the users by what they have.

    left_out_valid, left_out_test   users with events of the split, but none before the first of them
    too_short                       users whose events are all train because they are too few
    targets_valid, targets_test     the targets of the split's users; most_valid, most_test: of the user who has most
    repeated_train                  events that are trained on and have the item of the one before
    repeated_valid, repeated_test   targets of the split that are the last item of their input
    lengths                         QUANTILES of the number of events of the users who have some; empty if nobody has
    """

    events: int
    train: int
    valid: int
    test: int
    outside_core: int
    unknown_after_cut: int
    windows: int
    users_events: int
    users_train: int
    users_valid: int
    users_test: int
    left_out_valid: int
    left_out_test: int
    too_short: int
    users_without_history: int
    targets_valid: int
    targets_test: int
    most_valid: int
    most_test: int
    repeated_train: int
    repeated_valid: int
    repeated_test: int
    lengths: list[float]


def count_ratings(histories: DataFrame) -> RatingCounts:
    """Act: the counts of cleaned ratings."""
    row = histories.agg(
        F.count(F.lit(1)).alias("users"),
        F.min(F.get("timestamps", F.lit(0))).alias("first"),
        F.max(F.element_at("timestamps", -1)).alias("last"),
        F.sum(F.size("items")).alias("rows"),
        *(F.sum(name).alias(name) for name in ("usable", "tied", "rated", "learnable")),
    ).collect()[0]
    return RatingCounts(**row.asDict())


def count_events(arranged: DataFrame, windowing: Windowing, split: Split) -> EventCounts:
    """Act: the counts of arranged users, and what their split says of them."""
    length, trained, tested = F.size("event_items"), F.col("train_length"), F.col("tested")
    held = {"valid": (trained > 0) & (trained < tested), "test": (tested > 0) & (tested < length)}
    targeted = {name: F.when(users, F.size(targets(name))).otherwise(0) for name, users in held.items()}
    sums = {
        "events": length,
        "train": trained,
        "valid": tested - trained,
        "test": length - tested,
        "outside_core": F.col("outside_core"),
        "unknown_after_cut": F.col("unknown_after_cut"),
        "windows": window_count(windowing),
        "repeated_train": _count_repeats(),
        **{f"targets_{name}": count for name, count in targeted.items()},
    }
    users_with = {
        "users_events": length > 0,
        "users_train": trained > 0,
        "users_valid": held["valid"],
        "users_test": held["test"],
        "left_out_valid": (trained == 0) & (trained < tested),
        "left_out_test": (tested == 0) & (tested < length),
        "too_short": split.too_short(length),
        "users_without_history": F.size("items") == 0,
        **{f"repeated_{name}": users & _repeats(name) for name, users in held.items()},
    }
    lengths = F.percentile(F.when(length > 0, length), list(QUANTILES.values()))
    row = arranged.agg(
        *(F.sum(count).alias(name) for name, count in sums.items()),
        *(F.count_if(test).alias(name) for name, test in users_with.items()),
        *(F.max(count).alias(f"most_{name}") for name, count in targeted.items()),
        F.coalesce(lengths, F.array().cast("array<double>")).alias("lengths"),
    ).collect()[0]
    return EventCounts(**row.asDict())


def _repeats(split: str) -> Column:
    """Whether a target of the split is the last item of the input."""
    first, _ = split_bounds(split)
    return F.array_contains(targets(split), F.get("event_items", first - 1))


def _count_repeats() -> Column:
    """How many events that are trained on have the item of the event before; cheap for users without any item twice."""
    items = F.col("event_items")
    repeats = F.filter(items, lambda item, i: (i > 0) & (i < F.col("train_length")) & (item == F.get("event_items", i - 1)))
    return F.when(F.size(F.array_distinct(items)) == F.size(items), 0).otherwise(F.size(repeats))
