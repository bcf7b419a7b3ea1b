"""Where the parts of a job find its run: nothing happens in a job that isn't tracked.

with tracked_job("train", settings, place):
    begin_run()                         a version is begun
    add_metrics({"ndcg@10": 0.2})
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from seqrec.error_messages import explain
from seqrec.storage import meta
from seqrec.tracking.job_run import JobRun, numbers
from seqrec.tracking.place import Place
from seqrec.tracking.server import Server

SIGNALLED = (129, 130, 143)  # the statuses of a process that SIGHUP, Ctrl-C or SIGTERM ends

log = logging.getLogger("seqrec")

_current: list[JobRun] = []  # at most one: a process runs one job at a time


def current() -> JobRun | None:
    """The run of the job that runs here, None if it isn't tracked."""
    return _current[-1] if _current else None


def begin_run() -> None:
    """Let the job's run begin, if it is tracked."""
    if run := current():
        run.begin()


def add_metrics(values: Mapping[str, Any], *, prefix: str = "") -> None:
    """Add metrics to the job's run, if it is tracked; nested ones get names such as popularity/ndcg_at_10."""
    if run := current():
        run.add_metrics({f"{prefix}{name}": value for name, value in numbers(values).items()})


def keep_files(folder: str) -> None:
    """Let the job's run, if it is tracked, keep copies of the files of a folder without a meta.json."""
    if run := current():
        run.folders.append(folder)


@contextmanager
def tracked_job(job: str, settings: Mapping[str, str], place: Place | None) -> Iterator[None]:
    """In the `with` block the job is tracked at the place, if there is one: by torchrun's first process alone."""
    if place is None or os.environ.get("RANK", "0") != "0":
        yield
        return
    run = JobRun(job=job, settings=settings, server=Server(place))
    _current.append(run)
    meta.observers.append(run.observe)
    with ended(run):
        try:
            yield
        finally:
            meta.observers.remove(run.observe)
            _current.remove(run)


@contextmanager
def ended(run: JobRun) -> Iterator[None]:
    """End the run with the `with` block, by the error that ends it, if one does."""
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        try:
            run.end(status_of(error), error)
        except Exception as unexpected:  # whatever it is, the job itself has ended as it did
            log.warning("the run %s of MLflow lacks what was made in it: %s", run.run_id, explain(unexpected))


def status_of(error: BaseException | None) -> str:
    """How MLflow calls the end of a run by this error, None for none.

    >>> status_of(None), status_of(SystemExit(1)), status_of(SystemExit(143)), status_of(KeyboardInterrupt())
    ('FINISHED', 'FAILED', 'KILLED', 'KILLED')
    """
    stopped = isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code in SIGNALLED)
    return "FINISHED" if error is None else "KILLED" if stopped else "FAILED"
