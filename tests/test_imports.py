"""Imports run one way, and what is heavy or a store's own is imported in one place."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for folder in ("seqrec", "jobs", "dump") for path in (ROOT / folder).rglob("*.py"))

# Layers from the top. A package (or a module beside the packages) imports itself and the layers below, and none of its own layer.
LAYERS = [
    {"jobs", "dump", "seqrec.__main__", "seqrec.chain", "seqrec.recommend"},
    {"seqrec.chains", "seqrec.reporting", "seqrec.tuning"},
    {"seqrec.towers"},
    {f"seqrec.{name}" for name in ("evaluation", "export", "publishing", "ranking", "rankers", "registry")},
    {f"seqrec.{name}" for name in ("scoring", "training", "texts")},
    {f"seqrec.{name}" for name in ("dataset", "retrieval", "serving", "models", "stores", "enrichment", "simulate", "movielens")},
    {f"seqrec.{name}" for name in ("settings", "submit", "catalogue", "planted", "metrics")},
    {f"seqrec.{name}" for name in ("command", "tables", "reranking")},
    {"seqrec.tracking"},
    {"seqrec.storage"},
    {f"seqrec.{name}" for name in ("errors", "error_messages", "indices", "ragged", "user_hashes", "variables")},
]
GROUND = LAYERS[-1]  # single modules, which may import one another

ONLY_IN = {
    "petastorm": {"seqrec.training.loader", "seqrec.rankers.row_batches"},
    "pymongo": {"seqrec.stores.mongo_collection", "seqrec.stores.mongo_rows", "seqrec.serving.stored"},
    "bson": {"seqrec.stores.mongo_rows"},
    "pymilvus": {"seqrec.stores.milvus_alias", "seqrec.stores.milvus", "seqrec.serving.stored"},
    "milvus_lite": {"seqrec.stores.embedded_milvus"},
    "optuna": {"seqrec.tuning.trial_study"},
    "tokenizers": {"seqrec.texts.sentences"},
    "mlflow": {"seqrec.serving.mlflow_model", "seqrec.registry.register_model", "seqrec.tracking.server"},
}
NEITHER_TORCH_NOR_SPARK = {
    *("registry", "submit", "tracking", "reranking", "serving", "enrichment", "recommend", "catalogue", "storage"),
    *("metrics", "ragged", "user_hashes"),
}
SPARK_ALONE = {"dataset", "ranking", "retrieval", "stores", "publishing", "tables"}
NOT_IN = {  # what no package of these imports
    "torch": NEITHER_TORCH_NOR_SPARK | SPARK_ALONE | {"scoring", "evaluation", "reporting", "command", "settings", "texts"},
    "pyspark": NEITHER_TORCH_NOR_SPARK | {"models", "training", "export", "rankers", "towers"},
    "onnxruntime": SPARK_ALONE | {"models", "training", "reranking"},
}
EXCEPTIONS = {
    ("pyspark", "seqrec.training.distributed"),
    ("pyspark", "seqrec.rankers.boosting_on_spark"),
    ("pyspark", "seqrec.storage.hadoop"),
}


def name_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str) -> set[str]:
    """All modules that a source names in its imports, those inside functions included."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def layer(name: str) -> int | None:
    """The layer that a module is in, from the top; None for other packages."""
    places = (number for number, members in enumerate(LAYERS) for member in members if within(name, member))
    return next(places, None)


def member(name: str) -> str | None:
    """The member of its layer that a module belongs to."""
    return next((member for members in LAYERS for member in members if within(name, member)), None)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def violations(module: str, source: str) -> list[str]:
    """What a module imports that it may not."""
    here, said = layer(module), []
    for name in sorted(imported(source)):
        package, there = name.split(".")[0], layer(name)
        if here is not None and there is not None and there < here:
            said.append(f"{module} imports {name}, which is above it")
        if here is not None and there == here and member(name) != member(module) and member(name) not in GROUND:
            said.append(f"{module} imports {name}, which stands beside it")
        if module.startswith(("jobs.", "dump.")) and name.startswith(("jobs", "dump")):
            said.append(f"{module} imports {name}: no job imports a job")
        if package in ONLY_IN and module not in ONLY_IN[package]:
            said.append(f"{module} imports {package}, which only {', '.join(sorted(ONLY_IN[package]))} may")
        refused = any(within(module, f"seqrec.{place}") for place in NOT_IN.get(package, ()))
        if refused and (package, module) not in EXCEPTIONS:
            said.append(f"{module} imports {package}, which its package may not")
    return said


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh interpreter has after importing a module."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout.split())


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    assert violations(name_of(path), path.read_text()) == []


