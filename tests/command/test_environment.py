"""What the environment may hold: awkward values pass as they are, or are refused by the variable's name."""

from pathlib import Path
from typing import Any

import pytest

from seqrec.command import environment
from seqrec.command.config import Strict, load_config
from seqrec.command.java import require_java
from seqrec.errors import UserError
from seqrec.submit.machine import check_job

AWKWARD = [
    "a #b",
    "a: b",
    "#a",
    "it's",
    '"a"',
    "a\\b",
    "{a}",
    "[a]",
    "$HOME",
    "${SEQREC_ROOT}",
    "a&b",
    "50%",
    "ä→日",
    "*",
    "- a",
    "!a",
    "null",
]


class Job(Strict):
    """A job with a folder."""

    data: str


def load(folder: Path, content: str = "data: ${SEQREC_ROOT}/data\n") -> str:
    path = folder / "job.yaml"
    path.write_text(content)
    return load_config(Job, str(path), []).data


@pytest.mark.parametrize("name", AWKWARD)
def test_any_name_of_a_folder_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in (f"/x/{name}", name):
        monkeypatch.setenv("SEQREC_ROOT", value)
        assert load(tmp_path) == f"{value}/data"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "SEQREC_ROOT is unset or empty, and key data of .*job.yaml needs it: `export SEQREC_ROOT=…` first"),
        ("  ", "SEQREC_ROOT is blank"),
        (" /data", r"SEQREC_ROOT=' /data' begins or ends with a blank"),
        ("/data\n", r"SEQREC_ROOT='/data\\n' begins or ends with a blank"),
        ("/da\nta", r"SEQREC_ROOT='/da\\nta' holds a line end or another control character"),
        ("/da\udce4", r"SEQREC_ROOT='/da\\udce4' holds bytes that are not UTF-8"),
    ],
)
def test_what_can_t_be_a_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("SEQREC_ROOT", value)
    with pytest.raises(UserError, match=said):
        load(tmp_path)


def test_a_variable_is_needed_where_the_template_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job.yaml").write_text("# ${NOT_THIS}\ndata: ${SEQREC_ROOT}/x # nor ${THIS}\n")
    monkeypatch.setenv("SEQREC_ROOT", "/x #y")
    monkeypatch.delenv("SEQREC_LOG")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    found = check_job("job", str(tmp_path / "job.yaml"))
    assert found["JAVA_HOME"] == str(require_java())
    assert Path(found["SEQREC_LOG"]).match(f"{tmp_path}/state/seqrec/job-*.log")
    monkeypatch.delenv("SEQREC_ROOT")
    with pytest.raises(UserError, match=r"^SEQREC_ROOT is unset or empty, and .*/job\.yaml needs it: `export SEQREC_ROOT"):
        check_job("job", str(tmp_path / "job.yaml"))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SEQREC_LOG_LEVEL": "LOUD"}, "SEQREC_LOG_LEVEL=LOUD is no level: use one of ALL, TRACE, DEBUG, INFO, WARN"),
        ({"SPARK_DRIVER_MEMORY": "lots"}, "SPARK_DRIVER_MEMORY=lots: use a size from 512m on, such as 4g, or unset it"),
        ({"SPARK_DRIVER_MEMORY": "4"}, "SPARK_DRIVER_MEMORY=4: use a size"),
        ({"SPARK_DRIVER_MEMORY": "100m"}, "SPARK_DRIVER_MEMORY=100m: use a size"),
        ({"SPARK_DRIVER_MEMORY": "3gb"}, "SPARK_DRIVER_MEMORY=3gb: use a size"),
        ({"MONGODB_URI": "  "}, "MONGODB_URI is blank"),
        ({"MILVUS_URI": "none "}, "MILVUS_URI begins or ends with a blank"),
        ({"MONGODB_URI": "mongodb://u:hidden@h\n"}, "MONGODB_URI begins or ends with a blank"),
    ],
)
def test_settings_that_can_t_be_right_are_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=said) as raised:
        environment.check_settings()
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    "variables", [{"SEQREC_LOG_LEVEL": "warn"}, {"SPARK_DRIVER_MEMORY": "512M"}, {"SPARK_DRIVER_MEMORY": "1T"}]
)
def test_settings_that_are_right_pass(monkeypatch: pytest.MonkeyPatch, variables: dict[str, Any]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    environment.check_settings()


def test_a_python_without_the_packages_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("pyspark", "no_such_package"))
    with pytest.raises(UserError, match="has no no_such_package: run `make setup` first, or set PYSPARK_PYTHON"):
        environment.check_python()
