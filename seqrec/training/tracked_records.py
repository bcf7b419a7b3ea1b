"""A training's validations in the job's run of MLflow, where the job is tracked."""

from collections.abc import Iterator
from contextlib import contextmanager

from seqrec.tracking.job_run import JobRun
from seqrec.tracking.tracked import current
from seqrec.training.epochs_file import Record, read_records


class TrackedRecords:
    """The job's run in MLflow; it takes its records from MODEL/epochs.jsonl, so that those that it missed come too."""

    def __init__(self, folder: str, run: JobRun) -> None:
        self.folder, self.run = folder, run
        run.resume(folder)

    def add(self, record: Record) -> None:  # noqa: ARG002 - the file has it
        """Give the run all records that it doesn't have."""
        self.run.add_records(self.folder, read_records(self.folder))

    def log(self, record: Record) -> None:
        """Nothing: the run has the curves of validations."""

    def show(self, record: Record) -> None:
        """Nothing: a training that is over leaves its run as it is."""

    def close(self) -> None:
        """Nothing: the run ends with the job."""


@contextmanager
def tracked_elsewhere(folder: str) -> Iterator[None]:
    """In the `with` block other processes train; at its end the job's run, if it is tracked, gets the folder's records."""
    run = current()
    before = [] if run is None else read_records(folder)
    try:
        yield
    finally:
        if run is not None and (records := read_records(folder)) != before:
            run.resume(folder)
            run.add_records(folder, records)


def tracked_records(folder: str) -> list[TrackedRecords]:
    """The job's run as a sink; none if the job isn't tracked."""
    run = current()
    return [] if run is None else [TrackedRecords(folder, run)]
