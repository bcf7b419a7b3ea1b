"""SIGTERM and SIGINT ask a training to stop after its step, so that it can save what it has."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TWICE = 1.0  # seconds in which a second signal is the same request: torchrun forwards signals that its processes get too

log = logging.getLogger("seqrec")


class StopRequest:
    """The first signal to stop that this process got; number is None before it."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.seconds = 0.0

    def receive(self, number: int, _: FrameType | None) -> None:
        """Note the signal; a second one, after the time in which it may be the same request, ends the process at once."""
        if self.number is None:
            self.number, self.seconds = number, time.monotonic()
            log.warning("%s: stopping after this step; once more to stop at once", signal.Signals(number).name)
        elif time.monotonic() - self.seconds > TWICE:
            raise ending(number)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """In the `with` block, the two signals are only noted. Outside the main thread, which alone gets signals, nothing changes."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ending(number: int) -> BaseException:
    """What ends a process as the signal would have: status 130 for SIGINT, 143 for SIGTERM.

    >>> ending(signal.SIGTERM), ending(signal.SIGINT)
    (SystemExit(143), KeyboardInterrupt())
    """
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
