"""The session's settings: those that results depend on are always set, spark-submit's win over the others."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.command.session import REQUIRED, open_session, require_slots, runs_locally, task_slots
from seqrec.errors import UserError

SAY = """
from seqrec.command.session import open_session
spark = open_session("job", **{"spark.sql.shuffle.partitions": "3"})
print(*[spark.conf.get(f"spark.sql.{key}") for key in ("session.timeZone", "ansi.enabled", "shuffle.partitions")])
"""


def test_defaults_hold(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    assert runs_locally(spark)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The free slots that each look at a cluster finds, the last of them again and again; a look takes a second of `time`."""
    slots: list[int] = []
    clock = iter(range(1000))
    monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None))
    monkeypatch.setattr(session, "task_slots", lambda _: slots.pop(0) if len(slots) > 1 else slots[0])
    return slots


def cluster(master: str = "spark://host:7077") -> Any:
    return SimpleNamespace(sparkContext=SimpleNamespace(master=master))


def test_executors_that_come_late_are_waited_for(looks: list[int]) -> None:
    looks += [0, 0, 2, 8]
    require_slots(cluster(), 8)
    assert looks == [8]


@pytest.mark.parametrize(
    ("master", "said"), [("spark://host:7077", "has 2 slots after 90 s; give"), ("local[2]", "2 slots; give")]
)
def test_a_cluster_that_stays_too_small_is_refused(looks: list[int], master: str, said: str) -> None:
    looks.append(2)
    with pytest.raises(UserError, match=f"processes=8: the cluster .*{said}"):
        require_slots(cluster(master), 8)


def test_slots_are_tasks_that_run_at_once(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what spark.default.parallelism says."""
    monkeypatch.setattr(type(spark.sparkContext), "defaultParallelism", 99)
    assert task_slots(spark) == 2


def test_the_running_session_is_taken_as_it_is(spark: SparkSession) -> None:
    again = open_session("other", **{"spark.sql.shuffle.partitions": "99", "spark.driver.memory": "1g"})
    assert again is spark
    assert again.conf.get("spark.sql.shuffle.partitions") == "2"


def wrong(value: str) -> str:
    """Another value that Spark takes for such a setting."""
    others = {"UTC": "CET", "TIMESTAMP_LTZ": "TIMESTAMP_NTZ", "true": "false", "false": "true", "CORRECTED": "LEGACY"}
    return others[value]


def test_a_running_session_gets_what_results_depend_on(spark: SparkSession, caplog: pytest.LogCaptureFixture) -> None:
    for key, value in REQUIRED.items():
        spark.conf.set(key, wrong(value))
    with caplog.at_level(logging.WARNING, logger="seqrec"):
        again = open_session("job")
        assert {key: again.conf.get(key) for key in REQUIRED} == REQUIRED
        lines = [f"{key}={wrong(value)} is not taken: results depend on it" for key, value in REQUIRED.items()]
        assert [message.partition(",")[0] for message in caplog.messages] == lines
        open_session("job")
    assert len(caplog.messages) == len(lines)


def test_what_was_submitted_wins_but_for_what_results_depend_on(tmp_path: Path) -> None:
    script = tmp_path / "say.py"
    script.write_text(SAY)
    home = Path(sys.modules["pyspark"].__file__ or "").parent
    options = ["--master", "local[1]", "--conf", "spark.sql.shuffle.partitions=7", "--conf", "spark.sql.session.timeZone=CET"]
    command = [str(home / "bin" / "spark-submit"), *options, str(script)]
    environment = {**os.environ, "SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    *lines, values = done.stdout.splitlines()
    assert values.split() == ["UTC", "true", "7"]
    assert lines[0].startswith("spark.sql.session.timeZone=CET is not taken")


ENDING_SCRIPT = """
from seqrec.command.session import has_ended, open_session
spark = open_session("job")
java = spark.sparkContext._gateway.proc
print(spark.conf.get("spark.sql.shuffle.partitions"), has_ended(spark), end=" ")
java.kill(), java.wait()
print(has_ended(spark))
"""


def test_a_local_session_has_few_partitions_and_is_seen_to_end(tmp_path: Path) -> None:
    options = "--master local[3] --conf spark.ui.enabled=false pyspark-shell"
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": options}
    done = subprocess.run([sys.executable, "-c", ENDING_SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "12 False True\n"


@pytest.mark.parametrize(("variables", "python"), [({}, sys.executable), ({"PYSPARK_SUBMIT_ARGS": "--master yarn"}, None)])
def test_workers_run_this_python_unless_a_master_was_chosen(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], python: str | None
) -> None:
    for name in ("PYSPARK_PYTHON", "PYSPARK_GATEWAY_PORT", "PYSPARK_SUBMIT_ARGS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert open_session("job") is spark
    assert os.environ.get("PYSPARK_PYTHON") == python


def test_without_java_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UserError, match="holds no bin/java"):
        open_session("job")
