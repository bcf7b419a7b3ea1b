"""A job's main: what it prints and how it ends."""

import logging
from pathlib import Path

import pytest

from seqrec.config import Stores, Strict
from seqrec.entry import run_job
from seqrec.errors import UserError


class Settings(Strict):
    """What the job does."""

    data: str = "d"
    stores: Stores


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MONGODB_URI", "mongodb://u:hidden@h")
    monkeypatch.setenv("MILVUS_URI", "none")
    path = tmp_path / "job.yaml"
    path.write_text("data: x")
    return str(path)


def test_run_gets_the_configuration_and_the_log_no_secret(conf: str, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Settings] = []
    with caplog.at_level(logging.INFO, logger="seqrec"):
        run_job(Settings, seen.append, ["--conf", conf, "data=y"])
    assert seen[0].data == "y"
    assert "'data': 'y'" in caplog.text
    assert "hidden" not in caplog.text


def raise_(error: BaseException) -> None:
    raise error


def test_a_user_error_ends_as_one_line(conf: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run_job(Settings, lambda _: raise_(UserError("what, where, what to do")), ["--conf", conf])
    assert ended.value.code == "error: what, where, what to do"


def test_ctrl_c_ends_without_a_trace(conf: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run_job(Settings, lambda _: raise_(KeyboardInterrupt()), ["--conf", conf])
    assert ended.value.code == 130


def test_other_errors_keep_their_trace(conf: str) -> None:
    with pytest.raises(ZeroDivisionError):
        run_job(Settings, lambda _: raise_(ZeroDivisionError()), ["--conf", conf])


def test_help_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_job(Settings, lambda _: None, ["--help"])
    assert ended.value.code == 0
    assert "What the job does." in (said := capsys.readouterr().out)
    assert "  data = 'd'" in said
