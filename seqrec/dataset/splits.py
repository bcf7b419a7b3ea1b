"""Which of a user's events are trained on, validated on and tested on: by the last events, or by two cuts in time."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from seqrec.dataset.times import DIGITS, MILLISECONDS, TOO_LARGE
from seqrec.errors import UserError

log = logging.getLogger("seqrec")

HELD_OUT = {"train_val_test": (1, 1), "train_val": (1, 0), "test": (0, 1), "inference": (0, 0)}  # for valid, for test
MILLIONTH = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Split:
    """How the events of a user are split.

    lengths     of the array of a user's events, structs with a timestamp, in order: how many are train, and how many then valid
    too_short   of the number of a user's events: whether they are all train only because they are too few to hold any out
    cuts        of a split by time: epoch ms from which nothing is train, and from which all is test; None for the other splits
    """

    lengths: Callable[[Column], tuple[Column, Column]]
    too_short: Callable[[Column], Column]
    cuts: tuple[int, int] | None = None

    @property
    def first_cut(self) -> int | None:
        """Epoch ms from which nothing is train; None without cuts."""
        return None if self.cuts is None else self.cuts[0]


@dataclass(frozen=True, kw_only=True)
class SplitChoice:
    """How the settings split: by two times; or else by the task, `hold_out` last events for valid and test each.

    Events are held out of a random share of the users alone; of all if it is None.
    """

    task: str
    hold_out: int = 1
    times: list[str] | None = None
    share: float | None = None

    @property
    def held(self) -> dict[str, int]:
        """How many of a user's last events are valid, and how many test, without times."""
        return {name: self.hold_out * number for name, number in zip(("valid", "test"), HELD_OUT[self.task], strict=True)}

    def chosen(self, seed: int) -> Column:
        """Whether events of a user may be held out, by the id."""
        return F.lit(True) if self.share is None else chosen_users(share=self.share, seed=seed)


def splitter(choice: SplitChoice, *, seed: int) -> Split:
    """A split by time if there are cuts; else by the last events of all users, or of a random share: the others only train."""
    if choice.times is not None:
        cuts = parse_cuts(choice.times)
        return Split(partial(by_time, cuts=cuts), too_short=lambda _: F.lit(False), cuts=cuts)
    return Split(partial(leave_last, choice=choice, seed=seed), too_short=partial(too_short, choice=choice, seed=seed))


def leave_last(events: Column, *, choice: SplitChoice, seed: int) -> tuple[Column, Column]:
    """Hold out the last events, but none if nothing would be left to train on, or if the user isn't chosen."""
    length, held = F.size(events), sum(choice.held.values())
    split = (length > held) & choice.chosen(seed)
    return F.when(split, length - held).otherwise(length), F.when(split, choice.held["valid"]).otherwise(0)


def too_short(length: Column, *, choice: SplitChoice, seed: int) -> Column:
    """Whether a user is chosen and has events, but so few that nothing would be left to train on."""
    return (length > 0) & (length <= sum(choice.held.values())) & choice.chosen(seed)


def by_time(events: Column, *, cuts: tuple[int, int]) -> tuple[Column, Column]:
    """Train before the first cut, valid from it, test from the second (epoch ms)."""
    train = F.size(F.filter(events, lambda event: event.timestamp < cuts[0]))
    return train, F.size(F.filter(events, lambda event: event.timestamp < cuts[1])) - train


def chosen_users(*, share: float, seed: int) -> Column:
    """Whether a user is one of a random share, by a seeded hash of the id."""
    return F.pmod(F.xxhash64(F.lit(seed), F.lit("split_users"), F.col("user_id")), F.lit(MILLIONTH)) < round(share * MILLIONTH)


def parse_cuts(times: list[str], *, key: str = "split_times") -> tuple[int, int]:
    """Two times of a key as epoch ms, from ISO 8601 (UTC where no zone is given), epoch seconds, or epoch ms from 1e11 on.

    Raises UserError for any other text, for a number that is a date without marks, and for times in the wrong order.

    >>> parse_cuts(["2015-01-01", "1420156800"])
    (1420070400000, 1420156800000)
    """
    first, second = (_cut_milliseconds(text, key) for text in times)
    if first >= second:
        raise UserError(f"{key}={times}: the first time must lie before the second")
    return first, second


def guard_cuts(cuts: tuple[int, int] | None, *, first: int, last: int) -> None:
    """Raise UserError if no rating lies before the first cut or none from it on, and warn if none lies from the second on.

    All are epoch ms; first and last are the times of the ratings. Without cuts nothing happens.
    """
    if cuts is None:
        return
    span = f"the ratings go from {say_time(first)} to {say_time(last)}"
    if cuts[0] <= first:
        raise UserError(f"split_times: the first cut is {say_time(cuts[0])}, but {span}: there is nothing before it to train on")
    if cuts[0] > last:
        raise UserError(f"split_times: the first cut is {say_time(cuts[0])}, but {span}: there is nothing after it to hold out")
    if cuts[1] > last:
        log.warning("split_times: the second cut is %s, but %s: the test has no events", say_time(cuts[1]), span)


def say_time(milliseconds: int) -> str:
    """A time for messages, in UTC; epoch ms where it has no date between the years 1 and 9999.

    >>> say_time(1420070400000), say_time(-(10**17))
    ('2015-01-01T00:00:00Z', '-100000000000000000 (epoch ms)')
    """
    try:
        moment = EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return f"{milliseconds} (epoch ms)"
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds").removesuffix(".000") + "Z"


def _cut_milliseconds(text: str, key: str) -> int:
    """A time of a key as epoch ms; UserError for what is neither ISO 8601 nor an epoch."""
    if NUMBER.match(text):
        return _epoch(text, key)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{key}: {text!r} is neither ISO 8601 (2015-01-31, 2015-01-31T12:00:00Z) nor an epoch") from None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(milliseconds=1)


def _epoch(text: str, key: str) -> int:
    """A number as epoch ms; UserError for one that could be a date or is too large."""
    number = float(text)
    if re.match(DIGITS, text):
        unit = "milliseconds" if number >= MILLISECONDS else "seconds"
        moment = say_time(round(number if number >= MILLISECONDS else number * 1000))
        raise UserError(
            f"{key}: {text} is a date without marks or an epoch in {unit} ({moment}): write a date as "
            f"{text[:4]}-{text[4:6]}-{text[6:8]}, or an epoch as {text}.0"
        )
    if abs(number) > TOO_LARGE:
        raise UserError(f"{key}: {text} is too large for epoch seconds or milliseconds: write a date as 2015-01-31")
    return round(number if abs(number) >= MILLISECONDS else number * 1000)
