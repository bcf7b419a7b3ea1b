"""What a finished version was made from: in its meta.json the job, its settings, the state of each input, and the job's code.

    made = MadeFrom(job="train", settings={…}, inputs={"data": state_of("/seq/dataset")}, code="9f2c…")
    record(version, made)                     # at the end of the job, before readers see the version
    read_made_from(version)                   # None for a version that isn't finished, or that an older release made

The state of an input is a text that changes when the input does: the run id of a version, the run id and the best checkpoint of a
model, or a hash of the content of other files. Two states are only ever compared.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seqrec.storage import files, path_files, paths
from seqrec.storage.meta import META, Part
from seqrec.storage.run_ids import RUN_ID, read_current

KEY = "made_from"
HASHED_BYTES = 1 << 30  # of more bytes than this, sizes and times of change are compared in place of the content
BEST, LAST = "best_", "last.pt"
EXPORTS = "exports"  # of a model's folder


class MadeFrom(Part):
    """A job, its settings without secrets, the states of its inputs by key, and a hash of the job's code."""

    job: str
    settings: dict[str, Any]
    inputs: dict[str, str | None]
    code: str


def record(path: str, made: MadeFrom) -> None:
    """Add what a version was made from to its meta.json, in the folder `path`."""
    where = files.join(path, META)
    meta = json.loads(files.read_text(where))
    text = json.dumps({**meta, KEY: made.model_dump()}, indent=2, sort_keys=True, ensure_ascii=False)
    files.write_text(where, text + "\n")


def read_made_from(path: str) -> MadeFrom | None:
    """What PATH/meta.json says the version was made from; None if there is no such file, or it doesn't say it."""
    try:
        meta = json.loads(files.read_text(files.join(path, META)))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(meta, dict) or KEY not in meta:
        return None
    return MadeFrom.of(meta[KEY], path=files.join(path, META), remedy=f"remove {KEY} from it, and run the job again")


def state_of(path: str) -> str | None:
    """A text that changes when what is at the path does; None if nothing is there.

    Of a versioned folder it is the run id in CURRENT, of a version its own, of a model the run id of its training and the name of
    its best checkpoint. Other files on this machine are read whole; remote ones, and those of more than a GiB, are compared by
    names, sizes and times of change.
    """
    path = path.rstrip("/") or "/"
    if files.is_local(path) and files.local_path(path).is_file():
        return _files_state(path)
    if RUN_ID.match(name := path.rsplit("/", 1)[-1]):
        return name if files.exists(files.join(path, META)) else None
    if current := read_current(path):
        return current if files.exists(files.join(path, current, META)) else None
    if name == EXPORTS and not files.exists(path):  # MODEL may be an export itself, or a version of one
        return _training(path.rpartition("/")[0], of_export=True)
    return _training(path) or _files_state(path)


def _training(folder: str, *, of_export: bool = False) -> str | None:
    """The run id in a folder's meta.json, its export's if it is one, and the best checkpoint's name; None without a meta.json.

    Of a model that was trained without validation it is the state of the last checkpoint.

    With of_export, None too unless the folder is an export.
    """
    try:
        meta = json.loads(files.read_text(files.join(folder, META)))
    except (FileNotFoundError, ValueError):
        return None
    if of_export and "files" not in meta:
        return None
    names = files.names(files.join(folder, "checkpoints"))
    best = [name for name in names if name.startswith(BEST)]
    last = _files_state(files.join(folder, "checkpoints", LAST)) if LAST in names and not best else None
    return " ".join(str(word) for word in (meta.get("run_id"), meta.get("export"), *best[-1:], last) if word)


def _files_state(path: str) -> str | None:
    """The state of the files that a path or a pattern means; None without any.

    Local ones are hashed whole, too large ones with their sizes and times; remote ones have sizes and the newest change.
    """
    matches = sorted(path_files.places(path))
    found = [file for place in matches for file in path_files.files_of(place)]
    if not found:
        return None
    start = path if matches == [path] else path_files.folder_above(path)
    names = [(_name_from(start, file.path), file.size) for file in found]
    size = sum(file.size for file in found)
    if files.is_local(path):
        return _described(len(found), size, _hash_of(names, [files.local_path(file.path) for file in found]))
    newest = max(files.newest_change(place) for place in matches)
    hashed = hashlib.blake2b(repr(names).encode(), digest_size=16).hexdigest()
    return _described(len(found), size, f"{hashed}, {datetime.fromtimestamp(newest, UTC):%FT%TZ}")


def _hash_of(names: Sequence[tuple[str, int]], found: Sequence[Path]) -> str:
    """A hash of the names, sizes and content of local files; in place of the content of their times if they are too large."""
    hashed = hashlib.blake2b(digest_size=16)
    large = sum(size for _, size in names) > HASHED_BYTES
    for (name, size), file in zip(names, found, strict=True):
        hashed.update(f"{name}\0{size}\0".encode(errors="surrogateescape"))
        with suppress(FileNotFoundError):  # a file that vanishes meanwhile has no content
            if large:
                hashed.update(f"{file.stat().st_mtime_ns}\0".encode())
                continue
            with file.open("rb") as source:
                while block := source.read(1 << 20):
                    hashed.update(block)
    return hashed.hexdigest()


def _name_from(start: str, file: str) -> str:
    """A file's name from a folder on; of the file itself `.` if it is local, else its own name."""
    if files.is_local(start):
        return os.path.relpath(files.local_path(file), files.local_path(start))
    return file.removeprefix(start).lstrip("/") or start.rpartition("/")[2]


def _described(count: int, size: int, hashed: str) -> str:
    """The state of files, as people read it."""
    return f"{count:,} file{'' if count == 1 else 's'}, {size:,} bytes, {hashed}"


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies in it."""
    return f"{paths.absolute(path).rstrip('/')}/".startswith(f"{paths.absolute(folder).rstrip('/')}/")
