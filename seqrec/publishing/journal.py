"""The journal of publications, PUBLISHED.json in the output folder: how far the last one came, and those that ended.

A publication that didn't end is gone on with under its own publish_id, unless a newer one stands in a store by now.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from seqrec.errors import UserError
from seqrec.publishing import publish_ids
from seqrec.storage import files
from seqrec.storage.lock import hold

FILE = "PUBLISHED.json"
LOCK = ".publish.lock"
ENTRY = ("publish_id", "run_id", "stores", "whole", "steps", "finished")
KEPT = 100  # ended publications that stay in the journal


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A publication that is under way; done names its finished steps."""

    output: str
    publish_id: str
    resumed: bool
    done: tuple[str, ...]


@contextmanager
def locked(output: str) -> Iterator[None]:
    """Be the one publication of a local output folder; UserError that says who else is. On hdfs:// and s3a:// nothing is held."""
    if files.is_local(output):
        remedy = "wait until it has ended"
        with hold(files.local_path(output) / LOCK, what=f"a publication of {output}", remedy=remedy):
            yield
    else:
        yield


def begin(output: str, *, run_id: str, stores: list[str], whole: bool, standing: list[str]) -> Publication:
    """Go on with the last publication if it was of this whole run into these stores and didn't end; else begin one.

    Standing are the newest publish_ids in the stores: a new one comes after them, whatever the clocks say.
    """
    journal = _read(output)
    last, newest = journal["last"], max(standing, default="")
    unfinished = last is not None and last["finished"] is None
    same = whole and last is not None and (last["whole"], last["run_id"], last["stores"]) == (whole, run_id, stores)
    if unfinished and same and newest <= last["publish_id"]:
        return Publication(output=output, publish_id=last["publish_id"], resumed=True, done=tuple(last["steps"]))
    abandoned = [*journal["abandoned"], last["publish_id"]] if unfinished else journal["abandoned"]
    publish_id = publish_ids.fresh(after=max(newest, last["publish_id"] if last else ""))
    entry = {"publish_id": publish_id, "run_id": run_id, "stores": stores, "whole": whole, "steps": [], "finished": None}
    _write(output, {**journal, "last": {**entry, "started": _now()}, "abandoned": abandoned[-KEPT:]})
    return Publication(output=output, publish_id=publish_id, resumed=False, done=())


def record(publication: Publication, step: str) -> None:
    """Note that a step of the publication is finished."""
    journal = _read(publication.output)
    if journal["last"] and journal["last"]["publish_id"] == publication.publish_id and step not in journal["last"]["steps"]:
        journal["last"]["steps"].append(step)
        _write(publication.output, journal)


def finish(publication: Publication, *, users: int | None) -> None:
    """Note that the publication is finished; of so many users, or None where it had none to do with."""
    journal = _read(publication.output)
    if journal["last"] and journal["last"]["publish_id"] == publication.publish_id:
        journal["last"] = {**journal["last"], "finished": _now(), "users": users}
        journal["ended"] = [*journal["ended"], journal["last"]][-KEPT:]
        _write(publication.output, journal)


def previous_users(output: str, store: str) -> int | None:
    """Users of the last whole publication into a store that ended; None if the journal knows of none."""
    ended = [one for one in _read(output)["ended"] if one["whole"] and store in one["stores"]]
    users = ended[-1].get("users") if ended else None
    return None if users is None else int(users)


def is_dead(output: str, publish_id: str) -> bool:
    """Whether what a publication staged will never be used: this folder's journal gave it up, or it is a day old."""
    return (files.is_local(output) and publish_id in _read(output)["abandoned"]) or publish_ids.is_abandoned(publish_id)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(output: str) -> dict[str, Any]:
    path = files.join(output, FILE)
    remedy = "move it away and publish again; the loss of users is then measured against what the store holds"
    try:
        journal = json.loads(files.read_text(path))
    except FileNotFoundError:
        return {"last": None, "abandoned": [], "ended": []}
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): {remedy}") from None
    if (wrong := _wrong(journal)) is not None:
        raise UserError(f"{path} is no journal of publications ({wrong}): {remedy}")
    return dict(journal)


def _wrong(journal: Any) -> str | None:
    """What a journal's content lacks or has of another type; None for one that is as it should be."""
    if not isinstance(journal, dict):
        return f"it holds {type(journal).__name__}, expected an object"
    if lacking := [key for key in ("last", "abandoned", "ended") if key not in journal]:
        return f"it lacks {', '.join(lacking)}"
    for key in ("abandoned", "ended"):
        if not isinstance(journal[key], list):
            return f"{key} is {type(journal[key]).__name__}, expected a list"
    for entry in [*journal["ended"], *([] if journal["last"] is None else [journal["last"]])]:
        lacking = [key for key in ENTRY if key not in entry] if isinstance(entry, dict) else list(ENTRY)
        if lacking:
            return f"a publication in it lacks {', '.join(lacking)}"
    return None


def _write(output: str, journal: dict[str, Any]) -> None:
    files.write_text(files.join(output, FILE), json.dumps(journal, indent=2, ensure_ascii=False) + "\n")
