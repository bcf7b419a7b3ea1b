"""The run that the runs of a chain's jobs are nested under: MLFLOW_PARENT_RUN_ID names it to them."""

from collections.abc import Iterator
from contextlib import contextmanager

from seqrec.tracking.job_run import PARENTS, JobRun
from seqrec.tracking.place import choose_place
from seqrec.tracking.server import Server
from seqrec.tracking.tracked import ended
from seqrec.variables import set_variable


@contextmanager
def tracked_chain(name: str, *, track: str | None = None, experiment: str | None = None) -> Iterator[None]:
    """In the `with` block, jobs that this process starts have a run of this name as their parent, if they are tracked.

    The keys are those of `choose_place`. Open it when there is something to do: a chain without a stale job needs no run.
    """
    place = choose_place(track, experiment)
    if place is None:
        yield
        return
    run, variable = JobRun(job=name, settings={}, server=Server(place)), PARENTS[0]
    run.begin()
    with ended(run), set_variable(variable, run.run_id):
        yield
