"""Fixtures that all tests share."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyspark
import pytest
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from seqrec.command.class_archive import archive_options
from seqrec.command.java import quoted_option
from seqrec.command.session import open_session
from tests.servers import alias, collection, milvus_server, mongodb

__all__ = ["alias", "collection", "milvus_server", "mongodb", "spark"]

os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
# Tests end before Java's second compiler pays: with the first alone, Spark's driver takes half of the CPU time.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
if "-XX:ReservedCodeCacheSize" not in os.environ["SPARK_SUBMIT_OPTS"]:
    # With the first alone, Java holds 48 MB of compiled code. Spark's tests need more, and would be compiled again and again.
    os.environ["SPARK_SUBMIT_OPTS"] += " -XX:ReservedCodeCacheSize=256m"
if "-XX:SharedArchiveFile" not in os.environ["SPARK_SUBMIT_OPTS"]:
    own = archive_options(Path(pyspark.__file__).resolve().parent)  # as pyspark finds its own Spark
    os.environ["SPARK_SUBMIT_OPTS"] += "".join(f" {quoted_option(option)}" for option in own)
# Threads of OpenMP wait for each other by spinning: beside other processes, tiny networks took three times the CPU time with two.
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, here and in the processes that tests start
os.environ["SEQREC_LOG"] = os.devnull
os.environ["SEQREC_ENV_FILE"] = ""  # a .env of whoever runs the tests isn't read
# The stores, the root and the verbosity of whoever runs the tests: make exports some, and no test may write there.
TRACKING = ("MLFLOW_TRACKING_URI", "MLFLOW_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_PARENT_RUN_ID")
for name in ("MONGODB_URI", "MILVUS_URI", "MILVUS_TOKEN", "SEQREC_ROOT", "SEQREC_ENV_NAMES", "SEQREC_VERBOSITY", *TRACKING):
    os.environ.pop(name, None)


# pytest hands its handler to loggers that don't propagate: PySpark's don't, and they would make it write JSON in all later tests.
PySparkLogger.addHandler = logging.Logger.addHandler  # type: ignore[method-assign, assignment]


# Files whose tests wait most (for timeouts, jobs and other processes). They come first, so that none is left for the end alone.
SLOWEST = (
    "test_chain.py",
    "submit/test_package.py",
    "training/test_distributed.py",
    "test_jobs.py",
    "publishing/test_publish.py",
    "publishing/test_publish_machine.py",
    "training/test_interruptions.py",
    "test_two_tower.py",
    "registry/test_register_model.py",
    "command/test_bare_submit.py",
    "command/test_submit.py",
    "stores/test_outages.py",
    "dataset/test_build_sequences.py",
)


SPARK_COSTS = 20  # tests without Spark that take as long as one with it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by SLOWEST, then the longest first: so processes that take one after another end at about the same time."""

    def place(item: pytest.Item) -> tuple[int, int, str]:
        path = item.path.as_posix()
        rank = next((number for number, name in enumerate(SLOWEST) if path.endswith(f"tests/{name}")), len(SLOWEST))
        return rank, -lengths[path], path

    lengths: Counter[str] = Counter()
    for item in items:
        lengths[item.path.as_posix()] += SPARK_COSTS if "spark" in getattr(item, "fixturenames", ()) else 1
    items.sort(key=place)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One local session for all tests."""
    settings = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.python.daemon.module": "tests.spark_daemon",
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).parents[1]),
    }
    session = open_session("tests", **settings)
    yield session
    session.stop()
