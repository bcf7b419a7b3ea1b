"""Where a run's log goes: what Spark logs, and the trace of an error that ends a command."""

import os
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

VARIABLE = "SEQREC_LOG"  # the log of a run of spark-submit.sh, which the driver's JVM writes to as well
KEPT_DAYS = 30


def choose(name: str) -> Path | None:
    """The file for a command's log: SEQREC_LOG, else a new name in the first writable folder: of state, or of temporary files.

    The file isn't created yet. Logs in the folder that are older than 30 days are removed.
    """
    if value := os.environ.get(VARIABLE):
        return Path(value)
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if os.access(folder, os.W_OK | os.X_OK) and folder.stat().st_uid == os.getuid():
                _remove_old(folder)
                return folder / f"{name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.log"
    return None


def append(text: str, name: str) -> Path | None:
    """Append to the log of the command, which only its user can read; the file, or None where it can't be written."""
    path = choose(name)
    if path is None:
        return None
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as sink:
            sink.write(text)
    except OSError:
        return None
    return path


def _folders() -> list[Path]:
    """Where logs may lie, the best first."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    folders = [Path(os.path.expanduser(state)) / "seqrec"]
    with suppress(OSError):
        folders.append(Path(tempfile.gettempdir()) / f"seqrec-logs-{os.getuid()}")
    return [folder for folder in folders if folder.is_absolute()]


def _remove_old(folder: Path) -> None:
    """Remove the logs that are older than KEPT_DAYS."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    for path in folder.glob("*.log"):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
