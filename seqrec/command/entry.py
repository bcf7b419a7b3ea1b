"""The shape of every job's main: parse, load, run, and errors on one line."""

import argparse
import inspect
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeVar

from seqrec.command import screen, story
from seqrec.command.config import Frame, Strict, describe_keys, load_job
from seqrec.command.kept_log import MemoryHandler, forget_logs, memory_handler, write_logs
from seqrec.command.log_file import append
from seqrec.command.screen import LEVELS, VERBOSITY, ScreenHandler, connect_streams
from seqrec.error_messages import explain, hide_secrets, one_line
from seqrec.errors import UserError
from seqrec.tracking.place import choose_place
from seqrec.tracking.tracked import tracked_job
from seqrec.variables import set_variable

SAID = "SEQREC_SAID"
S = TypeVar("S", bound=Strict)
log = logging.getLogger("seqrec")


def run_job(
    settings: type[S], run: Callable[[S], None], argv: list[str] | None, *, dry_run: Callable[[S], None] | None = None
) -> None:
    """Parse `[--conf FILE] [--quiet | --verbose] [key=value …]`, load the configuration, say what is done, and call `run`.

    A job with a `dry_run` has the option --dry-run, with which it is called instead.
    Without --conf the file is the job's template, see `template_of`. Errors and signals end the process as in `command_line`.
    """
    connect_streams()
    parser = argparse.ArgumentParser(
        description=settings.__doc__,
        epilog="keys, their defaults and what they mean:\n"
        + "\n".join(dict.fromkeys(describe_keys(settings) + describe_keys(Frame))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    default = "default: conf/JOB.yaml beside the folder of the job's script"
    parser.add_argument("--conf", metavar="FILE", help=f"YAML file with the job's keys; {default}")
    examples = "k_core.users=5, write='[a, b]', or with quotes of its own input.delimiter='\"; \"'"
    verbosity_arguments(parser)
    if dry_run is not None:
        parser.add_argument("--dry-run", action="store_true", help=f"{(dry_run.__doc__ or '').strip().rstrip('.').lower()}")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=f"keys to set over the file's, e.g. {examples}")
    arguments = parser.parse_intermixed_args(argv)
    with command_line(arguments):
        config, frame = load_job(settings, arguments.conf or str(template_of(run)), arguments.overrides)
        parameters = story.begin(settings, config, script=Path(inspect.getfile(run)).absolute())
        if dry_run is not None and arguments.dry_run:
            dry_run(config)
        else:
            with tracked_job(story.job_name(settings), parameters, choose_place(frame.track, frame.experiment)):
                run(config)


def template_of(run: Callable[..., None]) -> Path:
    """The template of the job whose script holds `run`: conf/JOB.yaml for jobs/JOB.py; UserError where it isn't there.

    A scheduler that copies the script alone, as spark-submit does with --deploy-mode cluster, leaves the template behind.
    """
    script = Path(inspect.getfile(run)).absolute()
    template = script.parents[1] / "conf" / f"{script.stem}.yaml"
    if not template.exists():
        raise UserError(f"{script} has no template {template}: pass --conf FILE")
    return template


def verbosity_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of every command that say how much it shows."""
    group = parser.add_mutually_exclusive_group()
    for name, help_text in (
        ("quiet", "show results, warnings and errors alone"),
        ("verbose", "show details too"),
    ):
        group.add_argument(f"-{name[0]}", f"--{name}", dest="verbosity", action="store_const", const=name, help=help_text)


@contextmanager
def command_line(arguments: argparse.Namespace | None = None) -> Iterator[None]:
    """In the `with` block, logs go to stderr, and an error ends the process with one line and status 1, Ctrl-C with 130.

    The line is the message of a UserError; for any other error it is a summary, with the log file that has the trace. SIGTERM
    ends the process with status 143, after open resources are closed. The logs of what was made are written last.
    """
    connect_streams()
    with set_variable(VERBOSITY, getattr(arguments, "verbosity", None)), logs_on_screen():
        try:
            with _closing_at_sigterm():
                yield
        except UserError as error:
            _end(f"error: {one_line(hide_secrets(str(error)))}")
        except KeyboardInterrupt:
            log.error("interrupted")
            sys.exit(130)
        except Exception as error:
            _end(f"error: {explain(error)}{_write_trace(error)}")


@contextmanager
def logs_on_screen() -> Iterator[None]:
    """In the `with` block, seqrec's logs are shown as the verbosity says, and kept for log.txt; others' only from warnings on.

    At the end the logs of what was made are written.

    A command that another one calls in the same process changes nothing.
    """
    if any(isinstance(handler, MemoryHandler) for handler in log.handlers):
        yield
        return
    root, shown, memory, level = logging.getLogger(), ScreenHandler(LEVELS[screen.verbosity()]), memory_handler(), log.level
    root.addHandler(shown)
    log.addHandler(memory)
    log.setLevel(logging.DEBUG)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # py4j logs a trace of all that it raises, and a JVM's end as an error
    failed = True
    try:
        yield
        failed = False
    finally:
        write_logs(failed=failed)
        root.removeHandler(shown)
        log.removeHandler(memory)
        forget_logs()
        log.setLevel(level)


@contextmanager
def _closing_at_sigterm() -> Iterator[None]:
    """In the `with` block, SIGTERM raises SystemExit with status 143 in the main thread; a second one is ignored."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(line: str) -> NoReturn:
    """End with the line and status 1; spark-submit.sh looks for the mark, to say something where a job could not."""
    log.error("%s", line, extra={"shown": True})
    if SAID in os.environ:
        with suppress(OSError):
            Path(os.environ[SAID]).touch()
    sys.exit(line)


def _write_trace(error: Exception) -> str:
    """Write an error's trace into a log; the text that names the log for the error's line, empty if no log can be written."""
    name = Path(sys.argv[0]).stem or "seqrec"
    command = " ".join([name, *sys.argv[1:]])
    trace = "".join(traceback.format_exception(error))
    path = append(hide_secrets(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {command}\n{trace}\n"), name)
    return f" (trace: {path})" if path else ""


def _terminate(number: int, _: object) -> NoReturn:
    """End the process with the signal's status; further signals are ignored."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def positive(text: str) -> int:
    """A number from 1 on, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
