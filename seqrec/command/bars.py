"""One bar for long work on a terminal; elsewhere a line every half minute. Nothing of both with --quiet.

with Bar("epoch 3", total=400, unit="steps") as bar:
    bar.reach(120, note="loss 4.21")

The session shows the tasks of Spark's running stages by itself: `working_on("scoring users")` says what they are for.
"""

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from seqrec.command import screen
from seqrec.command.screen import duration

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LINE_S = 30.0  # between two lines where there is no terminal
LOOK_S = 0.5  # between two looks at Spark's stages
SHORT_S = 1.5  # stages that run no longer need no bar
SHAPE = "  {desc} {percentage:3.0f}% |{bar}| {n_fmt} of {total_fmt} {unit}, {elapsed}{postfix}"

log = logging.getLogger("seqrec")
tqdm.monitor_interval = 0  # no thread of its own
tqdm.set_lock(threading.RLock())  # and no semaphore of the machine: a bar is drawn by one process
_label = ["working"]


class Bar:
    """How far a piece of work is."""

    def __init__(self, label: str, *, total: int, unit: str, done: int = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.started = self.logged = time.monotonic()
        self.drawn: Any = None
        if screen.verbosity() != "quiet" and screen.on_terminal("stderr"):
            width = min(screen.WIDTH, screen.columns() - 1)
            self.drawn = tqdm(desc=label, total=total, initial=done, unit=unit, bar_format=SHAPE, leave=False, ncols=width)
            screen.drawn_bars.append(self.drawn.clear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def reach(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Draw that so much is done; where there is no terminal, log it if the last line is old."""
        self.total = self.total if total is None else total
        if self.drawn is not None:
            self.drawn.total = self.total
            self.drawn.set_postfix_str(note, refresh=False)
            if done > self.drawn.n:
                self.drawn.update(done - self.drawn.n)
            else:
                self.drawn.n = done
                self.drawn.refresh()
        elif (now := time.monotonic()) - self.logged > LINE_S:
            self.logged = now
            after = duration(self.logged - self.started) + (f", {note}" if note else "")
            log.info("%s: %s of %s %s after %s", self.label, f"{done:,}", f"{self.total:,}", self.unit, after)

    def close(self) -> None:
        """Take the bar from the screen."""
        if self.drawn is not None:
            screen.drawn_bars.remove(self.drawn.clear)
            self.drawn.close()
            self.drawn = None


def working_on(text: str) -> None:
    """Say what the stages of Spark that follow are for: their bar is named so."""
    _label[0] = text
    log.debug("%s", text)


def watch_stages(session: "SparkSession") -> threading.Event:
    """In a command, show a bar of the finished tasks of Spark's running stages, in a thread, until the returned event is set."""
    ended = threading.Event()
    if screen.shows_logs():
        threading.Thread(target=_draw_stages, args=(session, ended), name="stages", daemon=True).start()
    return ended


def _draw_stages(session: "SparkSession", ended: threading.Event) -> None:
    """Draw a bar while stages run, until the event; the end of Spark's JVM ends it too."""
    bar, idle = None, time.monotonic()
    try:
        tracker = session.sparkContext.statusTracker()
        while not ended.wait(LOOK_S):
            stages = [stage for number in tracker.getActiveStageIds() if (stage := tracker.getStageInfo(number))]
            total, done = sum(stage.numTasks for stage in stages), sum(stage.numCompletedTasks for stage in stages)
            if bar is not None and (not total or bar.label != _label[0]):
                bar.close()
                bar = None
            if not total:
                idle = time.monotonic()
            elif time.monotonic() - idle > SHORT_S:
                bar = bar or Bar(_label[0], total=total, unit="tasks")
                bar.reach(done, total=total)
    except Exception as error:
        log.debug("no bar from here on: %s", type(error).__name__)
    finally:
        if bar is not None:
            bar.close()
