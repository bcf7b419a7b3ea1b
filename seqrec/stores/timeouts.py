"""How long a store may take to answer, and how calls are repeated while it is away for a moment."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

log = logging.getLogger("seqrec")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds that a server has to be reached, to answer, for work in bulk (an index, a removal), and to come back."""

    reach_s: float = 10.0
    answer_s: float = 120.0
    bulk_s: float = 1800.0
    return_s: float = 60.0

    @property
    def confirm_s(self) -> float:
        """How long a majority of a replica set may take to confirm a write: half of answer_s, so that an answer reports it."""
        return self.answer_s / 2


TIMEOUTS = Timeouts()


def patiently(call: Callable[[], T], *, passes: Callable[[Exception], bool], return_s: float) -> T:
    """The result of the call. While it raises errors that may pass by themselves, it is repeated, with longer and longer pauses.

    Only for calls that may be made twice. After return_s seconds the last error is raised.

    >>> answers = [TimeoutError("gone"), "here"]
    >>> def ask():
    ...     if isinstance(answer := answers.pop(0), Exception):
    ...         raise answer
    ...     return answer
    >>> patiently(ask, passes=lambda error: isinstance(error, TimeoutError), return_s=9)
    'here'
    """
    give_up, pause = time.monotonic() + return_s, FIRST_PAUSE_S
    while True:
        try:
            return call()
        except Exception as error:
            if not passes(error) or time.monotonic() + pause > give_up:
                raise
            log.warning("a store doesn't answer (%s): trying again for up to %.0f s", type(error).__name__, return_s)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
