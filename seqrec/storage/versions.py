"""Versioned folders: FOLDER/RUN_ID/…, and FOLDER/CURRENT, which holds the run id that readers take.

    run_id = versions.new_run_id()
    io.write_table(…, f"{folder}/{run_id}/items", …)    # claims the version for this process
    versions.write_meta(f"{folder}/{run_id}", …)        # names the tables' files: from here on the version is whole
    versions.commit(folder, run_id, keep=5)             # readers see it; old versions go

On a local folder the writer holds the lock FOLDER/.RUN_ID.lock, and commits wait for each other at FOLDER/.commit.lock. Object
stores have no locks: there an unfinished version is left alone for a day, and a commit looks again at what CURRENT names.
"""

import json
import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Literal

from seqrec.errors import UserError
from seqrec.storage import files, parts
from seqrec.storage.lock import hold
from seqrec.storage.meta import META, read_meta, write_meta

__all__ = [
    "claim",
    "commit",
    "fetch_table",
    "new_run_id",
    "read_current",
    "read_meta",
    "resolve",
    "run_ids",
    "table_files",
    "write_meta",
]

log = logging.getLogger("seqrec")

CURRENT = "CURRENT"
STAMP = "%Y%m%dT%H%M%SZ"
RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}\Z")
EXAMPLE = "20261101T020000Z-3f2a"
DEAD_AFTER = timedelta(days=1)  # an unfinished version that nobody holds and nobody has written to
COMMIT_WAIT_S = 600.0

State = Literal["whole", "subset", "unfinished", "odd"]

_held: dict[tuple[str, str], ExitStack] = {}  # the locks of the versions that this process writes, by folder and run id
_claiming = Lock()


def new_run_id() -> str:
    """A UTC time and a random suffix: sorts by time, e.g. 20261101T020000Z-3f2a."""
    return f"{datetime.now(UTC):{STAMP}}-{secrets.token_hex(2)}"


def claim(path: str) -> None:
    """Hold the lock of the version FOLDER/RUN_ID from before anything is written there until its commit or this process's end.

    No commit removes what is held. Nothing happens for a version that this process holds, for another path, and off this
    machine's file systems.
    """
    folder, _, run_id = files.absolute(path).rpartition("/")
    if files.is_local(path) and RUN_ID.match(run_id):
        with _claiming:
            if (folder, run_id) not in _held:
                stack = ExitStack()
                stack.enter_context(hold(_lock(folder, run_id), what=f"version {run_id} of {folder}", remedy="run the job again"))
                _held[folder, run_id] = stack


def resolve(folder: str, run_id: str | None = None) -> str:
    """The version's folder: of the given run id, else of CURRENT; a path that is a version already is returned as it is.

    Call it once, at the start of a job: a rebuild then never pulls data from under the reader. Raises UserError for what is no
    run id, and for a version that isn't there.
    """
    folder = folder.rstrip("/")
    if run_id is None and RUN_ID.match(folder.rsplit("/", 1)[-1]):
        folder, _, run_id = ("./" + folder if "/" not in folder else folder).rpartition("/")
    if run_id is None:
        run_id = read_current(folder)
        if run_id is None:
            raise UserError(f"{folder} has no finished version (no file {CURRENT}): run the job that writes it first")
    elif not RUN_ID.match(run_id):
        raise UserError(f"{run_id!r} is no version of {folder}: give a run id such as {EXAMPLE}; {_newest(folder)}")
    path = files.join(folder, run_id)
    if not files.exists(path):
        raise UserError(f"{folder} has no version {run_id}; {_newest(folder)}")
    return path


def read_current(folder: str) -> str | None:
    """The run id in FOLDER/CURRENT; None if there is no such file, UserError if it holds something else."""
    where = files.join(folder, CURRENT)
    try:
        text = files.read_bytes(where).decode(errors="replace").strip()
    except FileNotFoundError:
        return None
    if not RUN_ID.match(text):
        raise UserError(
            f"{where} holds {text[:80]!r}, which is no run id such as {EXAMPLE}: write one into it; {_newest(folder)}"
        )
    return text


def run_ids(folder: str) -> list[str]:
    """Run ids in a folder, oldest first, unfinished ones included."""
    return [name for name in files.names(folder) if RUN_ID.match(name)]


def commit(folder: str, run_id: str, *, keep: int) -> None:
    """Make a whole version the current one, and remove old ones: of the older whole versions the newest keep - 1 stay.

    Of two commits the later one is CURRENT, whichever run began first. A version of a subset of the users (`users` in its
    meta.json) never becomes CURRENT, and of these the newest `keep` stay. Unfinished versions go when their writers are surely
    dead. Nothing goes that a process writes, that CURRENT names, or that is newer than the version. Raises UserError, with
    CURRENT as it was, if the version isn't whole.
    """
    path = files.join(folder, run_id)
    try:
        with _one_commit(folder):
            state = _state(path)
            if state == "unfinished":
                raise UserError(f"{path} isn't whole (no {META}): nothing was committed; run the job that writes it again")
            for table, record in read_meta(path).get("tables", {}).items():
                parts.require_recorded(files.join(path, table), record)
            if state == "whole":
                files.write_text(files.join(folder, CURRENT), run_id + "\n")
            else:
                log.info("version %s holds a subset of the users: %s stays as it is", run_id, files.join(folder, CURRENT))
            try:
                _prune(folder, run_id, state=state, keep=keep)
            except (OSError, UserError) as error:
                log.warning("version %s is whole, but not all old versions of %s could be removed: %s", run_id, folder, error)
            _mend_current(folder)
    finally:
        _release(folder, run_id)


