"""What went in, what was dropped and why, and what the dataset holds: stats.json, made of the counts."""

import json
import logging
import textwrap
from dataclasses import asdict, dataclass
from typing import Any

from seqrec.command.screen import columns, grouped
from seqrec.dataset.counts import QUANTILES, EventCounts, RatingCounts
from seqrec.dataset.profile import Profile
from seqrec.dataset.splits import say_time
from seqrec.dataset.vocabulary import TrainedVocabulary
from seqrec.storage import files
from seqrec.storage.metadata import Counts

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class DatasetStats:
    """The content of stats.json, in its order. Density is events / (users with events · items of the vocabulary).

    equal_timestamps   the share of ratings with the time of the user's rating before
    times              the first and the last, in UTC; empty where lines or lists have an order alone
    targets            by split, the targets of all users, of a user on average, and of the user who has most
    repeated_targets   the shares of targets, by split, that are the last item of their input
    """

    rows: dict[str, int | dict[str, int]]
    not_events: dict[str, int]
    events: dict[str, int]
    users: dict[str, int]
    targets: dict[str, float]
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


def _repeated_shares(events: EventCounts) -> dict[str, float]:
    """By split, the share of targets that are the last item of their input."""
    return {
        "train": events.repeated_train / max(events.train, 1),
        "valid": events.repeated_valid / max(events.targets_valid, 1),
        "test": events.repeated_test / max(events.targets_test, 1),
    }


def _targets(events: EventCounts) -> dict[str, float]:
    """By split, the targets of all users, of a user on average, and of the user who has most."""
    return {
        "valid": events.targets_valid,
        "test": events.targets_test,
        "valid_per_user": events.targets_valid / max(events.users_valid, 1),
        "test_per_user": events.targets_test / max(events.users_test, 1),
        "most_in_valid": events.most_valid,
        "most_in_test": events.most_test,
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
            "too_short_to_hold_out": events.too_short,
        },
        targets=_targets(events),
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
