"""Versioned folders: FOLDER/RUN_ID/…, and FOLDER/CURRENT, which holds the run id of the version that readers use.

    run_id = versions.new_run_id()
    io.write_table(…, f"{folder}/{run_id}/items", …)    # claims the version for this process
    versions.write_meta(f"{folder}/{run_id}", …)        # names the tables' files: from here on the version is whole
    versions.commit(folder, run_id, keep=5)             # readers see it; old versions are removed

On a local folder the writer holds the lock FOLDER/.RUN_ID.lock, and commits wait for each other at FOLDER/.commit.lock. Object
stores have no locks: there an unfinished version is left alone for a day, and a commit ends by checking CURRENT once more.
"""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Lock

from seqrec.errors import UserError
from seqrec.storage import files, parts
from seqrec.storage.lock import hold
from seqrec.storage.meta import META, TableRecords, read_meta, write_meta
from seqrec.storage.pruning import lock_of, mend_current, prune, state_of
from seqrec.storage.run_ids import CURRENT, EXAMPLE, RUN_ID, new_run_id, newest_run_ids, read_current, run_ids

__all__ = [
    "CURRENT",
    "RUN_ID",
    "claim",
    "commit",
    "fetch_table",
    "new_run_id",
    "only_table",
    "passing",
    "read_current",
    "read_meta",
    "resolve",
    "run_ids",
    "table_files",
    "write_meta",
]

log = logging.getLogger("seqrec")

COMMIT_WAIT_S = 600.0

_held: dict[tuple[str, str], ExitStack] = {}  # the locks of the versions that this process writes, by folder and run id
_claiming = Lock()


def claim(path: str) -> None:
    """Hold the lock of the version FOLDER/RUN_ID until its commit or this process's end; call it before anything is written.

    No commit removes a version whose lock is held. Nothing happens if this process holds it already, if the path isn't a version,
    or if it isn't local.
    """
    folder, _, run_id = files.absolute(path).rpartition("/")
    if files.is_local(path) and RUN_ID.match(run_id):
        with _claiming:
            if (folder, run_id) not in _held:
                stack = ExitStack()
                stack.enter_context(
                    hold(lock_of(folder, run_id), what=f"version {run_id} of {folder}", remedy="run the job again")
                )
                _held[folder, run_id] = stack


@contextmanager
def passing(folder: str) -> Iterator[str]:
    """In the `with` block, the path of a new version whose files don't outlast it: at its end nothing of it is left.

    With it go its lock, and the folders above it that were made for it and are empty.
    """
    run_id = new_run_id()
    path = files.join(folder, run_id)
    above = files.local_path(files.absolute(folder)) if files.is_local(folder) else None
    made = [] if above is None else [place for place in (above, *above.parents) if not place.exists()]
    try:
        yield path
    finally:
        files.remove(path)
        _release(folder, run_id)
        with suppress(OSError):  # another process has written there meanwhile
            for place in made:
                place.rmdir()


def resolve(folder: str, run_id: str | None = None) -> str:
    """The folder of the version `run_id`, else of the version in CURRENT; a path that names a version is returned as it is.

    Call it once, at the start of a job: then all reads are of one version, even if another is committed meanwhile. Raises
    UserError if `run_id` isn't a run id, or if the version doesn't exist.
    """
    folder = folder.rstrip("/")
    if run_id is None and RUN_ID.match(folder.rsplit("/", 1)[-1]):
        folder, _, run_id = ("./" + folder if "/" not in folder else folder).rpartition("/")
    if run_id is None:
        run_id = read_current(folder)
        if run_id is None:
            raise UserError(f"{folder} has no finished version (no file {CURRENT}): run the job that writes it first")
    elif not RUN_ID.match(run_id):
        raise UserError(f"{run_id!r} is no version of {folder}: give a run id such as {EXAMPLE}; {newest_run_ids(folder)}")
    path = files.join(folder, run_id)
    if not files.exists(path):
        raise UserError(f"{folder} has no version {run_id}; {newest_run_ids(folder)}")
    return path


