"""deploy/airflow: the schedule takes nothing from the clock, its commands are jobs with their keys, and Airflow reads it.

AIRFLOW_PYTHON names the Python of an environment with apache-airflow 3, whose libraries don't go together with this project's.
"""

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.commands import ENVIRONMENT
from tests.docs.test_commands import check

ROOT = Path(__file__).parents[2]
DAG = ROOT / "deploy" / "airflow" / "seqrec_chain.py"
INTERVAL = ("2026-11-01T02:00:00+00:00", "2026-11-02T02:00:00+00:00")
CHAIN = ["build_sequences", "train", "export_onnx", "evaluate", "batch_recommend", "newest", "publish"]
STORES = {"MONGODB_URI": "mongodb://h", "MILVUS_URI": "http://h:19530"}
CLOCK = {"now", "utcnow", "today", "time", "monotonic", "localtime", "gmtime", "logical_date", "execution_date"}


def test_nothing_asks_what_time_it_is() -> None:
    tree = ast.parse(DAG.read_text())
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import) for alias in node.names}
    assert names & CLOCK == set()
    texts = " ".join(node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    marks = [mark.partition("}}")[0].split("|")[0].strip() for mark in texts.split("{{")[1:]]
    assert set(marks) == {"data_interval_end"}
    assert "$(date" not in texts


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in the folder of DAGs, rendered for an interval."""
    python = os.environ.get("AIRFLOW_PYTHON")
    if not python:
        pytest.skip("AIRFLOW_PYTHON names no Python with apache-airflow 3")
    home = tmp_path_factory.mktemp("airflow")
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AIRFLOW", "SEQREC"))}
    command = [python, str(Path(__file__).with_name("render_dag.py")), str(DAG.parent), *INTERVAL]
    done = subprocess.run(
        command, env={**own, "AIRFLOW_HOME": str(home)}, cwd=home, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def words_of(command: str, folder: Path, **more: str) -> tuple[list[str], dict[str, str]]:
    """The words with which a task's shell starts Python, and what it exports: run by bash, with a Python that prints them."""
    python = folder / "python"
    python.write_text('#!/bin/bash\nprintf "%s\\0" "$@"\nprintf "\\0"\nenv -0\n')
    python.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "SEQREC_PYTHON": str(python), **more}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words, _, variables = done.stdout.partition("\0\0")
    return words.split("\0"), dict(line.split("=", 1) for line in variables.split("\0") if "=" in line)


def test_airflow_reads_it_as_a_chain_whose_tasks_may_be_repeated(found: dict[str, Any]) -> None:
    assert found["errors"] == {}
    [dag] = found["dags"].values()
    assert (dag["catchup"], dag["max_active_runs"]) == (False, 1)
    assert [(name, task["after"]) for name, task in dag["tasks"].items()] == [
        (name, CHAIN[place - 1 : place] if place else []) for place, name in enumerate(CHAIN)
    ]
    assert all(task["retries"] == 2 for task in dag["tasks"].values())


def test_commands_are_jobs_with_their_keys_and_the_interval_s_times(
    found: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    [dag] = found["dags"].values()
    for name, task in dag["tasks"].items():
        if task["command"] is None:
            assert name == "newest"
            continue
        words, variables = words_of(task["command"], tmp_path, SEQREC_ROOT="/seq rec", SEQREC_RATINGS="/it's/ratings", **STORES)
        assert words[:3] == ["-m", "seqrec", name]
        check(["python", *words])
        assert variables["SEQREC_ROOT"] == "/seq rec/2026-11-02"
        stores = "none" if name == "batch_recommend" else STORES["MONGODB_URI"]
        assert variables["MONGODB_URI"] == stores, "only the last task publishes"
        if name == "build_sequences":
            assert words[3:] == ["input.path=/it's/ratings", f"input.time_range=[1970-01-01, {INTERVAL[1]}]"]


def test_what_the_worker_lacks_is_named(found: dict[str, Any]) -> None:
    [dag] = found["dags"].values()
    command = dag["tasks"]["build_sequences"]["command"]
    done = subprocess.run(["bash", "-c", command], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    assert "SEQREC_ROOT: is not set in the environment of the worker" in done.stderr
    assert done.returncode != 0