def test_every_module_has_a_layer() -> None:
    strays = [name for name in map(name_of, SOURCES) if layer(name) is None and name != "seqrec"]
    assert strays == []


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        (
            "seqrec.tables.io",
            "from seqrec.dataset import windows",
            "seqrec.tables.io imports seqrec.dataset.windows, which is above it",
        ),
        ("seqrec.tables.io", "from seqrec.dataset import windows", "imports seqrec.dataset.windows, which is above it"),
        ("seqrec.dataset.clean", "def f():\n    import seqrec.training.loop", "imports seqrec.training.loop, which is above it"),
        ("seqrec.metrics", "from seqrec import evaluation", "imports seqrec.evaluation, which is above it"),
        ("seqrec.stores.mongo", "import jobs.train", "imports jobs.train, which is above it"),
        ("seqrec.scoring.udf", "from seqrec.training import loop", "imports seqrec.training.loop, which stands beside it"),
        ("seqrec.retrieval.swing", "import seqrec.dataset.clean", "imports seqrec.dataset.clean, which stands beside it"),
        ("jobs.publish", "from jobs.train import main", "no job imports a job"),
        (
            "jobs.publish",
            "from pymongo import MongoClient",
            "only seqrec.serving.stored, seqrec.stores.mongo_collection, seqrec.stores.mongo_rows may",
        ),
        (
            "seqrec.training.loop",
            "from petastorm.reader import Reader",
            "only seqrec.rankers.row_batches, seqrec.training",
        ),
        ("seqrec.training.loop", "if True:\n    from pyspark.sql import DataFrame", "imports pyspark, which its package may not"),
        ("seqrec.stores.milvus", "import torch.nn as nn", "imports torch, which its package may not"),
        ("seqrec.serving.model", "import pyspark", "imports pyspark, which its package may not"),
    ],
)
def test_the_check_finds_what_is_wrong(module: str, source: str, said: str) -> None:
    [message] = violations(module, source)
    assert said in message


def test_the_check_lets_pass_what_is_right() -> None:
    assert violations("jobs.train", "from seqrec.training.loop import fit\nimport seqrec.tables.io") == []
    assert violations("seqrec.training.distributed", "from pyspark.ml.torch.distributor import TorchDistributor") == []
    assert violations("seqrec.dataset.clean", "from seqrec.dataset.parse import numbers\nimport torchvision") == []


@pytest.mark.parametrize("module", ["seqrec.serving.recommender", "seqrec.recommend"])
def test_a_notebook_and_a_command_for_one_user_load_neither_torch_nor_spark(module: str) -> None:
    loaded = loaded_by(module)
    assert "onnxruntime" in loaded
    assert loaded.isdisjoint({"torch", "pyspark", "petastorm"})


def test_the_trainer_loads_neither_spark_nor_mlflow() -> None:
    """A job loads MLflow when it is tracked."""
    assert loaded_by("seqrec.training.train").isdisjoint({"pyspark", "mlflow"})


@pytest.mark.parametrize("uri", ["embedded", "none", "http://127.0.0.1:1"])
def test_stores_load_whatever_milvus_uri_says(uri: str) -> None:
    """pymilvus fails at its import on a MILVUS_URI that is no address."""
    code = "import os, seqrec.stores.open_stores; print(os.environ['MILVUS_URI'])"
    environment = {**os.environ, "MILVUS_URI": uri}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{uri}\n")
