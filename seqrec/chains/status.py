"""Which steps of a chain are up to date, which are stale, and why: what a version was made from, compared with what is now."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqrec.chains.chain_file import Step
from seqrec.command.config import flatten
from seqrec.command.lineage import TABLE, made_from
from seqrec.command.story import show_setting
from seqrec.publishing.journal import unpublished
from seqrec.settings.batch_recommend import BatchRecommend
from seqrec.settings.training import Training
from seqrec.storage import files
from seqrec.storage.made_from import MadeFrom, is_below, read_made_from, state_of
from seqrec.storage.meta import META
from seqrec.storage.run_ids import read_current
from seqrec.stores.address import EMBEDDED, NONE, milvus_name, mongodb_name
from seqrec.stores.embedded import data_folder, server_name

WITHOUT_EFFECT = {  # settings that change nothing in what is made; a preset's keys are settings themselves
    *("keep", "preset", "resume", "dry_run", "tensorboard", "plots", "log_every", "memory_gb", "max_minutes", "reader_workers"),
}
FOLDERS = {"data", "model", "output", "result_path"}  # compared by what lies there, so that a root can be moved
LIMITS = {"max_epochs", "max_steps"}  # which a finished training can go on to, if they are raised
ABSENT = "nothing"
RECORDS = "chain_steps"  # folder in SEQREC_ROOT: what the steps without a version were made from


@dataclass(frozen=True, kw_only=True)
class Status:
    """Whether a step is stale and why; else the version that is up to date. `arguments` are what its job is told besides."""

    step: Step
    reasons: tuple[str, ...]
    version: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def stale(self) -> bool:
        """Whether the step has to run."""
        return bool(self.reasons)

    def shown(self) -> str:
        """`up to date: 20261101T020000Z-3f2a`, or `stale: settings max_epochs changed 2 → 3`."""
        return f"stale: {'; '.join(self.reasons)}" if self.stale else f"up to date: {self.version}".removesuffix(": ")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How steps are compared: where those without a version are recorded, whether a change of code counts, whether all run."""

    records: str | None
    by_code: bool = True
    force: bool = False


def statuses(steps: Sequence[Step], before: Mapping[str, Mapping[str, str]], comparison: Comparison) -> list[Status]:
    """The status of each step, in their order; a step after a stale one is stale."""
    found: dict[str, Status] = {}
    for step in steps:
        above = [name for name in before[step.name] if name in found and found[name].stale]
        found[step.name] = _status(step, above, comparison)
    return list(found.values())


def record_of(step: Step, folder: str | None) -> str | None:
    """The file that says what a step without a version was made from."""
    return None if folder is None or step.writes is not None else files.join(folder, f"{step.name}.json")


def _status(step: Step, above: Sequence[str], comparison: Comparison) -> Status:
    """The status of a step below the stale steps `above`."""
    path, made = _finished(step, comparison)
    now = made_from(step.config, job=step.job, script=step.script)
    reasons = [_unfinished(step, path)] if made is None else list(_differences(step, made, now, by_code=comparison.by_code))
    left = None if step.writes is not None else step.config.leaves()
    if made is not None and left is not None and not files.exists(left):
        reasons.append(f"{left} isn't there")
    if made is not None and path is not None and (store := _lacking(step, path)) is not None:
        reasons.append(f"{path.rpartition('/')[2]} isn't published in {store}")
    starts_over = made is not None and _starts_over(step, made, now, by_code=comparison.by_code)
    if above and made is not None and not comparison.force:
        reasons.append(f"follows {', '.join(above)}")
    if comparison.force and not reasons:
        reasons = ["forced"]
    version = (step.writes and state_of(step.writes)) or ""
    return Status(step=step, reasons=tuple(reasons), version=version, arguments=_arguments(step, starts_over))


def _finished(step: Step, comparison: Comparison) -> tuple[str | None, MadeFrom | None]:
    """The folder of a step's current version, None without one; and what that was made from, None if it doesn't say so."""
    if step.writes is None:
        where = record_of(step, comparison.records)
        if where is None or not files.exists(where):
            return None, None
        try:
            content = json.loads(files.read_text(where))
        except ValueError:
            content = {}
        return None, MadeFrom.of(content, path=where, remedy="remove this file, and its step runs again")
    current = read_current(step.writes)
    path = step.writes if current is None else files.join(step.writes, current)
    return (path, read_made_from(path)) if files.exists(files.join(path, META)) else (None, None)