def table_files(path: str) -> list[str]:
    """The names of a table's Parquet files, in order: those that its version's meta.json records, if it does.

    Raises UserError if the table is absent or unfinished, and if a file is missing, is one too many, or has another size. A
    table that lies in no version may lack _SUCCESS.
    """
    folder, _, table = path.rstrip("/").rpartition("/")
    in_version = RUN_ID.match(folder.rsplit("/", 1)[-1]) is not None
    if in_version and files.exists(files.join(folder, META)):
        record = read_meta(folder).get("tables", {}).get(table)
        if record is not None:
            return parts.require_recorded(files.join(folder, table), record)
    return parts.require_finished(path.rstrip("/"), marked=in_version)


def fetch_table(path: str, cache: Path) -> list[Path]:
    """The Parquet files of a table on this machine, in order: themselves where they are local, else copies in the cache.

    Raises UserError as `table_files` does.
    """
    return [files.fetch(files.join(path, name), cache) for name in table_files(path)]


def _release(folder: str, run_id: str) -> None:
    if stack := _held.pop((files.absolute(folder), run_id), None):
        stack.close()
        _lock(folder, run_id).unlink(missing_ok=True)


def _lock(folder: str, run_id: str) -> Path:
    return files.local_path(folder) / f".{run_id}.lock"


@contextmanager
def _one_commit(folder: str) -> Iterator[None]:
    if files.is_local(folder):
        what, remedy = f"a commit in {folder}", "wait until it has ended, and run the job again"
        with hold(files.local_path(folder) / ".commit.lock", what=what, remedy=remedy, wait_s=COMMIT_WAIT_S):
            yield
    else:
        yield


def _state(path: str) -> State:
    """Whether a version holds everybody or a subset of the users, or is unfinished; odd is one whose meta.json says nothing."""
    try:
        meta = json.loads(files.read_text(files.join(path, META)))
    except FileNotFoundError:
        return "unfinished"
    except ValueError:
        return "odd"
    if not isinstance(meta, dict):
        return "odd"
    return "whole" if meta.get("users") is None else "subset"


def _prune(folder: str, run_id: str, *, state: State, keep: int) -> None:
    older = [other for other in run_ids(folder) if other < run_id and not _is_written(folder, other)]
    states = {other: _state(files.join(folder, other)) for other in older}
    peers = [other for other in older if states[other] == state]
    dead = [other for other in older if states[other] == "unfinished" and _is_dead(folder, other)]
    for other in [*peers[: max(0, len(peers) - (keep - 1))], *dead]:
        path = files.join(folder, other)
        if read_current(folder) == other:
            continue
        files.remove(files.join(path, META))  # first, so that what a kill leaves isn't taken for a whole version
        files.remove(path)
    if files.is_local(folder):
        _remove_free_locks(folder, before=run_id)


def _is_written(folder: str, run_id: str) -> bool:
    """Whether a process holds the lock of a version."""
    if not files.is_local(folder) or not _lock(folder, run_id).exists():
        return False
    try:
        with hold(_lock(folder, run_id), what="", remedy=""):
            return False
    except UserError:
        return True


def _is_dead(folder: str, run_id: str) -> bool:
    """Whether an unfinished version that no process holds is given up: its writer left the lock, or all of it is a day old."""
    if files.is_local(folder) and _lock(folder, run_id).exists():
        return True
    day_ago = datetime.now(UTC) - DEAD_AFTER
    return run_id < f"{day_ago:{STAMP}}" and files.newest_change(files.join(folder, run_id)) < day_ago.timestamp()


def _remove_free_locks(folder: str, *, before: str) -> None:
    """Remove what dead writers left beside the versions that are gone or whole by now."""
    for file in files.local_path(folder).glob(".*.lock"):
        run_id = file.name[1:].removesuffix(".lock")
        path = files.join(folder, run_id)
        over = not files.exists(path) or _state(path) != "unfinished"
        if RUN_ID.match(run_id) and run_id < before and over and not _is_written(folder, run_id):
            file.unlink(missing_ok=True)


def _mend_current(folder: str) -> None:
    """Without locks, CURRENT may name a version that another commit has just removed: then the newest whole one is taken."""
    current = read_current(folder)
    if current is not None and _state(files.join(folder, current)) != "whole":
        whole = [other for other in run_ids(folder) if _state(files.join(folder, other)) == "whole"]
        if whole:
            files.write_text(files.join(folder, CURRENT), whole[-1] + "\n")


def _newest(folder: str) -> str:
    return f"the newest are: {', '.join(run_ids(folder)[-5:]) or 'none'}"
