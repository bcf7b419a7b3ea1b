"""What is asked of MLflow; the only module that loads it.

An answer is awaited for seconds, not for the minutes of MLflow's defaults. What fails is one warning, and gives None: after that
nothing is asked for RETRY_S, so that a server that is down costs a job little, and one that comes back gets what it missed.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from seqrec.error_messages import explain
from seqrec.tracking.place import Place

RETRY_S = 300.0
PATIENCE = {  # what the environment doesn't set
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "PGCONNECT_TIMEOUT": "10",  # of PostgreSQL's client
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a job's stdout has its results alone
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # how the address of a database begins
DATABASE_TRIES = 2  # MLflow's own are 10, with pauses of 100 seconds in all
FOLDERS = ("file:", "/", ".")  # how the address of a folder begins: MLflow refuses folders unless it is told to take them
MOST_PARAMETERS, MOST_METRICS = 100, 1000  # that MLflow takes at once
LONGEST_VALUE, LONGEST_TAG = 6000, 5000
SHOWN_ERROR = 300

log = logging.getLogger("seqrec")
T = TypeVar("T")


class Point(NamedTuple):
    """A value of a metric at a step; the time is in milliseconds since 1970."""

    name: str
    value: float
    step: int
    time: int


class FormerRun(NamedTuple):
    """A run that is there already."""

    finished: bool
    parameters: dict[str, str]


def now_ms() -> int:
    """The time as MLflow has it."""
    return int(time.time() * 1000)


@dataclass
class Server:
    """MLflow at an address: all runs are of one experiment."""

    place: Place
    warned: bool = False
    lost_at: float | None = None  # when it failed last; None: it answers
    _client: Any = None
    _experiment: str = field(default="", repr=False)

    def create(self, *, name: str, tags: Mapping[str, str], started: int) -> str | None:
        """A new run's id."""
        return self._ask(
            lambda client: str(client.create_run(self._id(client), start_time=started, run_name=name, tags={**tags}).info.run_id)
        )

    def find(self, run_id: str) -> FormerRun | None:
        """A run of before; None if it isn't there, or was deleted."""
        return self._ask(lambda client: _find(client, run_id))

    def reopen(self, run_id: str) -> None:
        """Say that a run goes on."""
        self._ask(lambda client: client.update_run(run_id, status="RUNNING"))

    def add_parameters(self, run_id: str, values: Mapping[str, str]) -> bool:
        """Add parameters; whether MLflow has them. The run takes one that it has already only with the value that it has."""
        from mlflow.entities import Param

        parameters = [Param(name, value[:LONGEST_VALUE]) for name, value in values.items()]
        parts = [parameters[start : start + MOST_PARAMETERS] for start in range(0, len(parameters), MOST_PARAMETERS)]
        return all(self._ask(partial(_log, run_id=run_id, params=part)) for part in parts)

    def add_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        entities = [RunTag(name, value[:LONGEST_TAG]) for name, value in tags.items()]
        self._ask(partial(_log, run_id=run_id, tags=entities))

    def add_points(self, run_id: str, points: Sequence[Point]) -> bool:
        """Add values of metrics; whether MLflow has them."""
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time, point.step) for point in points]
        parts = [metrics[start : start + MOST_METRICS] for start in range(0, len(metrics), MOST_METRICS)]
        return all(self._ask(partial(_log, run_id=run_id, metrics=part)) for part in parts)

    def steps_of(self, run_id: str, metric: str) -> set[int] | None:
        """The steps at which a run has a metric."""
        return self._ask(lambda client: {point.step for point in client.get_metric_history(run_id, metric)})

    def add_file(self, run_id: str, path: Path, folder: str) -> bool:
        """Add a file to those of a run, below a folder; whether MLflow has it."""
        return self._ask(lambda client: client.log_artifact(run_id, str(path), folder or None) is None) or False

    def add_text(self, run_id: str, text: str, name: str) -> bool:
        """Add a text as a file; whether MLflow has it."""
        return self._ask(lambda client: client.log_text(run_id, text, name) is None) or False

    def end(self, run_id: str, status: str) -> bool:
        """Say how a run ended: FINISHED, FAILED or KILLED; whether MLflow knows."""
        return self._ask(lambda client: client.set_terminated(run_id, status) is None) or False

    @property
    def answers(self) -> bool:
        """Whether it answered when it was asked last."""
        return self.lost_at is None

    def ask_again(self) -> None:
        """Ask the server even though it failed a short time ago."""
        self.lost_at = None

    def experiment_id(self) -> str:
        """The id of the experiment, empty if it isn't known."""
        return self._experiment

    def _ask(self, question: Callable[[Any], T]) -> T | None:
        """The answer; None where there is none, with a warning the first time."""
        if self.lost_at is not None and time.monotonic() - self.lost_at < RETRY_S:
            return None
        try:
            self._client = self._client or _open(self.place)
            answer = question(self._client)
        except Exception as error:
            self.lost_at = time.monotonic()
            if not self.warned:
                text = explain(error)
                shown = text if len(text) <= SHOWN_ERROR else f"{text[:SHOWN_ERROR]}…"
                log.warning("the job isn't tracked, and goes on: MLflow at %s: %s", self.place.shown, shown)
            self.warned = True
            return None
        self.lost_at = None
        return answer

    def _id(self, client: Any) -> str:
        """The id of the experiment, which is made if it isn't there."""
        from mlflow.exceptions import MlflowException

        name = self.place.experiment
        if not self._experiment:
            there = client.get_experiment_by_name(name)
            try:
                self._experiment = there.experiment_id if there else client.create_experiment(name, self.place.artifacts)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                self._experiment = client.get_experiment_by_name(name).experiment_id  # another job was faster
        return self._experiment


def _open(place: Place) -> Any:
    """MLflow's client, patient for seconds and silent."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    if place.uri.startswith(FOLDERS):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    if place.artifacts is not None:
        Path(place.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    shorten_retries(place)
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return MlflowClient(tracking_uri=place.uri)


def shorten_retries(place: Place) -> None:
    """Let MLflow try twice to open a database that can't be opened: no variable of its own says so."""
    if place.uri.startswith(DATABASES):
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = DATABASE_TRIES


def _log(client: Any, **batch: Any) -> bool:
    """Give MLflow a batch of parameters, tags or metrics; true if it took them."""
    client.log_batch(**batch)
    return True


def _find(client: Any, run_id: str) -> FormerRun | None:
    """A run of before; None if it isn't there, or was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    if run.info.lifecycle_stage != "active":
        return None
    return FormerRun(run.info.status == "FINISHED", dict(run.data.params))
