"""register_model, and the real server of MLflow on what it made, against `Recommender` and the lists of the batch job."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from jobs import batch_recommend, register_model
from seqrec.command.config import load_config
from seqrec.registry.served_code import served_code
from seqrec.serving.recommender import Recommender
from seqrec.settings.register_model import RegisterModel
from seqrec.storage import versions
from tests import two_stage
from tests.scoring import toy

TEMPLATE = Path(__file__).parents[2] / "conf" / "register_model.yaml"
ITEMS = [1, 34, 56, 23, 7, 8]
STARTED_S, ANSWER_S = 120, 30

# What the server's Python does first: no torch, no Spark and no seqrec but the model's own is there. Tries are written down.
WITHOUT = """
import os, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pyspark", "py4j", "petastorm"):
            with open(os.environ["TRIES"], "a") as tries:
                tries.write(name + "\\n")
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path[:] = [Missing(), *(finder for finder in sys.meta_path if "seqrec" not in getattr(finder, "__module__", ""))]
"""


def register(capsys: pytest.CaptureFixture[str], *keys: str) -> list[str]:
    """Run the job; the lines of its result: the run id, the server's command, and a request of curl."""
    capsys.readouterr()
    register_model.main(["--conf", str(TEMPLATE), *keys])
    return capsys.readouterr().out.splitlines()


@contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """The server that a printed command starts, on a free port, in a Python without torch, Spark and seqrec; its address."""
    (folder / "sitecustomize.py").write_text(WITHOUT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = command.replace("-p 5001", f"-p {port}")
    assert there != command
    environment = {**os.environ, "PYTHONPATH": str(folder), "TRIES": str(folder / "tries.txt")}
    there_too = "import importlib.util as u; print([bool(u.find_spec(name)) for name in ('numpy', 'seqrec')]); import torch"
    tried = subprocess.run(
        [sys.executable, "-c", there_too], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert (tried.stdout, "No module named 'torch'" in tried.stderr) == ("[True, False]\n", True)
    (folder / "tries.txt").unlink()
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec env {there}"], env=environment, cwd=folder, stderr=log, start_new_session=True
        )
    try:
        address, give_up = f"http://127.0.0.1:{port}", time.monotonic() + STARTED_S
        while subprocess.run(["curl", "-sf", f"{address}/ping"], check=False).returncode:
            assert server.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < give_up, (folder / "server.log").read_text()
            time.sleep(0.2)
        yield f"{address}/invocations"
    finally:
        with suppress(ProcessLookupError):  # it has ended, and the test says why
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(ANSWER_S)


def post(address: str, body: str) -> tuple[int, Any]:
    """The status and the JSON that curl gets for a body."""
    words = ["curl", "-s", address, "-H", "Content-Type: application/json", "-d", "@-", "-w", "\n%{http_code}"]
    done = subprocess.run(words, input=body, capture_output=True, text=True, check=True, timeout=ANSWER_S)
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer)


def ask(address: str, *rows: dict[str, Any]) -> list[list[Any]]:
    """The lists for rows."""
    status, answer = post(address, json.dumps({"dataframe_records": rows}))
    assert status == 200, answer
    lists: list[list[Any]] = answer["predictions"]
    return lists


def ids(listed: list[tuple[Any, float]]) -> list[Any]:
    return [item_id for item_id, _ in listed]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folders of a two-stage chain, and in `numbers` a model whose ids are integers; MLflow's data lie beside them."""
    root = tmp_path_factory.mktemp("register")
    two_stage.write_dataset(root / "data")
    two_stage.write_model(root / "model")
    two_stage.write_ranker(root / "ranker")
    two_stage.write_candidates(root / "candidates", history="valid")
    two_stage.write_features(root / "features", history="valid")
    toy.write_model(root / "numbers", two_stage.MATRIX, ITEMS, [9, 2, 7, 7, 1, 1])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for name, value in {"SEQREC_ROOT": str(root), "MONGODB_URI": "none", "MILVUS_URI": "none"}.items():
            patch.setenv(name, value)
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_URI", "MLFLOW_ALLOW_FILE_STORE"):
            patch.setenv(name, "")
        yield root
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type] # so MLflow forgets it


def second_stage(root: Path) -> list[str]:
    return [f"{name}={root}/{name}" for name in ("candidates", "features", "ranker")]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """MLFLOW_TRACKING_URI, another place than the current folder's."""
    uri = f"file://{tmp_path}/tracked"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


