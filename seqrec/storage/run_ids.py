"""The names of versions: run ids, and the file CURRENT, which holds the run id of the version that readers use."""

import re
import secrets
from datetime import UTC, datetime

from seqrec.errors import UserError
from seqrec.storage import files

CURRENT = "CURRENT"
STAMP = "%Y%m%dT%H%M%SZ"
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}\Z")
EXAMPLE = "20261101T020000Z-3f2a"


def new_run_id() -> str:
    """A UTC time and a random suffix: sorts by time, e.g. 20261101T020000Z-3f2a."""
    return f"{datetime.now(UTC):{STAMP}}-{secrets.token_hex(2)}"


def run_ids(folder: str) -> list[str]:
    """Run ids in a folder, oldest first, unfinished ones included."""
    return [name for name in files.names(folder) if RUN_ID.match(name)]


def read_current(folder: str) -> str | None:
    """The run id in FOLDER/CURRENT; None if there is no such file, UserError if it holds something else."""
    where = files.join(folder, CURRENT)
    try:
        text = files.read_bytes(where).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    if not RUN_ID.match(text):
        raise UserError(
            f"{where} holds {text[:80]!r}, which is no run id such as {EXAMPLE}: write one into it; {newest_run_ids(folder)}"
        )
    return text


def newest_run_ids(folder: str) -> str:
    """The end of an error about a missing version: the newest versions that exist."""
    return f"the newest are: {', '.join(run_ids(folder)[-5:]) or 'none'}"
