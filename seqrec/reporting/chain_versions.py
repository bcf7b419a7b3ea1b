"""The versions that make up a chain: dataset, training, export, evaluation, lists and publications, each as far as it is there.

current_chain(folders)             what readers use now: CURRENT of each folder
chain_of_run(folders, run_id)      what belongs to a run: to a dataset, an export, an evaluation or lists of these folders

What is missing or doesn't fit is no error here: `problems` say it, with the job that mends it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqrec.errors import UserError
from seqrec.evaluation.baselines import BASELINES
from seqrec.publishing.journal import Entry, read_journal
from seqrec.reporting.chain_folders import Folders
from seqrec.storage import files, versions

METRICS, STATS = "metrics.json", "stats.json"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A finished version, or a model's folder: its path and the content of its meta.json."""

    path: str
    meta: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run id of the version, which the folder is named by."""
        return self.path.rsplit("/", 1)[-1]

    def read_json(self, name: str) -> dict[str, Any]:
        """A file beside meta.json; empty if it isn't there, UserError if it is no JSON object."""
        path = files.join(self.path, name)
        try:
            content: Any = json.loads(files.read_text(path))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise UserError(f"{path} is not valid JSON ({error})") from None
        if not isinstance(content, dict):
            raise UserError(f"{path} holds {json.dumps(content)[:40]}, not an object of names and values")
        return content


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The versions of a chain; None for what isn't there. `before` is an older evaluation of the same split and kind."""

    folders: Folders
    dataset: Version | None = None
    training: Version | None = None
    export: Version | None = None
    evaluation: Version | None = None
    before: Version | None = None
    lists: Version | None = None
    published: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not any((self.dataset, self.training, self.export, self.evaluation, self.lists))

    def dataset_of(self, version: Version | None) -> Version | None:
        """The dataset that a version was made from, if it is still there."""
        run_id = None if version is None else version.meta.get("dataset")
        if run_id is None or self.dataset is None or self.dataset.run_id == run_id:
            return self.dataset
        return _version(self.folders.data, str(run_id))


def current_chain(folders: Folders) -> Chain:
    """The current versions of the folders."""
    problems: list[str] = []
    places = {
        "dataset": (folders.data, "build_sequences"),
        "export": (folders.exports, "export_onnx"),
        "evaluation": (folders.evaluation, "evaluate"),
        "lists": (folders.lists, "batch_recommend"),
    }
    found: dict[str, Version] = {}
    for name, (folder, job) in places.items():
        try:
            path = versions.resolve(folder)
            found[name] = Version(path=path, meta=versions.read_meta(path))
        except UserError as error:
            problems.append(f"{name} (written by {job}): {error}")
    return _completed(folders.above_versions(), found, [*problems, *_training_problems(folders, found.get("export"))])


def chain_of_run(folders: Folders, run_id: str) -> Chain:
    """The versions that belong to a run; UserError if no folder has it."""
    folders = folders.above_versions()
    places = {"evaluation": folders.evaluation, "lists": folders.lists, "export": folders.exports, "dataset": folders.data}
    named = ((name, _version(folder, run_id)) for name, folder in places.items())
    starts = [(name, version) for name, version in named if version is not None]
    if not starts:
        there = "; ".join(f"{folder}: {', '.join(versions.run_ids(folder)[-3:]) or 'none'}" for folder in places.values())
        raise UserError(f"compare={run_id}: none of the chain's folders has a version of that run id; the newest are: {there}")
    name, start = starts[0]
    found: dict[str, Version] = {name: start}
    export = start.run_id if name == "export" else _export_of(start)
    candidates: dict[str, list[Version | None]] = {
        "export": [_version(folders.exports, export)] if export else [],
        "evaluation": list(_newest_first(folders.evaluation)),
        "lists": [one for one in _newest_first(folders.lists) if one.meta.get("users") is None],  # a subset, if it is named alone
    }
    for other, those in candidates.items():
        fitting = (one for one in those if one is not None and _belongs(one, other, export, start))
        if other not in found and (first := next(fitting, None)) is not None:
            found[other] = first
    dataset = start.run_id if name == "dataset" else str(start.meta.get("dataset"))
    if "dataset" not in found and (made_from := _version(folders.data, dataset)) is not None:
        found["dataset"] = made_from
    kinds = {"dataset": "dataset", "export": "export", "evaluation": "evaluation", "lists": "lists of all users"}
    problems = [f"{words}: none of run {run_id} is there any more" for kind, words in kinds.items() if kind not in found]
    return _completed(folders, found, problems)