def batch_lists(root: Path, *keys: str) -> dict[int, list[str]]:
    """The lists of the batch job, by user."""
    content = {"data": f"{root}/data", "model": f"{root}/model", "output": f"{root}/output", "history": "valid", "publish": False}
    (root / "conf.json").write_text(json.dumps({**content, "top_k": 5}))
    batch_recommend.main(["--conf", str(root / "conf.json"), *keys])
    table = pq.read_table(f"{versions.resolve(f'{root}/output')}/recommendations").to_pylist()
    return {row["user_id"]: [entry["item_id"] for entry in row["items"]] for row in table}


def test_the_server_of_two_stages_gives_the_lists_of_the_job(
    root: Path, spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_line, command, _ = register(capsys, *second_stage(root), "top_k=5")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # which MLflow sets for itself
    run_id = run_line.removeprefix("RUN_ID=")
    assert f"-m runs:/{run_id}/model -p 5001 --env-manager local" in command
    assert f"MLFLOW_TRACKING_URI=sqlite:///{root}/mlruns/mlflow.db mlflow models serve" in command
    alone, ranked = batch_lists(root), batch_lists(root, *second_stage(root))
    rows = [{"instances": [0, *two_stage.history_of(user), "unknown", 0]} for user in two_stage.USERS]
    with served(command, tmp_path) as address:
        found = ask(address, *({**row, "user": user} for row, user in zip(rows, two_stage.USERS, strict=True)))
        without_user = ask(address, *rows)
        stranger, denied = ask(address, {**rows[0], "user": 999}, {**rows[0], "user": 1, "deny": [found[0][0]]})
        assert post(address, '{"dataframe_records": [{"instances": [318]}]}')[0] == 400
    assert dict(zip(two_stage.USERS, found, strict=True)) == ranked
    assert dict(zip(two_stage.USERS, without_user, strict=True)) == alone
    assert stranger == alone[1]
    assert denied == found[0][1:]
    assert ranked != alone
    tries = (tmp_path / "tries.txt").read_text().split() if (tmp_path / "tries.txt").exists() else []
    assert not [name for name in tries if name.startswith(("torch", "petastorm"))]


def test_a_request_of_curl_gets_what_code_gets(
    root: Path, elsewhere: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of integers: padding, unknown ids, several rows, the options, and what can't be answered."""
    _, command, curl = register(capsys, "model=${SEQREC_ROOT}/numbers", "name=films")
    assert "MLFLOW_TRACKING_URI" not in command, "it is in the environment"
    assert "MLFLOW_ALLOW_FILE_STORE=true mlflow models serve" in command
    assert register(capsys, "model=${SEQREC_ROOT}/numbers", "name=films")[0].startswith("RUN_ID=")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "")  # which the job sets for itself
    versions_there = mlflow.MlflowClient().search_model_versions("name='films'")
    assert sorted(int(one.version) for one in versions_there) == [1, 2]
    recommender = Recommender.load(str(root / "numbers"))
    with served(command, tmp_path) as address:
        status, answer = post(address, '{"dataframe_records":[{"instances":[1,34,56,23,0,0,0,0,0,0]}]}')
        assert (status, answer) == (200, {"predictions": [ids(recommender.recommend([1, 34, 56, 23]))]})
        shown = shlex.split(curl.replace("http://127.0.0.1:5001/invocations", address))
        assert shown[-1] == '{"dataframe_records": [{"instances": [1, 56, 23, 0, 0, 0, 0, 0, 0, 0]}]}'
        done = subprocess.run([*shown, "-s"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == {"predictions": [ids(recommender.recommend([1, 56, 23]))]}
        rows: list[dict[str, Any]] = [
            {"instances": [0, 0, 1, 34, 99]},
            {"instances": [1, 34], "k": 2, "filter_seen": False},
            {"instances": [1], "deny": [56], "user": 5},
            {"instances": [1], "allow": [7, 8]},
            {"instances": []},
        ]
        assert ask(address, *rows) == [
            ids(recommender.recommend([1, 34])),
            ids(recommender.recommend([1, 34], 2, filter_seen=False)),
            ids(recommender.recommend([1], deny=[56])),
            ids(recommender.recommend([1], allow=[7, 8])),
            ids(recommender.recommend([])),
        ]
        assert ask(address) == []
        for body, sentence in {
            '{"dataframe_records":[{"instances":["318"]}]}': "row 1: instances: '318' is no item id of the model toy",
            '{"dataframe_records":[{"instances":[1],"k":0}]}': "row 1: k: 0 is no whole number from 1 to 10,000",
            '{"dataframe_records":[{"items":[1]}]}': "there is no column instances",
            '{"instances":[[1,34]]}': "the request is no table",
        }.items():
            status, answer = post(address, body)
            assert (status, answer.keys()) == (400, {"error_code", "message"})
            assert answer["message"].startswith(sentence)


def test_the_run_that_the_environment_names_is_the_parent_and_stays_as_it_is(
    root: Path, elsewhere: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(elsewhere)
    parent = client.create_run(client.create_experiment("seqrec")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    run_id = register(capsys, "model=${SEQREC_ROOT}/numbers")[0].removeprefix("RUN_ID=")
    assert run_id != parent
    made = client.get_run(run_id)
    assert (made.info.status, made.data.tags["mlflow.parentRunId"]) == ("FINISHED", parent)
    assert client.get_run(parent).info.status == "RUNNING"


def test_rules_are_those_of_code(root: Path, elsewhere: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Opened by MLflow, though the file of items is gone; the table lies in the model."""
    items = root / "films.csv"
    items.write_text("item_id,genres,year\n" + "".join(f"{item},{'War|Drama' if item % 2 else 'War'},{item}\n" for item in ITEMS))
    keys = [f"rerank.items.path={items}", "rerank.cap.column=genres", "rerank.cap.most=2", "rerank.boosts.year=0.3"]
    keys += ["rerank.quotas.late={column: year, minimum: 20, least: 1}", "rerank.method=mmr", "rerank.fill=popular"]
    [run_line, *_] = register(capsys, "model=${SEQREC_ROOT}/numbers", *keys, "top_k=4")
    settings = load_config(RegisterModel, str(TEMPLATE), keys)
    recommender = Recommender.load(str(root / "numbers"), rerank=settings.rerank.rules())
    items.unlink()
    model = mlflow.pyfunc.load_model(f"runs:/{run_line.removeprefix('RUN_ID=')}/model")
    histories = [[1], [34, 7], [8], []]
    found = model.predict(pd.DataFrame({"instances": histories}))
    assert found == [ids(recommender.recommend(history, 4)) for history in histories]
    assert found != [ids(Recommender.load(str(root / "numbers")).recommend(history, 4)) for history in histories]


def error_of(*keys: str) -> str:
    """The one line that the job ends with."""
    with pytest.raises(SystemExit) as ended:
        register_model.main(["--conf", str(TEMPLATE), *keys])
    assert len(str(ended.value.code).splitlines()) == 1
    return str(ended.value.code)


def test_without_mlflow_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert error_of() == "error: register_model writes to MLflow, which isn't installed: pip install 'seqrec[track]'"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["model=${SEQREC_ROOT}/none"], "none holds no exported model: run export_onnx"),
        (["ranker=${SEQREC_ROOT}/ranker"], "a second stage needs ranker, candidates and features: set candidates and features"),
        (["top_k=0"], "top_k"),
        (["nmae=films"], "unknown key nmae; did you mean name?"),
    ],
)
def test_what_is_wrong_is_said_before_mlflow_is_asked(root: Path, elsewhere: str, keys: list[str], message: str) -> None:
    assert message in error_of(*keys)
    assert not Path(elsewhere.removeprefix("file://")).exists()


def test_a_server_that_is_gone_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:hidden@127.0.0.1:1")
    message = error_of("model=${SEQREC_ROOT}/numbers")
    assert "MLflow" in message
    assert "127.0.0.1" in message
    assert "hidden" not in message


def test_a_database_that_cannot_be_made_is_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/numbers/meta.json")
    message = error_of("model=${SEQREC_ROOT}/numbers")
    assert message.startswith(f"error: MLflow at sqlite:///{root}/numbers/meta.json: ")
    assert "not a database" in message


def test_zeros_that_are_an_item_are_said(
    root: Path, elsewhere: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    toy.write_model(root / "zero", np.eye(4, dtype=np.float32), [0, 5], [3, 2])
    *_, curl = register(capsys, "model=${SEQREC_ROOT}/zero")
    assert '{"instances": [0, 5]}' in curl
    assert "the model has an item with the id 0" in caplog.text


def test_the_requirements_are_what_serving_imports() -> None:
    """As a fresh Python has it that runs the shipped code alone."""
    code = served_code("seqrec.serving.mlflow_model")
    needed = {re.split("==", one)[0] for one in code.requirements}
    assert needed == {"mlflow", "numpy", "onnxruntime", "pandas", "pyarrow", "pydantic", "pyyaml", "xxhash"}
    assert not [name for name in code.modules if name.startswith(("seqrec.stores", "seqrec.training", "seqrec.command"))]
