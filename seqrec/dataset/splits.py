"""Which of a user's events are trained on, validated on and tested on."""

from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import Column
from pyspark.sql import functions as F

from seqrec.errors import UserError

HELD_OUT = {"train_val_test": ("test", "valid"), "train_val": ("valid",), "test": ("test",), "inference": ()}  # newest first
MILLIONTH = 1_000_000

Split = Callable[[Column, Column], Column]  # an event's position from 0 and its user's number of events, to its split


def splitter(*, task: str, cuts: tuple[int, int] | None, share: float | None, seed: int) -> Split:
    """By time where there are cuts, else leave-last of all users, or of a random share of them: the others are train whole."""
    if cuts is not None:
        return lambda _position, _length: by_time(F.col("timestamp"), cuts=cuts)
    if share is None:
        return lambda position, length: leave_last(position, length, task=task)
    return lambda position, length: F.when(
        chosen_users(share=share, seed=seed), leave_last(position, length, task=task)
    ).otherwise("train")


def leave_last(position: Column, length: Column, *, task: str) -> Column:
    """The last events are held out as the task says, the others are train; all are where that would leave none to train."""
    held_out = HELD_OUT[task]
    split = F.lit("train")
    for from_end, name in enumerate(held_out):
        split = F.when(position == length - 1 - from_end, name).otherwise(split)
    return F.when(length > len(held_out), split).otherwise("train")


def by_time(timestamp: Column, *, cuts: tuple[int, int]) -> Column:
    """Train before the first cut, valid from it, test from the second (epoch ms)."""
    return F.when(timestamp < cuts[0], "train").when(timestamp < cuts[1], "valid").otherwise("test")


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
