"""What went in, what was dropped and why, and what the dataset holds: the counts, and stats.json made of them."""

import json
import logging
import textwrap
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.command.screen import columns, grouped
from seqrec.dataset.profile import Profile
from seqrec.dataset.splits import say_time
from seqrec.dataset.vocabulary import TrainedVocabulary
from seqrec.dataset.windows import Windowing, window_count
from seqrec.storage import files
from seqrec.storage.metadata import Counts

log = logging.getLogger("seqrec")

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
    repeated_train                  events that are trained on and have the item of the one before
    repeated_valid, repeated_test   users of the split whose target is the last item of the input
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
    users_without_history: int
    repeated_train: int
    repeated_valid: int
    repeated_test: int
    lengths: list[float]


@dataclass(frozen=True, kw_only=True)
class DatasetStats:
    """The content of stats.json, in its order. Density is events / (users with events · items of the vocabulary).

    equal_timestamps   the share of ratings with the time of the user's rating before
    times              the first and the last, in UTC; empty where lines or lists have an order alone
    repeated_targets   the shares of targets, by split, that are the last item of their input
    """

    rows: dict[str, int | dict[str, int]]
    not_events: dict[str, int]
    events: dict[str, int]
    users: dict[str, int]
    items: dict[str, int]
    windows: int
    events_per_user: dict[str, float]
    density: float
    equal_timestamps: float
    times: dict[str, str]
    repeated_targets: dict[str, float]
    types: dict[str, str]

    def counts(self) -> Counts:
        """The part that meta.json repeats."""
        return Counts(windows=self.windows, events=self.events, users=self.users, items=self.items)


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


def count_events(arranged: DataFrame, windowing: Windowing) -> EventCounts:
    """Act: the counts of arranged users."""
    length, trained, tested = F.size("event_items"), F.col("train_length"), F.col("tested")
    sums = {
        "events": length,
        "train": trained,
        "valid": tested - trained,
        "test": length - tested,
        "outside_core": F.col("outside_core"),
        "unknown_after_cut": F.col("unknown_after_cut"),
        "windows": window_count(windowing),
    }
    users_with = {
        "users_events": length > 0,
        "users_train": trained > 0,
        "users_valid": (trained > 0) & (trained < tested),
        "users_test": (tested > 0) & (tested < length),
        "left_out_valid": (trained == 0) & (trained < tested),
        "left_out_test": (tested == 0) & (tested < length),
        "users_without_history": F.size("items") == 0,
    }
    lengths = F.percentile(F.when(length > 0, length), list(QUANTILES.values()))
    repeats = {
        "repeated_valid": users_with["users_valid"] & _repeats(trained),
        "repeated_test": users_with["users_test"] & _repeats(tested),
    }
    row = arranged.agg(
        F.sum(_count_repeats()).alias("repeated_train"),
        *(F.sum(count).alias(name) for name, count in sums.items()),
        *(F.count_if(test).alias(name) for name, test in {**users_with, **repeats}.items()),
        F.coalesce(lengths, F.array().cast("array<double>")).alias("lengths"),
    ).collect()[0]
    return EventCounts(**row.asDict())


def _repeats(position: Column) -> Column:
    """Whether the event at a position has the item of the event before."""
    return F.get("event_items", position) == F.get("event_items", position - 1)


def _count_repeats() -> Column:
    """How many events that are trained on have the item of the event before; cheap for users without any item twice."""
    items = F.col("event_items")
    repeats = F.filter(items, lambda item, i: (i > 0) & (i < F.col("train_length")) & (item == F.get("event_items", i - 1)))
    return F.when(F.size(F.array_distinct(items)) == F.size(items), 0).otherwise(F.size(repeats))


def _repeated_shares(events: EventCounts) -> dict[str, float]:
    """By split, the share of targets that are the last item of their input."""
    return {
        "train": events.repeated_train / max(events.train, 1),
        "valid": events.repeated_valid / max(events.users_valid, 1),
        "test": events.repeated_test / max(events.users_test, 1),
    }


def summarise_dataset(
    profile: Profile, ratings: RatingCounts, events: EventCounts, vocabulary: TrainedVocabulary
) -> DatasetStats:
    """All that was counted on the way, as stats.json has it."""
    users, items = events.users_events, vocabulary.vocabulary.size
    return DatasetStats(
        rows={
            "in": profile.rows,
            "dropped": {**profile.dropped, "exact_duplicate": profile.usable - ratings.rows},
            "cleaned": ratings.rows,
        },
        not_events={
            "below_min_rating": ratings.rows - ratings.rated,
            "consecutive_duplicate": ratings.rated - ratings.learnable,
            "outside_k_core": events.outside_core,
            "unknown_after_cut": events.unknown_after_cut,
        },
        events={"all": events.events, "train": events.train, "valid": events.valid, "test": events.test},
        users={
            "cleaned": ratings.users,
            "without_history": events.users_without_history,
            "with_events": users,
            "train": events.users_train,
            "valid": events.users_valid,
            "test": events.users_test,
            "left_out_of_valid": events.left_out_valid,
            "left_out_of_test": events.left_out_test,
        },
        items={"vocabulary": items, "with_training_events": vocabulary.trained, **_added(vocabulary)},
        windows=events.windows,
        events_per_user={
            **dict(zip(QUANTILES, events.lengths, strict=False)),
            "mean": events.events / users if users else 0.0,
        },
        density=events.events / (users * items) if users and items else 0.0,
        equal_timestamps=ratings.tied / ratings.rows,
        times={} if profile.types.time.unit == "order" else {"first": say_time(ratings.first), "last": say_time(ratings.last)},
        repeated_targets=_repeated_shares(events),
        types={"user": profile.types.user, "item": profile.types.item, "time": profile.types.time.text},
    )


def _added(vocabulary: TrainedVocabulary) -> dict[str, int]:
    """The number of items that a catalogue added to those of the ratings; nothing without a catalogue."""
    return {} if vocabulary.added is None else {"catalogue_alone": vocabulary.added}


def write_stats(stats: DatasetStats, path: str) -> None:
    """Write PATH/stats.json, and log the numbers."""
    content = asdict(stats)
    files.write_text(files.join(path, "stats.json"), json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    log.info("the dataset holds\n%s", stats_lines(content))


def stats_lines(content: dict[str, Any]) -> str:
    """The content of stats.json as lines of text, without counts of 0.

    >>> print(stats_lines({"rows": {"in": 12000, "dropped": {"null_user": 0, "bad_rating": 3}}, "not_events": {"unknown": 0}}))
      rows        in 12,000 · bad rating 3
      not events  none
    """
    width = max(map(len, content)) + 2
    lines = (f"  {_words(name):<{width}}{_shown(value) or 'none'}" for name, value in content.items())
    return "\n".join(textwrap.fill(line, columns(), subsequent_indent=" " * (width + 2)) for line in lines)


def _shown(value: Any) -> str:
    """A number, a text or an inner table of stats.json for the log; empty for a table of zeros alone."""
    if isinstance(value, dict):
        parts = (
            _shown(inner) if isinstance(inner, dict) else f"{_words(name)} {_shown(inner)}"
            for name, inner in value.items()
            if inner
        )
        return " · ".join(filter(None, parts))
    return grouped(value) if isinstance(value, int | float) else str(value)


def _words(name: str) -> str:
    """The name of a count in words."""
    return name.replace("_", " ")
