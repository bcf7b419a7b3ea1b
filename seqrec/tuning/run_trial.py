"""One trial of a training: python -m seqrec.tuning.run_trial MODEL_NAME TRIAL, which `trial_process` starts.

It trains by TRIAL/config.yaml, goes on where an earlier run of it stopped, and writes TRIAL/metrics.json: the metrics of the best
model on the users, or rows, of valid. Nothing of test is read.
"""

import json
import os
import signal
import sys
import threading
from typing import Any

from seqrec.command.config import load_config
from seqrec.command.entry import command_line
from seqrec.storage import files
from seqrec.storage.config_file import CONFIG
from seqrec.storage.lock import hold_in
from seqrec.tuning.trial_outcome import METRICS_FILE
from seqrec.tuning.tuned_jobs import TUNED

ORPHAN_S = 90.0  # how long the same trial of a study that was killed may take to end
LOCK = ".trial.lock"


def run_trial(model_name: str, folder: str) -> None:
    """Train, and write the result."""
    from seqrec.tuning.trial_trainings import TRAININGS  # torch: after the thread that ends with the study has begun

    settings: Any = load_config(TUNED[model_name].settings, files.join(folder, CONFIG), [])
    remedy = "end that process, and run tune again"
    with hold_in(folder, LOCK, what=f"the trial {folder}", remedy=remedy, wait_s=ORPHAN_S):
        metrics = TRAININGS[model_name](settings)
        files.write_text(files.join(folder, METRICS_FILE), json.dumps(metrics) + "\n")


def end_with_parent() -> None:
    """End this process by SIGTERM when its stdin ends, in a thread: the study that holds the other end is gone then."""
    threading.Thread(target=_wait_for_parent, name="parent", daemon=True).start()


def _wait_for_parent() -> None:
    """Read stdin to its end, without Python's buffer, whose lock this thread would hold when the process ends by itself."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the trial that the command line names."""
    end_with_parent()
    with command_line():
        run_trial(*sys.argv[1:3])


if __name__ == "__main__":
    main()
