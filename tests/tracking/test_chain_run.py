"""A chain of jobs is a run of MLflow, if it has something to do."""

from collections.abc import Callable
from pathlib import Path

from tests.chains.test_run import SMALL, STEPS, go, root
from tests.tracking.conftest import Runs

__all__ = ["go", "root"]


def test_a_chain_with_stale_steps_is_a_run(root: Path, go: Callable[..., list[str]], tracked: Runs) -> None:
    go(*SMALL, fails_at="evaluate")
    assert len(go(*SMALL)) == len(STEPS) - 3
    assert go(*SMALL) == []
    assert [(run.info.run_name, run.info.status) for run in tracked.all()] == [("demo", "FAILED"), ("demo", "FINISHED")]
    assert {run.data.tags["seqrec.root"] for run in tracked.all()} == {str(root)}
