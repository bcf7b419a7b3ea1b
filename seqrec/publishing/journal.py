"""The journal of publications, PUBLISHED.json in the output folder: the last one with its finished steps, and those that ended.

A publication that didn't end is continued under its publish_id, unless a store holds a newer publication by now.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from seqrec.errors import UserError
from seqrec.publishing import publish_ids
from seqrec.storage import files
from seqrec.storage.lock import hold
from seqrec.stores.address import EMBEDDED

FILE = "PUBLISHED.json"
LOCK = ".publish.lock"
KEPT = 100  # ended publications that stay in the journal
EMBEDDED_IN = re.compile(rf"^(\w+) {EMBEDDED} in .*?(, (?:collection|alias) )")
EXPECTED = {"model_type": "an object", "list_type": "a list", "string_type": "a string", "bool_type": "true or false"}


class Entry(BaseModel):
    """A publication in the journal: its stores, its finished steps, when it began and ended, and its number of users."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    publish_id: str
    run_id: str
    stores: list[str]
    whole: bool
    steps: list[str]
    finished: str | None
    started: str | None = None
    users: int | None = None


class Journal(BaseModel):
    """The file's content: the last publication, the ids of those that were given up, and those that ended, oldest first."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    last: Entry | None
    abandoned: list[str]
    ended: list[Entry]


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A publication that is under way; `steps` are those that it had finished before this run."""

    output: str
    publish_id: str
    resumed: bool
    steps: tuple[str, ...]


@contextmanager
def locked(output: str) -> Iterator[None]:
    """Hold the lock of a local output folder; UserError names the process that holds it. hdfs:// and s3a:// have no locks."""
    if files.is_local(output):
        remedy = "wait until it has ended"
        with hold(files.local_path(output) / LOCK, what=f"a publication of {output}", remedy=remedy):
            yield
    else:
        yield


def begin(output: str, *, run_id: str, stores: list[str], whole: bool, standing: Sequence[str]) -> Publication:
    """Continue the last publication if it was of the same whole run into the same stores and didn't end; else begin a new one.

    `standing` are the newest publish_ids in the stores: a new one sorts after them, whatever the clocks say.
    """
    journal = read_journal(output)
    last, newest = journal.last, max(standing, default="")
    unfinished = [last] if last is not None and last.finished is None else []
    for entry in unfinished:
        same = whole and entry.whole and (entry.run_id, entry.stores) == (run_id, stores)
        if same and newest <= entry.publish_id:
            return Publication(output=output, publish_id=entry.publish_id, resumed=True, steps=tuple(entry.steps))
    abandoned = [*journal.abandoned, *(entry.publish_id for entry in unfinished)]
    entry = Entry(
        publish_id=publish_ids.new_publish_id(after=max(newest, "" if last is None else last.publish_id)),
        run_id=run_id,
        stores=stores,
        whole=whole,
        steps=[],
        finished=None,
        started=_now(),
    )
    _write(output, journal.model_copy(update={"last": entry, "abandoned": abandoned[-KEPT:]}))
    return Publication(output=output, publish_id=entry.publish_id, resumed=False, steps=())


def record(publication: Publication, step: str) -> None:
    """Note that a step of the publication is finished."""
    journal = read_journal(publication.output)
    if (last := _entry_of(publication, journal)) is not None and step not in last.steps:
        entry = last.model_copy(update={"steps": [*last.steps, step]})
        _write(publication.output, journal.model_copy(update={"last": entry}))


def finish(publication: Publication, *, users: int | None) -> None:
    """Note that the publication is finished, and the number of its users; None if it went to Milvus alone."""
    journal = read_journal(publication.output)
    if (last := _entry_of(publication, journal)) is not None:
        entry = last.model_copy(update={"finished": _now(), "users": users})
        ended = [*journal.ended, entry][-KEPT:]
        _write(publication.output, journal.model_copy(update={"last": entry, "ended": ended}))


def previous_users(output: str, store: str) -> int | None:
    """The number of users of the last finished publication of all users into a store; None if the journal has none."""
    ended = [entry for entry in read_journal(output).ended if entry.whole and _includes(entry, store)]
    return ended[-1].users if ended else None


def _includes(entry: Entry, store: str) -> bool:
    """Whether a publication went into a store, with or without fields of items; an embedded one may have been moved since."""
    wanted = _unplaced(store)
    return any(address == wanted or address.startswith(f"{wanted}, with ") for address in map(_unplaced, entry.stores))


def _unplaced(store: str) -> str:
    """The name of a store without the folder of an embedded one: a folder moves with its root, or is written otherwise.

    >>> _unplaced("Milvus embedded in /old/stores, alias item_embeddings"), _unplaced("Milvus http://a:1, alias b")
    ('Milvus embedded, alias item_embeddings', 'Milvus http://a:1, alias b')
    """
    return EMBEDDED_IN.sub(rf"\1 {EMBEDDED}\2", store)


def unpublished(output: str, run_id: str, *, documents: str | None, vectors: str | None) -> str | None:
    """The first of two stores, by their names, that the last publication of a folder didn't bring this version into, and end.

    None if it reached both. None for a store stands for one that is left out; vectors go with all users' lists alone.
    """
    last = read_journal(output).last
    if last is None or last.run_id != run_id or last.finished is None:
        return documents or vectors
    wanted = (documents, vectors if last.whole else None)
    return next((store for store in wanted if store is not None and not _includes(last, store)), None)


def is_dead(output: str, publish_id: str) -> bool:
    """Whether the staged rows of a publication will never be used: a later one of this folder replaced it, or it is a day old."""
    return (files.is_local(output) and publish_id in read_journal(output).abandoned) or publish_ids.is_abandoned(publish_id)


def _now() -> str:
    """The time in the journal's format."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _entry_of(publication: Publication, journal: Journal) -> Entry | None:
    """The publication's entry, None if another one is the last by now."""
    last = journal.last
    return last if last is not None and last.publish_id == publication.publish_id else None


def read_journal(output: str) -> Journal:
    """The journal, an empty one if there is no file; UserError if the file holds something else."""
    path = files.join(output, FILE)
    remedy = "move it away and publish again; the loss of users is then measured against what the store holds"
    try:
        return Journal.model_validate(json.loads(files.read_text(path)))
    except FileNotFoundError:
        return Journal(last=None, abandoned=[], ended=[])
    except ValidationError as error:
        raise UserError(f"{path} is no journal of publications ({_problem(error)}): {remedy}") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}): {remedy}") from None


def _problem(error: ValidationError) -> str:
    """The keys that a journal's content lacks, or the first value of a wrong type."""
    problems = error.errors(include_url=False)
    first, location = problems[0], problems[0]["loc"]
    if first["type"] == "missing":
        lacking = [str(problem["loc"][-1]) for problem in problems if problem["loc"][:-1] == location[:-1]]
        return f"{'it' if len(location) == 1 else 'a publication in it'} lacks {', '.join(lacking)}"
    types = f"{type(first['input']).__name__}, expected {EXPECTED.get(first['type'], first['msg'])}"
    return f"{'.'.join(map(str, location))} is {types}" if location else f"it holds {types}"


def _write(output: str, journal: Journal) -> None:
    """Replace the file; a key that was never set isn't written."""
    content = journal.model_dump(mode="json", exclude_unset=True)
    files.write_text(files.join(output, FILE), json.dumps(content, indent=2, ensure_ascii=False) + "\n")
