"""The run of a job: it begins when the job makes something, so that a job with nothing to do leaves none.

    run.begin()                           a version is begun: from here on MLflow shows the run
    run.observe(path, content)            a meta.json gets mlflow_run_id; the run ids in it become tags
    run.add_records(folder, records)      a training's validations; the run in which it began goes on
    run.end("FINISHED")                   files, and how the job ended

A training's folder names its run in mlflow_run.json; a training that goes on there goes on in that run.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqrec.error_messages import explain, hide_secrets, one_line
from seqrec.storage import files, meta
from seqrec.storage.run_ids import RUN_ID
from seqrec.tracking.kept_files import RUN_FILE, kept_files
from seqrec.tracking.names import parameters_of, tracked_name
from seqrec.tracking.server import Point, Server, now_ms
from seqrec.tracking.source_code import find_source_code

PARENTS = ("MLFLOW_PARENT_RUN_ID", "MLFLOW_RUN_ID")  # of the run that a job's run belongs to: the first that is set counts
META_KEY = "mlflow_run_id"
NOT_METRICS = ("step", "stage", "best")

log = logging.getLogger("seqrec")
Record = Mapping[str, float]


@dataclass(kw_only=True)
class JobRun:
    """What a job has of its run; without an id it hasn't begun."""

    job: str
    settings: Mapping[str, str]
    server: Server
    started: int = field(default_factory=now_ms)
    run_id: str | None = None
    former: str | None = None  # the run that a training of this job began in
    folders: list[str] = field(default_factory=list)  # with the files that the job made
    tags: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)  # that MLflow doesn't have yet, as the next two
    points: list[Point] = field(default_factory=list)
    difference: str = ""  # of the code from its commit
    tried: bool = False  # whether the run was to begin
    missed: dict[str, Sequence[Record]] = field(default_factory=dict)  # by training's folder, while the run couldn't begin
    known: dict[str, set[int]] = field(default_factory=dict)  # the steps of each stage's curves that were taken for MLflow
    signed: set[str] = field(default_factory=set)  # folders of trainings that name the run

    def begin(self, *, trains: bool = False) -> None:
        """Make the run, or go on with the former one: a training always, another part of the job unless that run has finished."""
        if self.run_id is not None:
            return
        self.tried = True
        former = self.server.find(self.former) if self.former else None
        if self.former and former and (trains or not former.finished):
            self._go_on(self.former, former.parameters)
        else:
            self._create()

    def _go_on(self, run_id: str, before: Mapping[str, str]) -> None:
        """Go on with a run. Its parameters stay, as MLflow wants it: a tag has those whose values are others now."""
        self.run_id = run_id
        self.server.reopen(run_id)
        settings = parameters_of(self.settings)
        changed = [f"{name}={value}" for name, value in settings.items() if before.get(name, value) != value]
        if changed:
            self.tags["seqrec.changed"] = " ".join(changed)
        self.parameters = {name: value for name, value in settings.items() if name not in before}
        self._add_settings()

    def _create(self) -> None:
        """Make a run: its settings, and the code that runs."""
        source = find_source_code()
        tags = tags_of(self.job) | ({} if source is None else {"mlflow.source.git.commit": source.commit})
        if source is not None and source.difference is not None:
            tags["seqrec.git_dirty"] = str(bool(source.difference)).lower()
        self.run_id = self.server.create(name=self.job, tags=tags, started=self.started)
        if self.run_id is not None:
            self.parameters = parameters_of(self.settings)
            self.difference = (source.difference if source is not None else None) or ""
            self._add_settings()

    def resume(self, folder: str) -> None:
        """Remember the run in which a training of this folder began."""
        path = files.join(folder, RUN_FILE)
        if self.run_id is None and files.exists(path):
            try:
                self.former = str(json.loads(files.read_text(path))["run_id"])
            except (ValueError, KeyError, TypeError):
                log.warning("%s is no longer readable: what the training does from here on gets a run of its own in MLflow", path)

    def observe(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """Take note of a meta.json that is written: its folder and run ids; the key that it gets in addition."""
        self.begin()
        if path not in self.folders:
            self.folders.append(path)
        self.tags |= {f"seqrec.{name}": value for name, value in _run_ids(content)}
        counts = content.get("counts")
        self.add_metrics({f"counts/{name}": value for name, value in numbers(counts).items()} if isinstance(counts, dict) else {})
        return {} if self.run_id is None else {META_KEY: self.run_id}

    def add_records(self, folder: str, records: Sequence[Record]) -> None:
        """Add those of a training's validations that the run doesn't have; the training's folder gets the name of the run."""
        self.begin(trains=True)
        if self.run_id is None:
            self.missed[folder] = records
            return
        self._sign(folder)
        for record in records:
            prefix = f"stage_{record['stage']:.0f}/" if "stage" in record else ""
            if prefix not in self.known:
                self.known[prefix] = set(self.server.steps_of(self.run_id, f"{prefix}epoch") or ()) if self.former else set()
            if (step := int(record["step"])) not in self.known[prefix]:
                self.known[prefix].add(step)
                values = {f"{prefix}{name}": value for name, value in record.items() if name not in NOT_METRICS}
                self.points += _points(values, step=step)
        self._flush()

    def add_metrics(self, values: Mapping[str, float], *, step: int = 0) -> None:
        """Add metrics, at once where the run has begun, else at its end."""
        self.points += _points(values, step=step)
        self._flush()

    def end(self, status: str, error: BaseException | None) -> None:
        """Give MLflow what it lacks, the files of a job that wasn't stopped, and say how the job ended."""
        self.server.ask_again()
        if self.run_id is None:
            self._begin_late()
        if self.run_id is None:
            return
        if error is not None:
            self.tags["seqrec.error"] = one_line(hide_secrets(str(error) or type(error).__name__))
        if self.tags:
            self.server.add_tags(self.run_id, self.tags)
        self._flush()
        if self.server.answers:
            self._add_settings()
            self.server.ask_again()  # it may have refused that and nothing else
            if status != "KILLED":
                self._keep_files()
                self.server.ask_again()
        if self.server.end(self.run_id, status):
            place = self.server.place
            log.info("tracked as run %s of the experiment %s at %s", self.run_id, place.experiment, place.shown)

    def _begin_late(self) -> None:
        """Let a run begin at the job's end, if MLflow didn't answer before, and the job made something."""
        if not self.tried or not (self.folders or self.points or self.missed):
            return
        self.begin(trains=bool(self.missed))
        for folder, records in self.missed.items() if self.run_id is not None else ():
            self.add_records(folder, records)

    def _flush(self) -> None:
        """Give MLflow the points that it lacks, if it answers."""
        if self.run_id is not None and self.points and self.server.add_points(self.run_id, self.points):
            self.points.clear()

    def _add_settings(self) -> None:
        """Give MLflow the parameters and the difference of the code that it lacks: at the run's beginning, else at its end."""
        if self.run_id is None:
            return
        if self.parameters and self.server.add_parameters(self.run_id, self.parameters):
            self.parameters = {}
        if self.difference and self.server.add_text(self.run_id, self.difference, "git.diff"):
            self.difference = ""

    def _keep_files(self) -> None:
        """Copy the files of all folders that the job wrote, as long as MLflow takes them; what fails is a warning."""
        left_out: list[str] = []
        run_id = str(self.run_id)
        try:
            for kept in (kept for folder in self.folders for kept in kept_files(folder, left_out)):
                if not self.server.add_file(run_id, kept.path, kept.folder):
                    return
        except Exception as error:  # whatever it is, the run is to end
            log.warning("the run %s of MLflow lacks files that the job made: %s", run_id, explain(error))
        if left_out:
            log.info("not copied to MLflow, because they are large: %s", ", ".join(left_out))

    def _sign(self, folder: str) -> None:
        """Name the run in a training's folder and, where there is one, in its meta.json."""
        if folder in self.signed:
            return
        self.signed.add(folder)
        if folder not in self.folders:
            self.folders.append(folder)
        named = {"run_id": self.run_id, "uri": self.server.place.shown}
        try:
            files.write_text(files.join(folder, RUN_FILE), json.dumps(named) + "\n")
            if files.exists(files.join(folder, meta.META)) and (content := meta.read_meta(folder)).get(META_KEY) != self.run_id:
                meta.write_meta(folder, content | {META_KEY: self.run_id})
        except OSError as error:
            log.warning("%s doesn't name its run of MLflow, so a later training there won't go on in it: %s", folder, error)


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a nested dict, by their keys joined with a slash.

    >>> numbers({"ndcg@10": 0.5, "of": {"users": 3}, "name": "x", "best": True})
    {'ndcg@10': 0.5, 'of/users': 3.0}
    """
    flat: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}/{inner}": number for inner, number in numbers(value).items()}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[name] = float(value)
    return flat


def _points(values: Mapping[str, float], *, step: int) -> list[Point]:
    """Metrics at a step, now."""
    now = now_ms()
    return [Point(tracked_name(name), float(value), step, now) for name, value in values.items()]


def tags_of(job: str) -> dict[str, str]:
    """What a new run says of its job, the user, and the run that it belongs to."""
    parent = next((os.environ[name] for name in PARENTS if os.environ.get(name)), None)
    root = os.environ.get("SEQREC_ROOT")
    user = os.environ.get("USER") or os.environ.get("LOGNAME")
    tags = {"seqrec.job": job, "mlflow.source.name": f"seqrec {job}", "mlflow.source.type": "LOCAL"}
    tags |= {"mlflow.parentRunId": parent} if parent else {}
    tags |= {"seqrec.root": hide_secrets(root)} if root else {}
    return tags | ({"mlflow.user": user} if user else {})


def _run_ids(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The run ids of versions in a meta.json, by their dotted keys."""
    for name, value in content.items():
        if isinstance(value, Mapping) and name not in ("settings", "tables", "versions", "made_from"):
            yield from _run_ids(value, f"{prefix}{name}.")
        elif isinstance(value, str) and RUN_ID.match(value):
            yield f"{prefix}{name}", value
