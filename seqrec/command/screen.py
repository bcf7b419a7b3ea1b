"""What a command shows: its results on stdout, its story on stderr. MODEL/log.txt and OUTPUT/RUN_ID/log.txt keep both.

    log.info("read %s of %s", counted(100836, "row"), path)      the story; --quiet leaves it out
    log.debug("wrote %s in %s", path, duration(3.2))             a detail; only --verbose shows it, log.txt always has it
    log.warning("…")                                             always shown
    show(aligned([["", "NDCG@10"], ["model", "0.1432"]]))        a result that was asked for, also with --quiet

On a terminal the story has no times and a bar shows how far long work is; elsewhere each line begins with its time.
"""

import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TextIO

from seqrec.error_messages import hide_secrets

Verbosity = Literal["quiet", "normal", "verbose"]
Stream = Literal["stdout", "stderr"]

LEVELS: dict[Verbosity, int] = {"quiet": logging.WARNING, "normal": logging.INFO, "verbose": logging.DEBUG}
VERBOSITY = "SEQREC_VERBOSITY"  # of this command and of those that it starts
# The folder of the pipes to the terminal, which spark-submit.sh makes: without them both streams pass through the JVM.
STREAMS = "SEQREC_STREAMS"
WIDTH = 100  # columns where there is no terminal

log = logging.getLogger("seqrec")
_terminals: set[str] = set()  # the streams that are pipes to a terminal
drawn_bars: list[Callable[[], None]] = []  # what clears each bar that is drawn, so that a line can be written


def grouped(number: float) -> str:
    """A number as people read it: a whole one in groups of three digits, another to four digits.

    >>> grouped(1234567), grouped(0.05), grouped(123456.7)
    ('1,234,567', '0.05', '123,457')
    """
    if isinstance(number, int) or abs(number) >= 1000:
        return f"{number:,.0f}"
    return f"{number:.4g}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "user"), counted(6040, "user"), counted(2, "history", "histories")
    ('1 user', '6,040 users', '2 histories')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(counts: Mapping[str, float]) -> str:
    """Named numbers on one line.

    >>> listed({"users": 6040, "popular": 0, "share": 0.25})
    'users 6,040 · popular 0 · share 0.25'
    """
    return " · ".join(f"{name.replace('_', ' ')} {grouped(number)}" for name, number in counts.items())


def duration(seconds: float) -> str:
    """Seconds as people read them.

    >>> [duration(seconds) for seconds in (0.04, 3.21, 42, 75.4, 119.9, 3725, 200000)]
    ['0.04 s', '3.2 s', '42 s', '1 min 15 s', '2 min', '1 h 2 min', '55 h 33 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, small, units = (
        (whole // 60, whole % 60, ("min", "s")) if whole < 3600 else (whole // 3600, whole % 3600 // 60, ("h", "min"))
    )
    return f"{large} {units[0]}" + (f" {small} {units[1]}" if small else "")


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Rows of equally many cells as lines: the first `left` columns to the left, all others to the right, two blanks between.

    >>> print(aligned([["", "NDCG@10", "users"], ["popularity", "0.0412", "6,040"]]))
                NDCG@10  users
    popularity   0.0412  6,040
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def wrapped(words: Iterable[str], *, indent: str = "  ", gap: str = "  ") -> str:
    """Words in lines as wide as the screen, none of them broken.

    >>> print(wrapped(["k_core.users=3", "min_rating=4"]))
      k_core.users=3  min_rating=4
    """
    lines = [indent]
    for word in words:
        if len(lines[-1]) > len(indent) and len(lines[-1]) + len(gap) + len(word) > columns():
            lines.append(indent)
        lines[-1] += (gap if len(lines[-1]) > len(indent) else "") + word
    return "\n".join(lines)


def paragraph(text: str) -> str:
    """A sentence or two in lines as wide as the screen."""
    return textwrap.fill(text, columns(), break_long_words=False, break_on_hyphens=False)


def show(text: str) -> None:
    """Write a result to stdout, whatever the verbosity; the command's log keeps it too."""
    log.info("%s", text, extra={"shown": True})
    write(text, "stdout")


def heading(text: str, stream: Stream = "stderr") -> str:
    """A text in bold, where its stream is a terminal that shows colours (NO_COLOR is not set)."""
    plain = not on_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def write(text: str, stream: Stream) -> None:
    """Write lines to a stream at once; a bar that is drawn is cleared before. The end of the stream's reader is no error."""
    for clear in drawn_bars:
        clear()
    sink: TextIO = getattr(sys, stream)
    try:
        sink.write(text + "\n")
        sink.flush()
    except BrokenPipeError:  # nobody reads on, as in `JOB | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sink.fileno())


def columns() -> int:
    """The width of the screen."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def on_terminal(stream: Stream) -> bool:
    """Whether what is written to a stream is seen on a terminal."""
    return stream in _terminals or bool(getattr(sys, stream).isatty())


def verbosity() -> Verbosity:
    """How much is shown: SEQREC_VERBOSITY, which --quiet and --verbose set; of several processes only the first says more."""
    value = os.environ.get(VERBOSITY, "") if os.environ.get("RANK", "0") == "0" else "quiet"
    return "quiet" if value == "quiet" else "verbose" if value == "verbose" else "normal"


def shows_logs() -> bool:
    """Whether this process runs a command, whose logs are shown, more of them than with --quiet."""
    return verbosity() != "quiet" and any(isinstance(handler, ScreenHandler) for handler in logging.getLogger().handlers)


def connect_streams() -> None:
    """Take the pipes that spark-submit.sh made for stdout and stderr: Spark starts Python with both joined into the JVM's stdout.

    The folder has the pipes `stdout` and `stderr`, and an empty file `NAME.terminal` for each that ends at a terminal.
    """
    folder = os.environ.pop(STREAMS, "")
    for number, stream in ((1, "stdout"), (2, "stderr")):
        with suppress(OSError):
            if folder:
                pipe = os.open(Path(folder, stream), os.O_WRONLY)
                getattr(sys, stream).flush()
                os.dup2(pipe, number)
                os.close(pipe)
                if Path(folder, f"{stream}.terminal").exists():
                    _terminals.add(stream)


class ScreenHandler(logging.Handler):
    """Log records on stderr, without those that `show` wrote to stdout."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record: on a terminal without its time."""
        if getattr(record, "shown", False):
            return
        message = hide_secrets(record.getMessage())
        text = message.lstrip("\n")
        above = message[: len(message) - len(text)]
        text = f"warning: {text}" if record.levelno == logging.WARNING else text
        with suppress(OSError, ValueError):
            time = "" if on_terminal("stderr") else f"{self.clock.formatTime(record, '%H:%M:%S')} "
            write(above + time + text, "stderr")

    clock = logging.Formatter()
