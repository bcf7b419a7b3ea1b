"""A server of MLflow for all tests of a process, and clients that look what it, or a folder's database, holds."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seqrec.tracking.place import URIS

pytest.importorskip("mlflow", reason="MLflow is an extra: pip install 'seqrec[track]'")
START_S = 300.0  # on a machine with other work


@pytest.fixture(scope="session")
def server_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a database and files of its own."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = folder / "server.log"
    with (
        log.open("w") as sink,
        subprocess.Popen(command, stdout=sink, stderr=sink, env=environment, start_new_session=True) as process,
    ):
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its workers; asked to end, they take half a minute


def _wait_until_healthy(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait for the server's answer; what it logged where it ends before."""
    ends = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < ends:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"MLflow's server didn't start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def tracked(server_uri: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> "Runs":
    """The environment has the server's address, and an experiment for the test alone."""
    monkeypatch.setenv(URIS[0], server_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    return Runs(server_uri, request.node.name)


class Runs:
    """What MLflow has of an experiment."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.client: Any = MlflowClient(tracking_uri=uri)
        self.experiment = experiment

    def all(self) -> list[Any]:
        """The runs, oldest first."""
        experiment = self.client.get_experiment_by_name(self.experiment)
        order = ["attributes.start_time ASC"]
        return [] if experiment is None else list(self.client.search_runs([experiment.experiment_id], order_by=order))

    def steps(self, run_id: str, metric: str) -> list[int]:
        """The steps at which a run has a metric, in the order in which they came."""
        return [point.step for point in self.client.get_metric_history(run_id, metric)]

    def files(self, run_id: str, folder: str | None = None) -> set[str]:
        """The paths of a run's files."""
        there = self.client.list_artifacts(run_id, folder)
        inside = [self.files(run_id, one.path) if one.is_dir else {one.path} for one in there]
        return set().union(*inside)