def _completed(folders: Folders, found: dict[str, Version], problems: list[str]) -> Chain:
    """The chain of the versions that were found, with the training, the evaluation before, publications, and what doesn't fit."""
    evaluation = found.get("evaluation")
    published: tuple[Entry, ...] = ()
    try:
        journal = read_journal(folders.lists)
        published = (*journal.ended, *((journal.last,) if journal.last and journal.last.finished is None else ()))
    except UserError as error:
        problems.append(str(error))
    return Chain(
        folders=folders,
        training=_training(folders, found.get("export")),
        before=None if evaluation is None else _before(folders.evaluation, evaluation),
        published=published,
        problems=(*problems, *_mismatches(found)),
        **found,
    )


def _training(folders: Folders, export: Version | None) -> Version | None:
    """The training in the model's folder, if it is the one that was exported, or if nothing was."""
    try:
        training = Version(path=folders.model, meta=versions.read_meta(folders.model))
    except UserError:
        return None
    other = export is not None and export.meta.get("run_id") != training.meta.get("run_id")
    return None if other else training


def _training_problems(folders: Folders, export: Version | None) -> Iterator[str]:
    """In words, why the training of an export isn't shown."""
    try:
        training = versions.read_meta(folders.model).get("run_id")
    except UserError as error:
        yield f"training (written by train): {error}"
        return
    exported = training if export is None else export.meta.get("run_id")
    if training != exported:
        yield (
            f"{folders.model} holds the training {training}, and the export is of the training {exported}: the curves are left "
            "out; run export_onnx, evaluate and batch_recommend for the new one"
        )


def _mismatches(found: dict[str, Version]) -> Iterator[str]:
    """In words, what was made from another dataset or export than the chain's."""
    dataset, export = found.get("dataset"), found.get("export")
    jobs = {"export": "train and export_onnx", "evaluation": "evaluate", "lists": "batch_recommend"}
    for name, job in jobs.items():
        version = found.get(name)
        made_from = None if version is None else version.meta.get("dataset")
        if version is not None and dataset is not None and made_from not in (None, dataset.run_id):
            older = f"{name} {version.run_id} was made from dataset {made_from}"
            yield f"{older}, the dataset is {dataset.run_id} now: run {job} again"
        of = None if version is None or name == "export" else _export_of(version)
        if version is not None and export is not None and of not in (None, export.run_id):
            yield f"{name} {version.run_id} was made from export {of}, and the export is {export.run_id} now: run {job} again"


def _export_of(version: Version) -> str | None:
    """The export that an evaluation's first result, or lists, were made from; None where none is named."""
    export = model_source(version).get("export")
    return None if export is None else str(export)


def model_source(version: Version) -> dict[str, Any]:
    """What an evaluation says of its own model, not of baselines and compared lists; of lists, all that they say."""
    sources, settings = version.meta.get("sources"), version.meta.get("settings") or {}
    if not isinstance(sources, dict):
        return version.meta
    others = settings.get("compared") or {}
    return next((source for name, source in sources.items() if name not in others and "model_run_id" in source), {})


def _belongs(version: Version, kind: str, export: str | None, start: Version) -> bool:
    """Whether a version is of the same export or, where none is named, of the same dataset, as the one that was asked for."""
    if kind == "export":
        return True
    if export is not None:
        return _export_of(version) == export
    return version.meta.get("dataset") in (start.run_id, start.meta.get("dataset"))


def _before(folder: str, evaluation: Version) -> Version | None:
    """The newest evaluation before this one of the same split, whose first method is of the same kind."""
    split, kind = evaluation.meta.get("split"), first_kind(evaluation)
    older = (one for one in _newest_first(folder) if one.run_id < evaluation.run_id and one.meta.get("split") == split)
    return next((one for one in older if first_kind(one) == kind), None)


def first_kind(evaluation: Version) -> str | None:
    """What an evaluation measures first: candidates, table, model, or the name of a baseline; None if it can't be told."""
    try:
        metrics = evaluation.read_json(METRICS).get("metrics")
    except UserError:
        return None
    first = next(iter(metrics), None) if isinstance(metrics, dict) else None
    if first in BASELINES:
        return str(first)
    settings = evaluation.meta.get("settings") or {}
    return next((kind for kind in ("candidates", "table") if settings.get(kind)), None if first is None else "model")


def _newest_first(folder: str) -> Iterator[Version]:
    """The finished versions of a folder, the newest first."""
    found = (_version(folder, run_id) for run_id in reversed(versions.run_ids(folder)))
    return (version for version in found if version is not None)


def _version(folder: str, run_id: str) -> Version | None:
    """A finished version of a folder; None if it isn't there or isn't whole."""
    path = files.join(folder, run_id)
    try:
        return Version(path=path, meta=versions.read_meta(path))
    except UserError:
        return None
