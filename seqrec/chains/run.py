"""Runs a chain of jobs: those that are stale, in their order; a chain that failed goes on where it stopped.

./spark-submit.sh run demo --dry-run                    what would run, and why; runs nothing
./spark-submit.sh run my_chain.yaml train.max_epochs=3  with a key of one step
"""

import argparse
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path

from seqrec.chains.chain_file import Chain, Step, read_chain
from seqrec.chains.dvc_stages import write_stages
from seqrec.chains.order import ordered, require_inputs, steps_before
from seqrec.chains.start import step, submit
from seqrec.chains.status import RECORDS, Comparison, Status, record_of, statuses
from seqrec.command.entry import command_line, verbosity_arguments
from seqrec.command.environment import variable
from seqrec.command.installation import home, in_checkout, program
from seqrec.command.lineage import made_from
from seqrec.command.screen import aligned, counted, duration, show
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.storage.lock import hold_in
from seqrec.tracking.chain_run import tracked_chain

LOCK = ".chain.lock"

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which steps run: those of `only`, or all; also those that are up to date; also those that other code made; or none."""

    only: Sequence[str] = ()
    force: bool = False
    any_code: bool = False
    dry_run: bool = False


def run_chain(chain: Chain, choice: Choice, *, options: Sequence[str] = ()) -> None:
    """Say which steps are stale, and run those; with dry_run only say it. `options` are spark-submit's, for each job.

    If a step fails, this process ends with its status. Raises UserError for what `plan` refuses.
    """
    records = _records(chain)
    planned = plan(chain, Comparison(records=records, by_code=not choice.any_code, force=choice.force), only=choice.only)
    if choice.dry_run:
        show(describe(planned))
        return
    log.info("%s", describe(planned))
    with tracked_chain(chain.name) if sum(status.stale for status in planned) > 1 else nullcontext():
        _run_stale(chain, planned, records=records, options=options)


def _run_stale(chain: Chain, planned: Sequence[Status], *, records: str | None, options: Sequence[str]) -> None:
    """Run the stale steps one after the other."""
    started, stale = time.monotonic(), [status for status in planned if status.stale]
    for number, status in enumerate(planned, start=1):
        if not status.stale:
            continue
        try:
            with step(number, len(planned), status.step.name):
                log.info("  %s", status.shown())
                _run_step(status, records=records, options=options)
        except SystemExit:
            log.error(
                "%s stopped at %s, step %d of %d: the same command goes on there",
                chain.name,
                status.step.name,
                number,
                len(planned),
            )
            raise
    ran = f"{len(stale)} of {counted(len(planned), 'step')} ran in {duration(time.monotonic() - started)}"
    log.info("\n%s: %s", chain.name, ran if stale else f"nothing ran, {counted(len(planned), 'step')} up to date")


def plan(chain: Chain, comparison: Comparison, *, only: Sequence[str] = ()) -> list[Status]:
    """The status of each step, or of those that are named, in their order.

    Raises UserError for a cycle, for two steps of one folder, and for an input that no step makes and that isn't there.
    """
    steps, before = ordered(chain), steps_before(chain)
    chosen = _chosen(steps, only, path=chain.path)
    require_inputs(chosen, before, path=chain.path)
    return statuses(chosen, before, comparison)


def describe(planned: Sequence[Status]) -> str:
    """A line for each step: its name, and whether it is stale."""
    return aligned([[status.step.name, status.shown()] for status in planned], left=2)


def _chosen(steps: Sequence[Step], only: Sequence[str], *, path: str) -> list[Step]:
    """The steps that are named, or all; UserError for a name that is no step."""
    for name in only:
        if name not in (names := [step.name for step in steps]):
            raise UserError(f"{path}: --only {name} is no step; steps are {', '.join(names)}")
    return [step for step in steps if not only or step.name in only]


def _run_step(status: Status, *, records: str | None, options: Sequence[str]) -> None:
    """Run the job of a step, and record what it was made from where it has no version that says it."""
    done = status.step
    made = made_from(done.config, job=done.job, script=done.script)
    submit(done.job, "--conf", done.conf, *done.overrides, *status.arguments, *(["--", *options] if options else []))
    if (where := record_of(done, records)) is not None:
        files.write_text(where, made.model_dump_json(indent=2) + "\n")


@contextmanager
def alone() -> Iterator[None]:
    """In the `with` block, no other chain works in SEQREC_ROOT, if that is set and local; UserError if one does already."""
    root = os.environ.get("SEQREC_ROOT")
    if not root:
        yield
        return
    with hold_in(root, LOCK, what=root, remedy="wait until it ends, or set another SEQREC_ROOT"):
        yield


def _records(chain: Chain) -> str | None:
    """The folder that records the steps without a version; None if there is no such step, so that SEQREC_ROOT may be unset."""
    if all(one.writes is not None for one in chain.steps):
        return None
    return files.join(variable("SEQREC_ROOT", "a step without a version"), RECORDS)


def _refuse_beside_dvc(arguments: argparse.Namespace) -> None:
    """Raise UserError for an option that says which steps run: with --dvc none does, and all are written."""
    options = [f"--{name.replace('_', '-')}" for name in ("only", "force", "any_code", "dry_run") if getattr(arguments, name)]
    if options:
        raise UserError(f"--dvc writes all steps, and DVC says which of them run: leave out {', '.join(options)}")


def _write_dvc(chain: Chain, file: str, overrides: Sequence[str], *, options: Sequence[str]) -> None:
    """Write a chain as stages of DVC, and say what comes next."""
    place = Path(file or (home() if in_checkout() else Path.cwd()) / "dvc.yaml")
    if place.name != "dvc.yaml":
        raise UserError(f"--dvc {file}: DVC reads files of the name dvc.yaml alone: write --dvc FOLDER/dvc.yaml")
    stages = write_stages(chain, ordered(chain), file=place, overrides=overrides, options=options)
    show(f"{place}: {counted(len(stages), 'stage')}, {', '.join(stages)}\nnext: dvc repro {shlex.quote(str(place))}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog=f"{program()} run", description=(__doc__ or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("chain", metavar="CHAIN", help="a chain of conf/chains by its name, or a file CHAIN.yaml")
    made.add_argument("overrides", nargs="*", metavar="STEP.key=value", help="keys of steps to set over the chain's")
    choice_arguments(made)
    made.add_argument(
        "--dvc",
        nargs="?",
        const="",
        metavar="FILE",
        help="write the steps as stages of DVC into FILE (dvc.yaml), and run nothing",
    )
    verbosity_arguments(made)
    return made


def choice_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which steps run."""
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why, and run nothing")
    parser.add_argument("-f", "--force", action="store_true", help="run steps that are up to date, too")
    parser.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="this step alone; it may be there several times"
    )
    parser.add_argument("--any-code", action="store_true", help="a version that other code made is up to date, too")


def choice_of(arguments: argparse.Namespace) -> Choice:
    """What these options say."""
    return Choice(**{field.name: getattr(arguments, field.name) for field in fields(Choice)})


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run; what stands behind `--` goes to spark-submit, for each job."""
    words = list(sys.argv[1:] if argv is None else argv)
    own = words[: words.index("--")] if "--" in words else words
    arguments = parser().parse_intermixed_args(own)
    with command_line(arguments):
        chain = read_chain(arguments.chain, arguments.overrides)
        if arguments.dvc is not None:
            _refuse_beside_dvc(arguments)
            _write_dvc(chain, arguments.dvc, arguments.overrides, options=words[len(own) + 1 :])
            return
        choice = choice_of(arguments)
        with nullcontext() if choice.dry_run else alone():
            run_chain(chain, choice, options=words[len(own) + 1 :])
