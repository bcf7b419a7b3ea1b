"""`python -m seqrec JOB key=value … -- spark-submit options`: checks, ships and runs a job; an error is one line and status 1."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from seqrec.command.environment import check_python
from seqrec.command.installation import program
from seqrec.error_messages import explain
from seqrec.errors import UserError
from seqrec.submit import machine, s3
from seqrec.submit.arguments import Request, parse
from seqrec.submit.copied_templates import copy_templates
from seqrec.submit.job_process import end_line, heeded, run_group
from seqrec.submit.printed_line import printed_line, secret_variables
from seqrec.submit.scripts import find_script
from seqrec.submit.shipped_code import ARCHIVE, keep_code, ship
from seqrec.submit.streams import open_streams
from seqrec.submit.usage import usage
from seqrec.submit.work_folder import WorkFolder, work_folder


def run_chain(words: list[str]) -> NoReturn:
    """`run CHAIN`: this process becomes that of the chain, which starts each of its jobs as a user does.

    Raises UserError for a Python without the packages, before it becomes one that can't say so.
    """
    check_python()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "seqrec.chains", *words])


OTHERS: dict[str, Callable[[list[str]], None]] = {"run": run_chain, "templates": copy_templates}  # commands that run no job


def main(argv: list[str] | None = None) -> None:
    """Run what the words ask for, and end with its status."""
    words = sys.argv[1:] if argv is None else argv
    for number in heeded(signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        sys.exit(_run(words))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        sys.exit(f"error: {explain(error)}")


def _run(words: list[str]) -> int:
    """Do what the words ask for; the status."""
    printing = words[:1] == ["--print"]
    words = words[1:] if printing else words
    if not words or words[0] in ("-h", "--help"):
        (sys.stdout if words else sys.stderr).write(usage())
        return 0 if words else 2
    if words[0] in OTHERS:
        if printing:
            raise UserError(f"--print prints the line of a job, and {words[0]} is none: run `{program()} {words[0]}` without it")
        OTHERS[words[0]](words[1:])
        return 0
    script = find_script(words[0])
    os.environ.update(machine.python_variables())
    request = parse(script, words[1:])
    if request.help:
        return _show_help(request)
    if request.dry_run and not os.environ.get("SEQREC_ROOT"):
        os.environ["SEQREC_ROOT"] = str(Path.cwd())  # nothing is written there
    os.environ.update(machine.check_job(script.name, request.template))
    if printing:
        return _print(request)
    with work_folder() as work:
        return _submit(request, work)


def _show_help(request: Request) -> int:
    """The job's own help."""
    command = [os.environ["PYSPARK_DRIVER_PYTHON"], str(request.script.path), "--help"]
    return subprocess.run(command, check=False).returncode


def _prepare(request: Request, *, temporary: Path | None) -> Path:
    """Set what Spark and its JVM read of the environment, and add what S3 needs; where Spark is."""
    spark = machine.spark_home()
    os.environ["SPARK_HOME"] = str(spark)
    os.environ["SPARK_SUBMIT_OPTS"] = machine.java_options(spark, temporary)
    os.environ["SPARK_DRIVER_MEMORY"] = os.environ.get("SPARK_DRIVER_MEMORY") or machine.default_memory()
    if s3.needs_s3(request, spark):
        s3.add_s3(request, spark)
    return spark


def _command(request: Request, spark: Path, *, code: Path, script: Path) -> list[str]:
    """The words of spark-submit: its options with the package from the folder `code`, the job's script, and its arguments."""
    request.options.py_files.insert(0, str(code / ARCHIVE))
    return [str(spark / "bin" / "spark-submit"), *request.options.words(), str(script), *request.arguments]


def _print(request: Request) -> int:
    """Print the line that a scheduler runs, and on stderr what must be set beside it."""
    spark = _prepare(request, temporary=None)
    code = keep_code(request.script.path)
    command = _command(request, spark, code=code, script=code / request.script.path.name)
    sys.stdout.buffer.write(os.fsencode(printed_line(code, command) + "\n"))
    if secret := secret_variables():
        sys.stderr.write(f"not in the line, because they may hold secrets: set {' '.join(secret)} where it runs\n")
    return 0


def _submit(request: Request, work: WorkFolder) -> int:
    """Run the job in its temporary folder; its status."""
    os.environ["TMPDIR"] = str(work.temporary)
    spark = _prepare(request, temporary=work.temporary)
    ship(work.path)
    options = request.options
    if not machine.chooses_local_folder(options.others, spark):
        os.environ["SPARK_LOCAL_DIRS"] = str(work.temporary)
    if os.isatty(2) and any("hadoop-aws" in package for package in options.packages) and not s3.is_fetched():
        sys.stderr.write("fetching Spark's packages for S3, about 1 GB, once\n")
    command = _command(request, spark, code=work.path, script=request.script.path)
    with open_streams(work.path / "streams") as streams:
        status = run_group(command, {**streams, "SEQREC_SAID": str(work.path / "said")}, work)
    if line := end_line(request.script.name, status, work.path, Path(os.environ["SEQREC_LOG"])):
        sys.stderr.write(f"{line}\n")
    return status


def _terminate(number: int, _: object) -> NoReturn:
    """End with the signal's status; what was opened is closed first."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
