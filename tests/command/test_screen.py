"""What commands show, where, how much of it, and what they keep."""

import argparse
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqrec.command import screen
from seqrec.command.bars import Bar
from seqrec.command.entry import command_line, verbosity_arguments
from seqrec.command.kept_log import keep_log, write_logs
from seqrec.command.screen import heading, show
from seqrec.errors import UserError

log = logging.getLogger("seqrec")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def say_all(*options: str) -> None:
    """A command that says something of each kind."""
    parser = argparse.ArgumentParser()
    verbosity_arguments(parser)
    with command_line(parser.parse_args(options)):
        log.debug("a detail")
        log.info("the story")
        log.warning("a doubt about mongodb://u:hidden@h")
        show("a result")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["the story", "warning: a doubt about mongodb://***@h"]),
        (["--quiet"], ["warning: a doubt about mongodb://***@h"]),
        (["-v"], ["a detail", "the story", "warning: a doubt about mongodb://***@h"]),
    ],
)
def test_results_are_on_stdout_and_the_story_on_stderr(
    options: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    say_all(*options)
    shown = capsys.readouterr()
    assert shown.out == "a result\n"
    assert [line.partition(" ")[2] for line in shown.err.splitlines()] == said
    assert all(len(line.split()[0]) == len("12:00:00") for line in shown.err.splitlines())


@pytest.mark.parametrize("outside", [None, "verbose"])
def test_an_option_is_of_its_command_alone(
    outside: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SEQREC_VERBOSITY", raising=False)
    if outside is not None:
        monkeypatch.setenv("SEQREC_VERBOSITY", outside)
    say_all("--quiet")
    assert os.environ.get("SEQREC_VERBOSITY") == outside
    say_all()
    assert ("a detail" in capsys.readouterr().err) == (outside == "verbose")


def test_only_the_first_of_several_processes_tells_the_story(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    say_all()
    assert "the story" not in capsys.readouterr().err


def test_a_terminal_has_no_times_and_has_bold_headings_unless_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    say_all()
    assert terminal.getvalue().splitlines()[0] == "the story"
    assert heading("train") == "\x1b[1mtrain\x1b[0m"
    assert heading("train", "stdout") == "train"
    monkeypatch.setenv("NO_COLOR", "1")
    assert heading("train") == "train"


def test_a_bar_on_a_terminal_makes_way_for_lines_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Bar("epoch 3", total=400, unit="steps") as bar:
        bar.reach(400, note="loss 4.21")
        screen.write("a line", "stderr")
    shown = terminal.getvalue()
    assert "epoch 3   0%" in shown
    assert "\r" in shown.partition("a line")[0]
    assert shown.rpartition("a line")[2].strip("\r \n") == ""
    assert screen.drawn_bars == []


def test_without_a_terminal_long_work_says_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="seqrec")
    clock = iter([0.0, 29.0, 31.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with Bar("epoch 3", total=4000, unit="steps") as bar:
        bar.reach(1000)
        bar.reach(1200, note="loss 4.21")
    assert caplog.messages == ["epoch 3: 1,200 of 4,000 steps after 31 s, loss 4.21"]


def test_a_log_is_kept_where_something_was_made_and_appended_to(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for number, append in ((1, False), (2, True)):
        with command_line():
            log.info("\n%s", f"\x1b[1mrun {number}\x1b[0m")
            keep_log(str(tmp_path / "model"), append=append)
            keep_log(str(tmp_path / "never made"))
            log.debug("a detail")
            show("a result")
    lines = (tmp_path / "model" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        f"{word}" for number in (1, 2) for word in (f"INFO run {number}", "DEBUG a detail", "INFO a result")
    ]
    assert not (tmp_path / "never made").exists()


def test_a_command_that_fails_keeps_its_log_and_its_error(tmp_path: Path) -> None:
    def fail() -> None:
        with command_line():
            keep_log(str(tmp_path))
            raise UserError("what, where, what to do")

    with pytest.raises(SystemExit):
        fail()
    assert (tmp_path / "log.txt").read_text().endswith(" ERROR error: what, where, what to do\n")


def test_a_log_that_can_t_be_written_is_a_warning_of_its_command_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log.txt").mkdir()
    with command_line():
        keep_log(str(tmp_path))
    assert f"warning: {tmp_path}/log.txt can't be written" in capsys.readouterr().err
    caplog.clear()
    write_logs(failed=False)  # what a training without a command does after each epoch
    assert caplog.messages == []


def test_the_end_of_a_reader_is_no_error() -> None:
    code = "from seqrec.command.screen import show\nfor number in range(100000): show('a line of words ' * 10)"
    command = f'{sys.executable} -c "{code}" | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=dict(os.environ))
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)
