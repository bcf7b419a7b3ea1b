"""The jobs as a scheduler runs them: by pyspark's own spark-submit, with neither the script of this project nor its settings."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset
import pytest

from seqrec.export.export_onnx import export
from seqrec.settings.stores import Mongo
from seqrec.settings.train import Train
from seqrec.simulate import Simulation, write_ratings
from seqrec.storage import versions
from seqrec.stores.mongo import find_documents
from seqrec.stores.open_stores import Addresses, connect
from seqrec.training.plan_transformer import sequence_setup
from seqrec.training.train import run_training

ROOT = Path(__file__).parents[2]
TINY = {"encoder": {"dim": 16, "blocks": 1}, "max_steps": 1, "valid_users": 16, "tensorboard": False, "plots": False}


def spark_submit(*arguments: str, root: Path, stores: str) -> str:
    """Run spark-submit in another folder, with three variables, a PATH and the compiler of all tests' JVMs; what it printed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "SEQREC_ROOT": str(root), "MONGODB_URI": stores, "MILVUS_URI": stores}
    environment["SPARK_SUBMIT_OPTS"] = os.environ["SPARK_SUBMIT_OPTS"]
    if "PYTHONPATH" in os.environ:  # in a work tree whose package isn't the one that is installed
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    (root / "elsewhere").mkdir(exist_ok=True)
    command = [str(Path(sys.executable).parent / "spark-submit"), *arguments]
    done = subprocess.run(command, env=environment, cwd=root / "elsewhere", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_ratings_become_documents_by_two_bare_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ratings(tmp_path / "ratings.csv", Simulation(users=80, items=120, events=1600, seed=1))
    spark_submit(f"{ROOT}/jobs/build_sequences.py", root=tmp_path, stores="none")
    data, model = f"{tmp_path}/dataset", f"{tmp_path}/model"
    users = len(pyarrow.dataset.dataset(f"{versions.resolve(data)}/sequences").to_table())
    run_training(sequence_setup(Train.model_validate({"data": data, "model": model, **TINY})))
    export(model, data=data, checkpoint="last")
    spark_submit(f"{ROOT}/jobs/batch_recommend.py", root=tmp_path, stores="embedded")
    version = versions.resolve(f"{tmp_path}/output")
    assert len(pyarrow.dataset.dataset(f"{version}/recommendations").to_table()) == users > 0
    assert versions.read_meta(version)["top_k"] == 100  # as conf/batch_recommend.yaml says
    monkeypatch.setenv("SEQREC_ROOT", str(tmp_path))
    with connect(None, Addresses(mongodb="embedded", milvus="none")) as stores:
        collection = stores.require_mongodb().collection(Mongo().database, Mongo().collection)
        assert len(find_documents(collection, list(range(1, 81)))) == users
