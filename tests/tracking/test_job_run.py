"""The run of a job where something fails on the way, in a database of MLflow."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqrec.tracking.job_run import JobRun
from seqrec.tracking.place import Place
from seqrec.tracking.server import Server
from tests.tracking.conftest import Runs

Make = Callable[..., JobRun]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """A database of runs."""
    return Runs(f"sqlite:///{tmp_path_factory.mktemp('runs')}/mlflow.db", "failures")


@pytest.fixture
def make(runs: Runs, tmp_path: Path) -> Make:
    """A job's run with these settings, in the database."""
    place = Place(runs.client.tracking_uri, runs.experiment, (tmp_path / "artifacts").as_uri())
    return lambda **settings: JobRun(job="job", settings=settings, server=Server(place))


def lose(server: Server) -> None:
    """From here on the server isn't asked, as if it had just failed."""
    server.lost_at = time.monotonic()


def last(runs: Runs) -> Any:
    return runs.all()[-1]


def test_settings_with_any_name_are_parameters(make: Make, runs: Runs) -> None:
    run = make(**{"quotas.new & fresh": "1", "quotas.new + fresh": "2", "top_k": "10", "joined.a:b": "x"})
    run.begin()
    run.end("FINISHED", None)
    found = last(runs)
    assert found.data.params == {"quotas.new _ fresh": "1", "quotas.new _ fresh 2": "2", "top_k": "10", "joined.a_b": "x"}
    assert found.info.status == "FINISHED"


def test_parameters_and_the_difference_that_a_failure_kept_back_come_at_the_end(
    make: Make, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(top_k="7")
    create = run.server.create

    def create_and_lose(**values: Any) -> str | None:
        run_id = create(**values)
        lose(run.server)
        return run_id

    monkeypatch.setattr(run.server, "create", create_and_lose)
    run.begin()
    run.difference = run.difference or "diff"
    assert last(runs).data.params == {}
    run.end("FINISHED", None)
    assert last(runs).data.params == {"top_k": "7"}
    assert "git.diff" in runs.files(last(runs).info.run_id)


def test_a_run_whose_files_are_refused_has_all_else(make: Make, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(top_k="9")
    monkeypatch.setattr(run.server, "add_text", lambda *_: lose(run.server))
    run.begin()
    run.difference = run.difference or "diff"
    run.server.ask_again()
    for step in (1, 2):
        run.add_metrics({"loss": 0.5}, step=step)
        assert run.points == [], "it isn't asked for the file each time"
    run.end("FINISHED", None)
    assert (last(runs).data.params, last(runs).info.status) == ({"top_k": "9"}, "FINISHED")


def test_a_job_that_found_no_server_gets_its_run_at_its_end(make: Make, runs: Runs, tmp_path: Path) -> None:
    before = len(runs.all())
    run = make(top_k="8")
    lose(run.server)
    run.add_records(str(tmp_path), [{"step": 4.0, "ndcg@10": 0.5}, {"step": 8.0, "ndcg@10": 0.6}])
    assert run.run_id is None
    run.end("FINISHED", None)
    assert len(runs.all()) == before + 1
    assert (last(runs).data.params, last(runs).info.status) == ({"top_k": "8"}, "FINISHED")
    assert runs.steps(last(runs).info.run_id, "ndcg_at_10") == [4, 8]
    assert (tmp_path / "mlflow_run.json").exists()
    idle = make()
    idle.end("FINISHED", None)
    assert len(runs.all()) == before + 1, "a job without work leaves no run"


def test_a_file_that_goes_is_a_warning_and_the_run_ends(
    make: Make, runs: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text("{}")
    run = make()
    add_file = run.server.add_file

    def add_and_remove(*words: Any) -> bool:
        (folder / "b.json").unlink()
        return add_file(*words)

    monkeypatch.setattr(run.server, "add_file", add_and_remove)
    run.begin()
    run.folders.append(str(folder))
    run.end("FINISHED", None)
    assert last(runs).info.status == "FINISHED"
    [warning] = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.startswith(f"the run {run.run_id} of MLflow lacks files that the job made: ")


def test_a_database_that_cannot_be_opened_holds_a_job_for_seconds(tmp_path: Path, runs: Runs) -> None:
    server = Server(Place(f"sqlite:///{tmp_path}", "none"))  # a folder is no database
    began = time.monotonic()
    assert server.create(name="job", tags={}, started=0) is None
    assert time.monotonic() - began < 20, "MLflow's own pauses take 100 seconds"
