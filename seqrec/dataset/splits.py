"""Which of a user's events are trained on, validated on and tested on."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from pyspark.sql import Column
from pyspark.sql import functions as F

from seqrec.errors import UserError

HELD_OUT = {"train_val_test": (1, 1), "train_val": (1, 0), "test": (0, 1), "inference": (0, 0)}  # for valid, for test
MILLIONTH = 1_000_000

# Of the array of a user's events, structs with a timestamp, in order: how many of them are train, how many then valid.
Split = Callable[[Column], tuple[Column, Column]]


def splitter(*, task: str, cuts: tuple[int, int] | None, share: float | None, seed: int) -> Split:
    """By time where there are cuts, else leave-last of all users, or of a random share of them: the others are train whole."""
    if cuts is not None:
        return partial(by_time, cuts=cuts)
    return partial(leave_last, task=task, share=share, seed=seed)


def leave_last(events: Column, *, task: str, share: float | None, seed: int) -> tuple[Column, Column]:
    """The last events are held out as the task says; none are where that would leave none to train, or of users not chosen."""
    valid, test = HELD_OUT[task]
    length = F.size(events)
    split = length > valid + test
    if share is not None:
        split &= chosen_users(share=share, seed=seed)
    return F.when(split, length - valid - test).otherwise(length), F.when(split, valid).otherwise(0)


def by_time(events: Column, *, cuts: tuple[int, int]) -> tuple[Column, Column]:
    """Train before the first cut, valid from it, test from the second (epoch ms)."""
    train = F.size(F.filter(events, lambda one: one.timestamp < cuts[0]))
    return train, F.size(F.filter(events, lambda one: one.timestamp < cuts[1])) - train


def chosen_users(*, share: float, seed: int) -> Column:
    """Whether a user is one of a random share, by a seeded hash of the id."""
    return F.pmod(F.xxhash64(F.lit(seed), F.lit("split_users"), F.col("user_id")), F.lit(MILLIONTH)) < round(share * MILLIONTH)


def parse_cuts(given: list[str]) -> tuple[int, int]:
    """Two cuts as epoch ms, from ISO 8601 (UTC where no zone is given), epoch seconds, or epoch ms from 1e11 on.

    >>> parse_cuts(["2015-01-01", "1420156800"])
    (1420070400000, 1420156800000)
    """
    first, second = (_milliseconds(text) for text in given)
    if first >= second:
        raise UserError(f"split_times={given}: the first cut must lie before the second")
    return first, second


def _milliseconds(text: str) -> int:
    try:
        number = float(text)
        return round(number if abs(number) >= 1e11 else number * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"split_times: {text!r} is neither ISO 8601 (2015-01-31, 2015-01-31T12:00:00Z) nor an epoch") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
