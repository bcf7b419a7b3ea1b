"""Any job as a run of MLflow: in ./mlruns, in a server that refuses, and where the job fails."""

import http.server
import json
import logging
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seqrec.command.config import Stores, Strict
from seqrec.command.entry import run_job
from seqrec.errors import UserError
from seqrec.storage.config_file import write_config
from seqrec.storage.meta import write_meta
from seqrec.tracking.chain_run import tracked_chain
from seqrec.tracking.tracked import add_metrics, begin_run
from tests.tracking.conftest import Runs

VERSION = "20261101T020000Z-3f2a"
DATASET = "20261001T020000Z-0001"


class Settings(Strict):
    """What the job does."""

    data: str = "s3a://key:hidden@bucket"
    top_k: int = 10
    stores: Stores


def make_version(settings: Settings) -> None:
    """A job that writes a version."""
    folder = Path("output", VERSION)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text("{}")
    (folder / "part-0.parquet").write_text("")
    add_metrics({"ndcg@10": 0.5, "markov": {"ndcg@10": 0.25, "name": "x"}})
    shown = {"data": settings.data}
    write_config(f"output/{VERSION}", shown)
    write_meta(f"output/{VERSION}", {"run_id": VERSION, "dataset": DATASET, "counts": {"users": 3}, "settings": shown})


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run a job in an empty folder, with these overrides."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MONGODB_URI", "mongodb://ann:hidden@h")
    monkeypatch.setenv("MILVUS_URI", "none")
    (tmp_path / "job.yaml").write_text("top_k: 7")

    def start(work: Callable[[Settings], None], *overrides: str) -> None:
        run_job(Settings, work, ["--conf", str(tmp_path / "job.yaml"), *overrides])

    return start


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings that were logged, whoever logged them."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def local_runs(folder: Path) -> Runs:
    """What is in the folder's mlruns."""
    return Runs(f"sqlite:///{folder}/mlruns/mlflow.db", "seqrec")


def test_without_an_address_runs_lie_in_mlruns_below_those_of_their_chain(run: Callable[..., None], tmp_path: Path) -> None:
    """A chain of a job that ends well and of one that fails."""

    def night() -> None:
        with tracked_chain("night", track="mlflow"):
            run(make_version, "track=mlflow")
            run(fail, "track=mlflow")

    with pytest.raises(SystemExit):
        night()
    runs = local_runs(tmp_path)
    chain, made, failed = runs.all()
    assert [one.info.status for one in (chain, made, failed)] == ["FAILED", "FINISHED", "FAILED"]
    assert [one.data.tags.get("mlflow.parentRunId") for one in (chain, made, failed)] == [None, *[chain.info.run_id] * 2]
    assert made.data.params == {"data": "s3a://***@bucket", "top_k": "7"}
    assert made.data.metrics == {"ndcg_at_10": 0.5, "markov/ndcg_at_10": 0.25, "counts/users": 3.0}
    assert (made.data.tags["seqrec.run_id"], made.data.tags["seqrec.dataset"]) == (VERSION, DATASET)
    assert failed.data.tags["seqrec.error"] == "no mongodb://***@h today"
    kept = runs.files(made.info.run_id)
    assert {"output/meta.json", "output/metrics.json"} <= kept
    assert "output/part-0.parquet" not in kept
    for name in ("config.yaml", "meta.json"):
        text = Path(runs.client.download_artifacts(made.info.run_id, f"output/{name}")).read_text()
        assert ("s3a://***@bucket" in text, "hidden" in text) == (True, False), name
        assert "s3a://key:hidden@bucket" in Path("output", VERSION, name).read_text(), "the job can be run again from it"
    assert json.loads(Path("output", VERSION, "meta.json").read_text())["mlflow_run_id"] == made.info.run_id


def fail(_: object) -> None:
    begin_run()
    raise UserError("no mongodb://ann:hidden@h today")


def test_a_job_that_is_stopped_is_killed_and_one_without_work_leaves_no_run(run: Callable[..., None], tracked: Runs) -> None:
    def stop(_: object) -> None:
        begin_run()
        raise KeyboardInterrupt

    run(lambda _: None)
    assert tracked.all() == []
    with pytest.raises(SystemExit):
        run(stop)
    assert [one.info.status for one in tracked.all()] == ["KILLED"]


@contextmanager
def refusing(status: int | None) -> Iterator[str]:
    """The address of a server that answers every request with this status; None: of one that never answers."""
    asked = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if status is None:
                asked.wait(30)
            else:
                self.send_error(status)

        do_POST = do_GET  # noqa: N815 - the same

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://ann:hidden@127.0.0.1:{server.server_port}"
        finally:
            asked.set()
            server.shutdown()


@pytest.mark.parametrize("status", [401, 403, 500, None])
def test_a_server_that_refuses_or_never_answers_is_one_warning(
    status: int | None, run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with refusing(status) as uri:
        monkeypatch.setenv("MLFLOW_URI", uri)
        run(make_version)
    [warning] = warnings(caplog)
    assert warning.startswith("the job isn't tracked, and goes on: MLflow at http://***@127.0.0.1:")
    assert "hidden" not in warning
    assert str(status or "") in warning
    assert "mlflow_run_id" not in json.loads(Path("output", VERSION, "meta.json").read_text())


def test_no_room_below_mlruns_is_one_warning(run: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    """No file grows beyond 64 KiB: the database of runs is larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        run(make_version, "track=mlflow")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    [warning] = warnings(caplog)
    assert "MLflow at sqlite:////" in warning
    assert Path("output", VERSION, "meta.json").exists()


def test_without_mlflow_the_key_is_an_error_and_the_environment_a_warning(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("seqrec.tracking.place.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="track=mlflow needs MLflow, which isn't installed: pip install 'seqrec\\[track\\]'"):
        run(make_version, "track=mlflow")
    assert not Path("output").exists()
    caplog.clear()
    monkeypatch.setenv("MLFLOW_URI", "http://127.0.0.1:1")
    run(make_version, "track=none")
    assert warnings(caplog) == []
    run(make_version)
    assert warnings(caplog) == [
        "MLFLOW_URI is set, but MLflow isn't installed, so nothing is tracked: pip install 'seqrec[track]', or unset it"
    ]
