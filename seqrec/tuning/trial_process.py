"""A trial as a process of its own: a training that runs out of memory, or is killed, ends alone.

    TRIAL/config.yaml     the settings, which the model's job takes too
    TRIAL/log.txt         what the process says
    TRIAL/metrics.json     the metrics of its best model on the users of valid

The process reads its stdin, whose end tells it that the study has ended, however that did. Its validations are read from
epochs.jsonl while it trains; a trial that is pruned gets SIGTERM.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from seqrec.command.config import Strict, public
from seqrec.command.entry import SAID
from seqrec.command.screen import VERBOSITY
from seqrec.command.session import SUBMITTED
from seqrec.command.story import STEP
from seqrec.storage import files
from seqrec.storage.config_file import write_config
from seqrec.training.epochs_file import read_records
from seqrec.tuning.trial_outcome import METRICS_FILE, Outcome

LOG = "log.txt"
POLL_S = 0.5  # between two looks at the records of a training, on a local folder
REMOTE_POLL_S = 15.0
END_S = 60.0  # how long a training that is stopped may take to save what it has
RUN = "seqrec.tuning.run_trial"  # the module that a process runs
ERROR = re.compile(r"error: (.*)$", re.MULTILINE)
THREADS = "OMP_NUM_THREADS"


class Running(Protocol):
    """A trial that runs."""

    @property
    def goes_on(self) -> bool:
        """Whether it can be stopped without losing what it has done."""

    def poll(self) -> Outcome | None:
        """What became of it; None while it runs."""

    def stop(self) -> None:
        """End it, so that it can go on later."""


@dataclass(frozen=True, kw_only=True)
class ProcessPlan:
    """How trials run as processes: of which model, by which metric, and on how many threads each."""

    model_name: str
    metric: str
    lower: bool
    records: str | None  # the folder in a trial's where its epochs.jsonl lies; None for a model that isn't trained in epochs
    threads: int


@dataclass(kw_only=True)
class TrialProcess:
    """A running process, and Optuna's handle on its trial."""

    plan: ProcessPlan
    folder: str
    records: str | None  # the folder of epochs.jsonl; None for a model that isn't trained in epochs
    handle: Any
    process: "subprocess.Popen[bytes]"
    log: Path
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0  # seconds of training in earlier runs of the study
    looked: float = 0.0
    reported: set[int] = field(default_factory=set)

    @property
    def goes_on(self) -> bool:
        """Whether it has checkpoints: it is trained in epochs."""
        return self.records is not None

    def poll(self) -> Outcome | None:
        """What became of it; a validation is reported to the study once, and may end the trial."""
        status = self.process.poll()
        if status is not None:
            return self._ended(status)
        if self._shall_prune():
            self.stop()
            return self._outcome("pruned")
        return None

    def stop(self) -> None:
        """End the process: a training saves its state first."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._keep_log()

    def _ended(self, status: int) -> Outcome:
        """What a process that ended by itself leaves."""
        self._keep_log()
        self._report()
        if status == 0:
            metrics = json.loads(files.read_text(files.join(self.folder, METRICS_FILE)))
            return Outcome.of_metrics(metrics, metric=self.plan.metric, seconds=self._seconds())
        if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return self._outcome("failed", error="it was killed, most often for want of memory")
        said = ERROR.findall(self.log.read_text("utf-8", errors="replace"))
        return self._outcome("failed", error=said[-1] if said else f"its process ended with status {status}")

    def _outcome(self, state: Any, error: str | None = None) -> Outcome:
        """A trial that has no result: its best validation, if it had any, and why it ended."""
        values = list(self.handle.study.trials[self.handle.number].intermediate_values.values())
        best = (min(values) if self.plan.lower else max(values)) if values else None
        return Outcome(state=state, value=best, seconds=self._seconds(), error=error)

    def _shall_prune(self) -> bool:
        """Whether it is time to look, and the study says that the trial lags behind."""
        wait = POLL_S if files.is_local(self.folder) else REMOTE_POLL_S
        if self.records is None or time.monotonic() - self.looked < wait:
            return False
        self.looked = time.monotonic()
        return self._report()

    def _report(self) -> bool:
        """Report further validations until the study says of one that the trial lags behind; whether it says so."""
        for step, record in enumerate([] if self.records is None else read_records(self.records)):
            if step not in self.reported and self.plan.metric in record:
                self.reported.add(step)
                self.handle.report(record[self.plan.metric], step)
                if self.handle.should_prune():
                    return True
        return False

    def _seconds(self) -> float:
        """How long it has run, in all runs of the study."""
        return self.spent + time.monotonic() - self.started

    def _keep_log(self) -> None:
        """Copy the log of a remote trial into its folder."""
        if not files.is_local(self.folder):
            files.put(self.log, files.join(self.folder, LOG))


def start_process(plan: ProcessPlan, settings: Strict, handle: Any, *, folder: str, work: Path) -> TrialProcess:
    """Start a trial, or the rest of one that was stopped; `work` is a local folder for the log of a remote one."""
    records = None if plan.records is None else files.join(folder, plan.records)
    earlier = read_records(records) if records is not None else []
    write_config(folder, public(settings))
    place = files.local_path(folder) if files.is_local(folder) else work / str(handle.number)
    place.mkdir(parents=True, exist_ok=True)
    with (place / LOG).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", RUN, plan.model_name, folder],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=trial_environment(threads=plan.threads),
            start_new_session=True,  # signals of the terminal reach the study alone, which ends its trials
        )
    return TrialProcess(
        plan=plan,
        folder=folder,
        records=records,
        handle=handle,
        process=process,
        log=place / LOG,
        spent=float(earlier[-1].get("seconds", 0.0)) if earlier else 0.0,
        reported=set(handle.study.trials[handle.number].intermediate_values),
    )


def trial_environment(*, threads: int) -> dict[str, str]:
    """The environment of a trial: this process's modules, its share of the cores, and nothing of Spark's or the command's own."""
    kept = {name: value for name, value in os.environ.items() if name not in {*SUBMITTED, SAID, STEP, "PYSPARK_GATEWAY_SECRET"}}
    path = os.pathsep.join(filter(None, [*sys.path, kept.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, VERBOSITY: "normal", THREADS: kept.get(THREADS, str(threads))}
