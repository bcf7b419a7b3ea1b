"""What the values of two columns of ids say about which is the user: their form, and how the times of each id lie."""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from seqrec.dataset.column_facts import MOST, is_number

USER_FORM = re.compile(r"(?i:u|usr|user|cust|customer|visitor|member)[-_ ]?\d+|A[0-9A-Z]{11,20}")
ITEM_FORM = re.compile(r"(?i:i|it|item|m|movie|p|prod|product|track|book|n)[-_ ]?\d+|B[0-9A-Z]{9}")
LEAST = 5  # ids of several rows: with fewer, nothing is said of how their times lie
CLEARLY = 0.2  # the ratio of two spreads from which on one is clearly smaller


def forms_agree(users: Sequence[str], items: Sequence[str]) -> bool | None:
    """Whether the ids look like users' and items', as u12 and i7 or Amazon's do; False for the reverse, None for neither.

    >>> forms_agree(["u1", "u2"], ["7", "8"]), forms_agree(["B00005N5PF"], ["A3478QRKQDOPQ2"]), forms_agree(["1"], ["2"])
    (True, False, None)
    """
    straight = _have(users, USER_FORM) or _have(items, ITEM_FORM)
    reverse = _have(users, ITEM_FORM) or _have(items, USER_FORM)
    return None if straight == reverse else straight


def are_swapped(users: Sequence[str], items: Sequence[str]) -> bool:
    """Whether the ids of users surely look like items', and those of items like users'."""
    return _have(users, ITEM_FORM) and _have(items, USER_FORM)


def times_agree(users: Sequence[str], items: Sequence[str], times: Sequence[str]) -> bool | None:
    """Whether a user's times lie in bursts, in comparison with an item's; False for the reverse, None if neither is clear."""
    seconds = [_seconds(text) for text in times]
    spread_of_users, spread_of_items = spread(users, seconds), spread(items, seconds)
    if spread_of_users is None or spread_of_items is None:
        return None
    if spread_of_users < CLEARLY * spread_of_items:
        return True
    return False if spread_of_items < CLEARLY * spread_of_users else None


def spread(ids: Sequence[str], seconds: Sequence[float | None]) -> float | None:
    """The median gap between the neighbouring times of an id, in proportion to the gap of as many times spread evenly.

    It is about 0.7 for times at random, and near 0 where they come in bursts. None if fewer than LEAST ids have 3 times.

    >>> round(spread([str(place % 7) for place in range(70)], [float(place) for place in range(70)]), 2)
    1.12
    """
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for name, second in zip(ids, seconds, strict=True):
        if second is not None:
            groups[name].append(second)
    whole = [second for second in seconds if second is not None]
    span = max(whole, default=0.0) - min(whole, default=0.0)
    several = [sorted(group) for group in groups.values() if len(group) >= 3]
    if span <= 0 or len(several) < LEAST:
        return None
    return float(np.median([np.median(np.diff(group)) * (len(group) + 1) / span for group in several]))


def _have(cells: Sequence[str], form: re.Pattern[str]) -> bool:
    """Whether nearly all values have a form."""
    there = [cell for cell in cells if cell.strip()]
    return bool(there) and sum(form.fullmatch(cell.strip()) is not None for cell in there) >= MOST * len(there)


def _seconds(text: str) -> float | None:
    """A time as a number: an epoch of any unit as it is, a date in ISO 8601 in seconds; None for other texts."""
    if is_number(text):
        return float(text.replace(",", "."))
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
