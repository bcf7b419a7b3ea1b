"""The events of a dataset, counted in one pass over three of their columns: how long histories are, and when events happened."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seqrec.reporting.table_rows import table_batches

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
EDGES = tuple(factor * 10**power for power in range(8) for factor in (1, 2, 3, 5, 7))  # of the classes of lengths
PERIODS = (("day", 70), ("week", 70), ("month", 70), ("year", 1000))  # the most bars of each kind, which is taken if it suffices


@dataclass(frozen=True, kw_only=True)
class EventCounts:
    """How many users have more than p events, for each p from 0; and the events of each day since 1970, by split."""

    longer: NDArray[np.int64]
    days: dict[str, Counter[int]]

    @property
    def users_by_length(self) -> NDArray[np.int64]:
        """(L + 1,): how many users have exactly so many events; none have 0.

        >>> EventCounts(longer=np.array([5, 5, 2]), days={}).users_by_length.tolist()
        [0, 0, 3, 2]
        """
        return np.concatenate([[0], -np.diff(self.longer, append=0)])


def count_events(table: str) -> EventCounts:
    """The counts of the table events, whose positions count each user's events from 0."""
    longer = np.zeros(0, np.int64)
    days: dict[str, Counter[int]] = {}
    for batch in table_batches(table, ["position", "timestamp", "split"]):
        positions = np.bincount(batch.column("position").to_numpy(zero_copy_only=False))
        longer = np.pad(longer, (0, max(0, len(positions) - len(longer))))
        longer[: len(positions)] += positions
        day = batch.column("timestamp").to_numpy(zero_copy_only=False) // DAY_MS
        splits = batch.column("split").dictionary_encode()
        for number, split in enumerate(splits.dictionary.to_pylist()):
            those, numbers = np.unique(day[splits.indices.to_numpy() == number], return_counts=True)
            days.setdefault(split, Counter()).update(dict(zip(those.tolist(), numbers.tolist(), strict=True)))
    return EventCounts(longer=longer, days=days)


def length_classes(users: NDArray[np.int64]) -> list[tuple[str, int]]:
    """Users by classes of lengths, from the first class that has a user to the last.

    >>> length_classes(np.array([0, 0, 0, 4, 1, 0, 2]))
    [('3–4', 5), ('5–6', 2)]
    """
    classes = []
    for low, high in pairwise(EDGES):
        name = f"{low:,}" if high - low == 1 else f"{low:,}–{high - 1:,}"
        classes.append((name, int(users[low:high].sum())))
    filled = [place for place, (_, number) in enumerate(classes) if number]
    return classes[filled[0] : filled[-1] + 1] if filled else []


def by_period(days: dict[str, Counter[int]]) -> tuple[str, list[str], dict[str, list[int]]]:
    """The events of each split by day, week, month or year, the finest that has few enough bars: the kind, the names, the counts.

    Periods without an event between the first and the last are there too.
    """
    all_days = [day for counts in days.values() for day in counts]
    if not all_days:
        return "day", [], {split: [] for split in days}
    first, last = _date(min(all_days)), _date(max(all_days))
    for kind, most in PERIODS:
        starts = _starts(first, last, kind)
        if len(starts) <= most:
            break
    places = {start: place for place, start in enumerate(starts)}
    counted = {split: [0] * len(starts) for split in days}
    for split, counts in days.items():
        for day, number in counts.items():
            counted[split][places[_start(_date(day), kind)]] += number
    return kind, [_name(start, kind) for start in starts], counted


def _date(day: int) -> date:
    """The date of a day since 1970; one that no calendar has is taken for its nearest end."""
    least, most = (date.min - EPOCH).days, (date.max - EPOCH).days - 7
    return EPOCH + timedelta(days=min(max(day, least), most))


def _start(day: date, kind: str) -> date:
    """The first day of a day's period; weeks begin on Monday."""
    if kind == "week":
        return day - timedelta(days=day.weekday())
    return {"day": day, "month": day.replace(day=1), "year": day.replace(month=1, day=1)}[kind]


def _starts(first: date, last: date, kind: str) -> Sequence[date]:
    """The first days of all periods of a range."""
    if kind == "year":
        return [date(year, 1, 1) for year in range(first.year, last.year + 1)]
    if kind == "month":
        months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [date(month // 12, month % 12 + 1, 1) for month in months]
    step, start = (7 if kind == "week" else 1), _start(first, kind)
    return [start + timedelta(days=step * number) for number in range(((last - start).days) // step + 1)]


def _name(start: date, kind: str) -> str:
    """A period's name."""
    return {"year": f"{start.year}", "month": f"{start:%Y-%m}"}.get(kind, start.isoformat())


def iso_time(text: str) -> str:
    """A time of ISO 8601 as people read it; another text as it is.

    >>> iso_time("1997-09-20T03:05:10Z"), iso_time("2026-11-27T00:55:40+00:00"), iso_time("soon")
    ('1997-09-20 03:05 UTC', '2026-11-27 00:55 UTC', 'soon')
    """
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text


def run_time(run_id: str) -> str:
    """The time that a run id begins with, as people read it; the id itself if it has none.

    >>> run_time("20261101T020000Z-3f2a"), run_time("mine")
    ('2026-11-01 02:00 UTC', 'mine')
    """
    try:
        return f"{datetime.strptime(run_id[:16], '%Y%m%dT%H%M%SZ').replace(tzinfo=UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return run_id
