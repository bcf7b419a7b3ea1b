"""deploy/compose.yaml and the workflow of CI: names, ports, tags and variables are those that the code has."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

import seqrec

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
JOB = SERVICES["job"]
LISTENS = {"mongod": 27017, "minio": 9000, "milvus": 19530, "mlflow": 5000}  # the ports of these servers
SECRET = re.compile("PASSWORD|SECRET|TOKEN|KEY", re.IGNORECASE)
REQUIRED = re.compile(r"\$\{(\w+):\?")


def test_services_are_those_that_the_jobs_use_and_each_tells_whether_it_is_well() -> None:
    assert set(SERVICES) == {*LISTENS, "etcd", "job"}
    for name, service in SERVICES.items():
        assert ("healthcheck" in service) == (name != "job"), name
        for other, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_images_are_pinned_and_the_project_s_has_its_version() -> None:
    for name, service in SERVICES.items():
        assert re.fullmatch(r"[\w./-]+:(v?\d[\w.-]*|RELEASE\.[\w-]+)", service["image"]), name
    own = {service["image"] for service in SERVICES.values() if "build" in service}
    assert own == {f"seqrec:{seqrec.__version__}"}
    assert (ROOT / "deploy" / JOB["build"]["context"] / JOB["build"]["dockerfile"]).exists()


def test_addresses_in_the_job_s_environment_are_services_and_their_ports() -> None:
    for name, value in JOB["environment"].items():
        if "://" not in value:
            continue
        address = urlsplit(re.sub(r"\$\{[^}]*\}", "x", value))
        assert LISTENS[str(address.hostname)] == address.port, name
        assert SERVICES[str(address.hostname)]["ports"] == [f"127.0.0.1:{address.port}:{address.port}"]  # from this machine alone
    assert {"mongod", "milvus", "mlflow"} == set(JOB["depends_on"])


@pytest.mark.parametrize("name", sorted(JOB["environment"]))
def test_the_code_reads_what_the_job_is_told(name: str) -> None:
    sources = [*(ROOT / "seqrec").rglob("*.py"), *(ROOT / "conf").glob("*.yaml")]
    assert any(re.search(rf"\b{name}\b", path.read_text()) for path in sources), f"nothing reads {name}"


def test_secrets_come_from_the_environment_and_the_example_names_them_all() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert REQUIRED.match(value), f"{name} is written in compose.yaml"
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{(\w+)", text)) - {"SPARK_DRIVER_MEMORY"}
    example = [line.split("=") for line in (ROOT / "deploy" / "env.example").read_text().splitlines() if not line.startswith("#")]
    assert {name for name, _ in example} == used
    assert {value for _, value in example} == {""}


def test_volumes_that_are_mounted_are_declared() -> None:
    mounted = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith("${")} == set(COMPOSE["volumes"])


def test_mlflow_answers_by_the_name_and_port_that_the_job_uses() -> None:
    options = dict(word.removeprefix("--").split("=", 1) for word in SERVICES["mlflow"]["command"] if word.startswith("--"))
    assert urlsplit(JOB["environment"]["MLFLOW_TRACKING_URI"]).netloc in options["allowed-hosts"].split(",")
    assert int(options["port"]) == LISTENS["mlflow"]


def test_the_workflow_runs_what_ci_runs_anywhere() -> None:
    workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert commands == [".ci/run"]
    image = [step["run"] for step in workflow["jobs"]["image"]["steps"] if "run" in step]
    files = {word for command in image for word in re.findall(r"--file (\S+)", command)}
    assert files == {"deploy/Dockerfile", "deploy/compose.yaml"}
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(
    ("docker", "status"),
    [
        ("exit 0", 1),
        ('for name in ${!MONGO*} ${!S3*}; do [[ ${!name} ]] || { echo "set $name"; exit 1; }; done', 0),
        ("exit 1", 1),
    ],
    ids=["takes all", "refuses empty ones", "takes none"],
)
def test_the_workflow_sees_a_secret_that_isn_t_refused(tmp_path: Path, docker: str, status: int) -> None:
    workflow: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yaml").read_text())
    [step] = [step for step in workflow["jobs"]["image"]["steps"] if "secret" in step.get("name", "")]
    (tmp_path / "docker").write_text(f"#!/usr/bin/env bash\n{docker}\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, **step["env"], "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=environment, capture_output=True, check=False)
    assert done.returncode == status, done.stderr
