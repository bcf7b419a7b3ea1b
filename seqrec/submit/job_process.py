"""Spark's spark-submit as a process group of its own, so that a signal reaches the JVM and the job's Python alike."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from seqrec.submit.work_folder import WorkFolder

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOISE = "Using incubator modules"
SILENT = (2, 128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM)  # a wrong option, and the user's own signals
KILLED = "it was killed, most often for want of memory: free some, or take a smaller SPARK_DRIVER_MEMORY or smaller batches"
LONGEST = 300


def run_group(command: Sequence[str], variables: Mapping[str, str], work: WorkFolder) -> int:
    """Run a command with more variables, pass signals on to its group, and return its status, 128 + N for the signal N.

    What the JVM says on stderr is shown where SEQREC_LOG_LEVEL is set, else kept in the job's folder.
    """
    environment = {**os.environ, **variables}
    shown = bool(os.environ.get("SEQREC_LOG_LEVEL"))
    with (work.path / "stderr").open("wb") as kept:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=None if shown else kept,
            process_group=0,
            pass_fds=() if work.lock is None else (work.lock,),
        )
    with _passing_signals(process.pid):
        status = process.wait()
    return status if status >= 0 else 128 - status


def heeded(*numbers: signal.Signals) -> list[signal.Signals]:
    """Those of some signals that whoever started this process doesn't want ignored, as nohup does SIGHUP."""
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def _passing_signals(group: int) -> Iterator[None]:
    """In the `with` block, a signal to this process goes to a process group."""

    def pass_on(number: int, _: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.killpg(group, number)

    before = {number: signal.signal(number, pass_on) for number in heeded(*SIGNALS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_line(job: str, status: int, work: Path, log: Path) -> str | None:
    """What to say of a job that failed and couldn't say why: where Spark didn't start, or a process was killed; else None.

    What the JVM said is appended to the log first.
    """
    if status == 0:
        return None
    stderr = work / "stderr"
    lines = stderr.read_text(encoding="utf-8", errors="replace").splitlines() if stderr.exists() else []
    lines = [line for line in lines if NOISE not in line]
    if lines:
        with suppress(OSError), log.open("a", encoding="utf-8") as sink:
            sink.write("\n".join(lines) + "\n")
    if (work / "said").exists() or status in SILENT:
        return None
    causes = [line for line in lines if re.search("Exception|Error", line)]
    roots = [line.removeprefix("Caused by: ") for line in causes if line.startswith("Caused by: ")]
    cause = re.sub(r'^Exception in thread "[^"]*" ', "", [*causes[:1], *roots][-1]) if causes else ""
    cause = KILLED if status == 128 + signal.SIGKILL else cause.removeprefix("Error: ")[:LONGEST]
    logged = f" (log: {log})" if log.is_file() and log.stat().st_size else ""
    return f"error: {job} ended with status {status}{f': {cause}' if cause else ''}{logged}"
