"""The log of a command beside what it made: MODEL/log.txt, OUTPUT/RUN_ID/log.txt.

    keep_log(draft.path)                        from here on the log is known to belong there
    …                                           what was logged before, with DEBUG, is in it too
    write_logs(failed=False)                    at the command's end; a training writes it as it goes

A log is written whole: object stores can't append.
"""

import logging
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from seqrec.error_messages import hide_secrets
from seqrec.storage import files

LOG = "log.txt"
MOST_LINES = 100_000  # the oldest go first

COLOUR = re.compile(r"\x1b\[\d*m")

log = logging.getLogger("seqrec")


class KeptLog(NamedTuple):
    """Where a log goes, and the text of earlier runs before it."""

    folder: str
    earlier: str


class MemoryHandler(logging.Handler):
    """Log records as lines of text, with date, time and level, without secrets."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.kept: list[KeptLog] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        time, text = datetime.fromtimestamp(record.created, UTC), COLOUR.sub("", record.getMessage()).strip("\n")
        self.lines.append(f"{time:%Y-%m-%dT%H:%M:%SZ} {record.levelname} {hide_secrets(text)}\n")
        del self.lines[:-MOST_LINES]


_memory = MemoryHandler()


def memory_handler() -> MemoryHandler:
    """The handler that keeps what is logged while it is among those of the log, until `forget_logs`."""
    return _memory


def forget_logs() -> None:
    """Forget what was logged and where it goes: the next command of this process has logs of its own."""
    _memory.lines.clear()
    _memory.kept.clear()


def keep_log(folder: str, *, append: bool = False) -> None:
    """Keep the command's log as FOLDER/log.txt; with `append`, after what is there already. Nothing outside of a command."""
    earlier = ""
    if _memory not in log.handlers:
        return
    if append:
        with suppress(FileNotFoundError):
            earlier = files.read_text(files.join(folder, LOG))
    _memory.kept.append(KeptLog(folder, earlier))


def write_logs(*, failed: bool) -> None:
    """Write each log into its folder, unless the folder isn't there: a command that is refused leaves nothing.

    A log that can't be written is a warning; where the command has failed, its own error is all that is said.
    """
    for folder, earlier in list(_memory.kept):
        try:
            if files.exists(folder):
                files.write_text(files.join(folder, LOG), earlier + "".join(_memory.lines))
        except Exception as error:
            if not failed:
                log.warning("%s can't be written: %s", files.join(folder, LOG), error)
