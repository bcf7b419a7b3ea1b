"""Versioned folders: FOLDER/RUN_ID/…, and FOLDER/CURRENT, which holds the run id that readers take."""

import json
import re
import secrets
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from seqrec import files
from seqrec.errors import UserError

CURRENT = "CURRENT"
RUN_ID = re.compile(r"^\d{8}T\d{6}Z-[0-9a-f]{4}$")


def new_run_id() -> str:
    """A UTC time and a random suffix: sorts by time, e.g. 20261101T020000Z-3f2a."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def resolve(folder: str, run_id: str | None = None) -> str:
    """The version's folder: of the given run id, else of CURRENT; a path that is a version already is returned as it is.

    Call it once, at the start of a job: a rebuild then never pulls data from under the reader.
    """
    folder = folder.rstrip("/")
    if run_id is None and RUN_ID.match(folder.rsplit("/", 1)[-1]):
        run_id, folder = folder.rsplit("/", 1)[-1], folder.rsplit("/", 1)[0]
    if run_id is None:
        try:
            run_id = files.read_text(files.join(folder, CURRENT)).strip()
        except FileNotFoundError:
            raise UserError(f"{folder} has no finished version (no file {CURRENT}): run the job that writes it first") from None
    path = files.join(folder, run_id)
    if not files.exists(path):
        known = ", ".join(run_ids(folder)[-5:]) or "none"
        raise UserError(f"{folder} has no version {run_id}; the newest are: {known}")
    return path


def run_ids(folder: str) -> list[str]:
    """Run ids in a folder, oldest first, unfinished ones included."""
    return [name for name in files.names(folder) if RUN_ID.match(name)]


def commit(folder: str, run_id: str, *, keep: int) -> None:
    """Make the version the current one, and remove all but the newest `keep` versions."""
    files.write_text(files.join(folder, CURRENT), run_id + "\n")
    older = [known for known in run_ids(folder) if known < run_id]
    for known in older[: max(0, len(older) - (keep - 1))]:
        files.remove(files.join(folder, known))


def write_meta(path: str, meta: dict[str, Any]) -> None:
    """Write PATH/meta.json, with the versions of the packages that made it."""
    text = json.dumps({**meta, "versions": _packages()}, indent=2, sort_keys=True, ensure_ascii=False)
    files.write_text(files.join(path, "meta.json"), text + "\n")


def read_meta(path: str) -> dict[str, Any]:
    """Read PATH/meta.json."""
    where = files.join(path, "meta.json")
    try:
        meta: dict[str, Any] = json.loads(files.read_text(where))
    except FileNotFoundError:
        raise UserError(f"{where} is missing: run the job that writes {path} again") from None
    except ValueError as error:
        raise UserError(f"{where} is not valid JSON ({error}): run the job that writes {path} again") from None
    return meta


def _packages() -> dict[str, str]:
    found = {}
    for package in ("seqrec", "pyspark", "torch", "petastorm", "pyarrow", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
