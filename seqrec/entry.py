"""The shape of every job's main: parse, load, run, and errors without a stack trace."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from seqrec.config import Strict, describe, load_config, public
from seqrec.errors import UserError

S = TypeVar("S", bound=Strict)
log = logging.getLogger("seqrec")


def run_job(settings: type[S], run: Callable[[S], None], argv: list[str] | None) -> None:
    """Parse `--conf FILE [key=value …]`, load the configuration, and call `run` with it.

    It ends as `command_line` says; an error that isn't the user's keeps its stack trace.
    """
    parser = argparse.ArgumentParser(
        description=settings.__doc__,
        epilog="keys, their defaults and what they mean:\n" + "\n".join(describe(settings)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--conf", required=True, metavar="FILE", help="YAML file with the job's keys, such as conf/train.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="keys to set over the file's, e.g. k_core.users=5")
    arguments = parser.parse_args(argv)
    with command_line():
        config = load_config(settings, arguments.conf, arguments.overrides)
        log.info("%s %s", settings.__name__, public(config))
        run(config)


@contextmanager
def command_line() -> Iterator[None]:
    """Within, what is logged goes to stderr; a UserError ends the process as one line with status 1, Ctrl-C with 130."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    log.setLevel(logging.INFO)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # it logs with a trace what it raises, and a JVM's end as an error
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        log.error("interrupted")
        sys.exit(130)


def positive(text: str) -> int:
    """A number from 1 on, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)
