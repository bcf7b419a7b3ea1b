"""A job's main: what it prints and how it ends."""

import importlib
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seqrec import simulate
from seqrec.command.config import Stores, Strict
from seqrec.command.entry import run_job
from seqrec.command.log_file import append, choose
from seqrec.errors import UserError
from seqrec.stores import show


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
        run_job(Settings, lambda settings: seen.append(settings), ["--conf", conf, "data=y"])
    assert seen[0].data == "y"
    assert "settings: what the job does\n  data=y\n" in caplog.text
    assert "hidden" not in caplog.text


def test_without_conf_the_template_beside_the_job_s_folder_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str
) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "score.py").write_text("def run(cfg):\n    print(cfg.data)\n")
    monkeypatch.syspath_prepend(str(tmp_path / "jobs"))
    job = importlib.import_module("score")
    missing = f"error: {tmp_path}/jobs/score.py has no template {tmp_path}/conf/score.yaml: pass --conf FILE"
    with pytest.raises(SystemExit, match=f"^{re.escape(missing)}$"):
        run_job(Settings, job.run, [])
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "score.yaml").write_text("data: of the template")
    seen: list[str] = []
    monkeypatch.setattr(job, "print", lambda data: seen.append(data), raising=False)
    for arguments in ([], ["data=y"], ["--conf", conf]):
        run_job(Settings, job.run, arguments)
    assert seen == ["of the template", "y", "x"]


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


def test_another_error_is_one_line_and_its_trace_in_the_log(conf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQREC_LOG")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "argv", ["jobs/train.py", "--conf", conf])
    monkeypatch.setenv("SEQREC_SAID", str(tmp_path / "said"))
    with pytest.raises(SystemExit) as ended:
        run_job(Settings, lambda _: raise_(ValueError("no mongodb://u:hidden@h\n  today")), ["--conf", conf])
    [log] = (tmp_path / "state" / "seqrec").iterdir()
    assert ended.value.code == f"error: ValueError: no mongodb://***@h (trace: {log})"
    assert log.name.startswith("train-")
    assert "raise error\nValueError: no mongodb://***@h" in log.read_text()
    assert "hidden" not in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "said").exists()


def test_a_log_lies_with_temporary_files_where_there_is_no_other_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQREC_LOG")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    place = choose("job")
    assert place is not None
    assert place.parent == tmp_path / f"seqrec-logs-{os.getuid()}"
    old = place.parent / "job-1.log"
    old.touch()
    os.utime(old, (1, 1))
    assert append("text", "job") == place
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert (choose("job"), append("text", "job")) == (None, None)


def test_the_line_comes_where_no_log_can_be_written(conf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    monkeypatch.setenv("SEQREC_LOG", str(tmp_path / "full"))
    with pytest.raises(SystemExit, match=r"^error: ZeroDivisionError$"):
        run_job(Settings, lambda _: raise_(ZeroDivisionError()), ["--conf", conf])


def test_sigterm_ends_with_its_status_after_what_was_opened_is_closed(conf: str) -> None:
    code = (
        "import os, signal, sys, time\n"
        "from seqrec.command.entry import command_line\n"
        "with command_line():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM); time.sleep(10)\n"
        "    finally:\n"
        "        print('closed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (143, "closed\n", "")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda file: simulate.main(["--users=9", "--items=40", "--events=60", "--output", f"{file}/x.csv"]),
            "something else has",
        ),
        (lambda file: show.main(["--titles", f"{file.parent}"]), "holds no Parquet files"),
    ],
)
def test_every_command_ends_with_one_line(tmp_path: Path, call: Callable[[Path], None], said: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SystemExit) as ended:
        call(tmp_path / "file")
    assert isinstance(ended.value.code, str)
    assert re.match(rf"error: [^\n]*(?:{said})[^\n]*$", ended.value.code)


def test_help_lists_the_keys(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run_job(Settings, lambda _: None, ["--help"])
    assert ended.value.code == 0
    assert "What the job does." in (said := capsys.readouterr().out)
    assert "  data = 'd'" in said
