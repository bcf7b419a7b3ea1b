"""build_sequences in plain Python, one loop after another: what the Spark job is compared with."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Rating(NamedTuple):
    """A cleaned rating; tie is the hash of user and item."""

    user: int
    item: str
    rating: float
    timestamp: int
    tie: int


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The tables: items (item_id, item_idx, count), the others by user."""

    items: list[tuple[str, int, int]]
    events: dict[int, list[tuple[int, int, str]]] = field(default_factory=dict)
    sequences: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)
    windows: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)  # the user and the items
    held_out: dict[str, dict[int, tuple[list[int], list[int], list[int]]]] = field(default_factory=dict)


def k_core(ratings: list[Rating], users: int, items: int) -> list[Rating]:
    """Drop short users and rare items until nothing is dropped."""
    while True:
        of_user, of_item = Counter(r.user for r in ratings), Counter(r.item for r in ratings)
        kept = [r for r in ratings if of_user[r.user] >= users and of_item[r.item] >= items]
        if len(kept) == len(ratings):
            return kept
        ratings = kept


def leave_last(held_out: tuple[str, ...]) -> Callable[[list[Rating]], list[str]]:
    """Splits of a user's events, the last ones held out (newest first in the argument, one for each event)."""

    def split(events: list[Rating]) -> list[str]:
        if len(events) <= len(held_out):
            return ["train"] * len(events)
        return ["train"] * (len(events) - len(held_out)) + list(reversed(held_out))

    return split


def by_time(first: int, second: int) -> Callable[[list[Rating]], list[str]]:
    """Splits of a user's events by two cuts."""
    return lambda events: ["train" if e.timestamp < first else "valid" if e.timestamp < second else "test" for e in events]


def without_repeats(ratings: list[Rating]) -> list[Rating]:
    """The first of neighbours with the same item."""
    return [r for place, r in enumerate(ratings) if place == 0 or ratings[place - 1].item != r.item]


def cut_windows(train: list[int], max_len: int, stride: int | None) -> Iterator[tuple[int, ...]]:
    """The last max_len + 1 items, and with a stride those before, until the first is in one."""
    end = len(train)
    while len(train) >= 2:
        yield tuple(train[max(0, end - max_len - 1) : end])
        if stride is None or end - max_len - 1 <= 0:
            return
        end -= stride


def build(
    ratings: set[Rating],
    *,
    split: Callable[[list[Rating]], list[str]],
    users: int,
    items: int,
    min_rating: float,
    max_len: int,
    max_history: int,
    stride: int | None = None,
    first_cut: int | None = None,
    collapse: bool = False,
) -> Expected:
    """The dataset of distinct ratings."""
    by_user: dict[int, list[Rating]] = {}
    for rating in sorted(ratings, key=lambda r: (r.user, r.timestamp, r.tie, r.item, r.rating)):
        by_user.setdefault(rating.user, []).append(rating)
    tidy = without_repeats if collapse else list
    good = {user: tidy([r for r in theirs if r.rating >= min_rating]) for user, theirs in by_user.items()}
    early = [r for theirs in good.values() for r in theirs if first_cut is None or r.timestamp < first_cut]
    core = k_core(early, users, items)
    core_users, core_items = {r.user for r in core}, {r.item for r in core}
    unseen = set(by_user) - {r.user for r in early} if first_cut is not None else set()
    events = {
        user: tidy([r for r in theirs if r.item in core_items]) for user, theirs in good.items() if user in core_users | unseen
    }
    splits = {user: split(theirs) for user, theirs in events.items()}
    counts = Counter(
        r.item for user, theirs in events.items() for r, name in zip(theirs, splits[user], strict=True) if name == "train"
    )
    order = sorted(core_items, key=lambda item: (-counts[item], item))
    index = {item: place + 2 for place, item in enumerate(order)}
    expected = Expected(items=[(item, index[item], counts[item]) for item in order], held_out={"valid": {}, "test": {}})
    for user, theirs in by_user.items():
        history = tidy([r for r in good[user] if r.item in index])
        seen = sorted({index[r.item] for r in theirs if r.item in index})
        expected.sequences[user] = ([index[r.item] for r in history][-max_history:], seen)
        mine = events.get(user, [])
        if not mine:
            continue
        expected.events[user] = [(index[r.item], r.timestamp, name) for r, name in zip(mine, splits[user], strict=True)]
        train = [index[r.item] for r, name in zip(mine, splits[user], strict=True) if name == "train"]
        expected.windows.extend((user, window) for window in cut_windows(train, max_len, stride))
        for name in ("valid", "test"):
            place = splits[user].index(name) if name in splits[user] else 0
            if place > 0:
                before = theirs[: theirs.index(mine[place])]
                seen = sorted({index[r.item] for r in before if r.item in index})
                past = [index[r.item] for r in mine[:place]][-max_history:]
                targets = [index[r.item] for r, held in zip(mine, splits[user], strict=True) if held == name]
                expected.held_out[name][user] = (past, seen, list(dict.fromkeys(targets)))
    expected.windows.sort()
    return expected
