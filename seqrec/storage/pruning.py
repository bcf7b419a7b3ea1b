"""Which versions a commit removes: old whole ones, and unfinished ones whose writers are surely dead.

On a local folder the writer of a version holds the lock FOLDER/.RUN_ID.lock, so a lock file that nobody holds was left by a dead
process. Object stores have no locks: there an unfinished version is left alone until nothing in it has changed for a day.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.lock import hold
from seqrec.storage.meta import META
from seqrec.storage.run_ids import CURRENT, RUN_ID, STAMP, read_current, run_ids

DEAD_AFTER = timedelta(days=1)  # since the last write into an unfinished version that nobody holds

State = Literal["whole", "subset", "unfinished", "odd"]


def prune(folder: str, run_id: str, *, state: State, keep: int) -> None:
    """Remove older versions: of the same state all but the newest keep - 1, and the unfinished ones whose writers are dead."""
    older = [other for other in run_ids(folder) if other < run_id and not _is_written(folder, other)]
    states = {other: state_of(files.join(folder, other)) for other in older}
    peers = [other for other in older if states[other] == state]
    dead = [other for other in older if states[other] == "unfinished" and _is_dead(folder, other)]
    for other in [*peers[: max(0, len(peers) - (keep - 1))], *dead]:
        path = files.join(folder, other)
        if read_current(folder) == other:
            continue
        files.remove(files.join(path, META))  # first: if this process is killed here, what is left isn't whole
        files.remove(path)
    if files.is_local(folder):
        _remove_free_locks(folder, before=run_id)


def state_of(path: str) -> State:
    """whole: with all users; subset: with some; unfinished: without a meta.json; odd: with a meta.json that isn't an object."""
    try:
        meta = json.loads(files.read_text(files.join(path, META)))
    except FileNotFoundError:
        return "unfinished"
    except ValueError:
        return "odd"
    if not isinstance(meta, dict):
        return "odd"
    return "whole" if meta.get("users") is None else "subset"


def lock_of(folder: str, run_id: str) -> Path:
    """The lock file that the writer of a version in a local folder holds."""
    return files.local_path(folder) / f".{run_id}.lock"


def mend_current(folder: str) -> None:
    """If CURRENT names a version that isn't whole, write the newest whole one into it: without locks, another commit may have
    just removed the version.
    """
    current = read_current(folder)
    if current is not None and state_of(files.join(folder, current)) != "whole":
        whole = [other for other in run_ids(folder) if state_of(files.join(folder, other)) == "whole"]
        if whole:
            files.write_text(files.join(folder, CURRENT), whole[-1] + "\n")


def _is_written(folder: str, run_id: str) -> bool:
    """Whether a process holds the lock of a version."""
    if not files.is_local(folder) or not lock_of(folder, run_id).exists():
        return False
    try:
        with hold(lock_of(folder, run_id), what="", remedy=""):
            return False
    except UserError:
        return True


def _is_dead(folder: str, run_id: str) -> bool:
    """Whether the writer of an unfinished version that no process holds is dead: it left its lock, or all is a day old."""
    if files.is_local(folder) and lock_of(folder, run_id).exists():
        return True
    day_ago = datetime.now(UTC) - DEAD_AFTER
    return run_id < f"{day_ago:{STAMP}}" and files.newest_change(files.join(folder, run_id)) < day_ago.timestamp()


def _remove_free_locks(folder: str, *, before: str) -> None:
    """Remove the locks that dead writers left, of versions that were removed or are finished."""
    for file in files.local_path(folder).glob(".*.lock"):
        run_id = file.name[1:].removesuffix(".lock")
        path = files.join(folder, run_id)
        over = not files.exists(path) or state_of(path) != "unfinished"
        if RUN_ID.match(run_id) and run_id < before and over and not _is_written(folder, run_id):
            file.unlink(missing_ok=True)