def only_table(path: str) -> str:
    """The folder of the one table in a version, or in a versioned folder's current one; a path that is neither, as it is.

    Raises UserError, which names them, if there are several tables or none.
    """
    if not RUN_ID.match(path.rstrip("/").rsplit("/", 1)[-1]) and not files.exists(files.join(path, CURRENT)):
        return path
    version = resolve(path)
    tables = sorted(TableRecords.read(version).tables)
    if len(tables) != 1:
        choice = (
            f": give one of {', '.join(files.join(version, table) for table in tables)}" if tables else ": give a table or a file"
        )
        raise UserError(f"{path} is a versioned folder with {len(tables)} tables{choice}")
    return files.join(version, tables[0])


def commit(folder: str, run_id: str, *, keep: int) -> None:
    """Make a whole version the current one, and remove old ones: of the older whole versions the newest keep - 1 stay.

    Of two commits the later one is CURRENT, whichever run began first. A version of a subset of the users (`users` in its
    meta.json) never becomes CURRENT, and of these the newest `keep` stay. Unfinished ones are removed if their writers are surely
    dead. Versions that a process is writing, that CURRENT names, or that are newer than this one stay. Raises UserError, with
    CURRENT as it was, if the version isn't whole.
    """
    path = files.join(folder, run_id)
    try:
        with _one_commit(folder):
            state = state_of(path)
            if state == "unfinished":
                raise UserError(f"{path} isn't whole (no {META}): nothing was committed; run the job that writes it again")
            for table, record in TableRecords.read(path).tables.items():
                parts.require_recorded(files.join(path, table), record.files)
            if state == "whole":
                files.write_text(files.join(folder, CURRENT), run_id + "\n")
            else:
                log.info("version %s holds a subset of the users: %s stays as it is", run_id, files.join(folder, CURRENT))
            try:
                prune(folder, run_id, state=state, keep=keep)
            except (OSError, UserError) as error:
                log.warning("version %s is whole, but not all old versions of %s could be removed: %s", run_id, folder, error)
            mend_current(folder)
    finally:
        _release(folder, run_id)


def table_files(path: str) -> list[str]:
    """The names of a table's Parquet files, in order; those that its version's meta.json records, if it records the table.

    Raises UserError if the table is absent or unfinished, or if a file is missing, added, or of another size. A table outside of
    versions may lack _SUCCESS.
    """
    folder, _, table = path.rstrip("/").rpartition("/")
    in_version = RUN_ID.match(folder.rsplit("/", 1)[-1]) is not None
    if in_version and files.exists(files.join(folder, META)):
        record = TableRecords.read(folder).tables.get(table)
        if record is not None:
            return parts.require_recorded(files.join(folder, table), record.files)
    return parts.require_finished(path.rstrip("/"), marked=in_version)


def fetch_table(path: str, cache: Path) -> list[Path]:
    """The local paths of a table's Parquet files, in order: their own if they are local, else those of copies in the cache.

    Raises UserError as `table_files` does.
    """
    return [files.fetch(files.join(path, name), cache) for name in table_files(path)]


def _release(folder: str, run_id: str) -> None:
    """Give up the lock of a version that this process has claimed, and remove its file."""
    if stack := _held.pop((files.absolute(folder), run_id), None):
        stack.close()
        lock_of(folder, run_id).unlink(missing_ok=True)


@contextmanager
def _one_commit(folder: str) -> Iterator[None]:
    """In the `with` block, no other process commits in the folder, if it is local."""
    if files.is_local(folder):
        what, remedy = f"a commit in {folder}", "wait until it has ended, and run the job again"
        with hold(files.local_path(folder) / ".commit.lock", what=what, remedy=remedy, wait_s=COMMIT_WAIT_S):
            yield
    else:
        yield