def _unfinished(step: Step, path: str | None) -> str:
    """Why a step whose version doesn't say what it was made from is stale."""
    if path is None:
        return "never ran"
    if _trains_a_model(step):
        return "its training isn't finished, and goes on"
    return f"{path.rpartition('/')[2]} doesn't say what it was made from"


def _differences(step: Step, made: MadeFrom, now: MadeFrom, *, by_code: bool) -> list[str]:
    """What differs between what a version was made from and what is there now."""
    if made.job != now.job:
        return [f"the job {made.job} made it"]
    reasons = [f"settings {key} changed {old} → {new}" for key, (old, new) in _changed_settings(made, now).items()]
    for key in sorted(made.inputs.keys() | now.inputs.keys()):
        if key.endswith(TABLE):
            reasons.append(f"{key}: changes of a table that Spark knows by name can't be seen")
            continue
        place = step.reads.get(key)
        own = place is not None and step.writes is not None and is_below(place, step.writes)
        old, new = made.inputs.get(key), now.inputs.get(key)
        if old != new and not own:
            reasons.append(f"{key} {old or ABSENT} → {new or ABSENT}")
    if by_code and made.code != now.code:
        reasons.append(f"the job's code changed {made.code} → {now.code}")
    return reasons


def _changed_settings(made: MadeFrom, now: MadeFrom) -> dict[str, tuple[str, str]]:
    """Settings that differ, by key: the old value and the new one. Those without an effect, and paths, are left out."""
    old, new = flatten(made.settings), flatten(now.settings)
    paths = {key.partition("/")[0] for key in (*made.inputs, *now.inputs)} | FOLDERS
    changed = {}
    for key in sorted(old.keys() | new.keys()):
        if key.split(".")[0] not in WITHOUT_EFFECT and key not in paths and old.get(key) != new.get(key):
            changed[key] = (_shown(old, key), _shown(new, key))
    return changed


def _shown(settings: Mapping[str, Any], key: str) -> str:
    """A setting's value, as an override is written."""
    return show_setting(settings[key]) if key in settings else "unset"


def _trains_a_model(step: Step) -> bool:
    """Whether a step's version is a model's folder, in which a training is resumed."""
    return isinstance(step.config, Training) and step.writes == step.config.model


def _starts_over(step: Step, made: MadeFrom, now: MadeFrom, *, by_code: bool) -> bool:
    """Whether a finished training begins anew: not where its limits were raised and nothing else changed that counts."""
    other_code = by_code and made.code != now.code
    if not isinstance(step.config, Training):
        return False
    if not _trains_a_model(step):
        return other_code
    changed = _changed_settings(made, now)
    old, new = flatten(made.settings), flatten(now.settings)
    raised = all(key in LIMITS and None not in (old[key], new[key]) and new[key] > old[key] for key in changed)
    return not raised or made.inputs != now.inputs or other_code


def _arguments(step: Step, starts_over: bool) -> tuple[str, ...]:
    """What a training is told besides: to start over, or to do so only if its folder holds another one."""
    resumes = isinstance(step.config, Training) and not any(override.startswith("resume=") for override in step.overrides)
    return (f"resume={'false' if starts_over else 'same'}",) if resumes else ()


def _lacking(step: Step, path: str) -> str | None:
    """The store, by its name, that should hold a version of lists and doesn't, by the journal; None if there is none."""
    cfg = step.config
    if not isinstance(cfg, BatchRecommend) or not cfg.publish:
        return None
    mongodb, milvus = (uri.get_secret_value() for uri in (cfg.stores.mongodb_uri, cfg.stores.milvus_uri))
    collection = mongodb_name(server_name(mongodb), database=cfg.mongo.database, collection=cfg.mongo.collection)
    documents = None if mongodb == NONE else collection
    vectors = None if milvus == NONE else milvus_name(server_name(milvus), alias=cfg.milvus.alias)
    if EMBEDDED in (mongodb, milvus) and not data_folder().exists():
        return documents if mongodb == EMBEDDED else vectors
    return unpublished(cfg.output, path.rpartition("/")[2], documents=documents, vectors=vectors)
