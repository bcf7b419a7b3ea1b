"""deploy/kubernetes: the SparkApplication has the operator's keys, and says of the image and of S3 what the code says."""

import re
from pathlib import Path
from typing import Any

import pyspark
import yaml

import seqrec
from seqrec.submit import s3
from tests.deploy import image

ROOT = Path(__file__).parents[2]
APPLICATION: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "batch_recommend.yaml").read_text())
SPEC = APPLICATION["spec"]
# The keys used here, with the types that the operator's definition of SparkApplication (v1beta2) gives them; a dict is a mapping
# of such keys. Kubernetes drops a key that the definition lacks, so a wrong one would be lost silently.
POD: dict[str, Any] = {
    "cores": int,
    "memory": str,
    "memoryOverhead": str,
    "env": [{"name": str, "value": str}],
    "envFrom": [{"secretRef": {"name": str}}],
    "serviceAccount": str,
}
SCHEMA: dict[str, Any] = {
    "apiVersion": "sparkoperator.k8s.io/v1beta2",
    "kind": "SparkApplication",
    "metadata": {"name": str},
    "spec": {
        "type": re.compile("Java|Python|Scala|R"),
        "pythonVersion": re.compile("2|3"),
        "mode": re.compile("cluster|client"),
        "sparkVersion": str,
        "image": str,
        "imagePullPolicy": re.compile("Always|IfNotPresent|Never"),
        "mainApplicationFile": str,
        "arguments": [str],
        "restartPolicy": {
            "type": re.compile("Never|OnFailure|Always"),
            "onFailureRetries": int,
            "onFailureRetryInterval": int,
            "onSubmissionFailureRetries": int,
            "onSubmissionFailureRetryInterval": int,
        },
        "deps": {"packages": [str], "excludePackages": [str]},
        "sparkConf": str,
        "driver": POD,
        "executor": POD | {"instances": int},
    },
}


def faults(value: Any, wanted: Any, where: str) -> list[str]:
    """What of a value isn't as the schema says."""
    if isinstance(wanted, dict):
        unknown = [f"{where}.{key} is no key" for key in value if key not in wanted]
        return unknown + [said for key in value if key in wanted for said in faults(value[key], wanted[key], f"{where}.{key}")]
    if isinstance(wanted, list):
        return [said for number, item in enumerate(value) for said in faults(item, wanted[0], f"{where}[{number}]")]
    if isinstance(value, dict):  # a mapping of any names to values of one type
        return [said for key, item in value.items() for said in faults(item, wanted, f"{where}.{key}")]
    if isinstance(wanted, type):
        return [] if type(value) is wanted else [f"{where}={value!r} is no {wanted.__name__}"]
    return [] if isinstance(value, str) and re.fullmatch(wanted, value) else [f"{where}={value!r} is no {wanted}"]


def test_keys_and_types_are_those_of_the_operator() -> None:
    assert faults(APPLICATION, SCHEMA, "") == []


def test_the_check_finds_what_is_wrong() -> None:
    wrong = {"kind": "SparkApp", "spec": {"mode": "clustr", "driver": {"core": 1, "cores": "1"}, "sparkConf": {"a": True}}}
    assert faults(wrong, SCHEMA, "") == [
        ".kind='SparkApp' is no SparkApplication",
        ".spec.mode='clustr' is no re.compile('cluster|client')",
        ".spec.driver.core is no key",
        ".spec.driver.cores='1' is no int",
        ".spec.sparkConf.a=True is no str",
    ]


def test_the_script_lies_in_the_image_and_takes_its_arguments() -> None:
    path = SPEC["mainApplicationFile"].removeprefix("local://")
    packages = "/opt/seqrec/lib/python3.11/site-packages/"
    assert path.startswith(f"{packages}seqrec/jobs/")
    assert (ROOT / "jobs" / Path(path).name).exists()
    assert f"SPARK_HOME={packages}pyspark" in image.DOCKERFILE.read_text()
    assert SPEC["image"].rpartition(":")[2] == seqrec.__version__
    assert SPEC["sparkVersion"] == re.search(r"^pyspark==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]  # type: ignore[index]


def test_s3_is_read_and_written_as_the_command_does_it() -> None:
    [jar] = Path(pyspark.__path__[0]).glob("jars/hadoop-client-api-*.jar")
    version = jar.stem.removeprefix("hadoop-client-api-")
    assert SPEC["deps"]["packages"] == [f"org.apache.hadoop:hadoop-aws:{version}", s3.CLOUD_COMMITTER]
    assert SPEC["deps"]["excludePackages"] == list(s3.NOT_FOR_S3)
    assert SPEC["sparkConf"] == s3.COMMITTER | s3.PATIENCE


def test_secrets_are_a_secret_of_kubernetes() -> None:
    for pod in (SPEC["driver"], SPEC["executor"]):
        assert pod["envFrom"] == [{"secretRef": {"name": "seqrec"}}]
        assert [variable["name"] for variable in pod.get("env", [])] in ([], ["SEQREC_ROOT"])
