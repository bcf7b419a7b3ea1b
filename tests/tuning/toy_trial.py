"""Stands for run_trial: a process that validates as its name says, without training anything."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from seqrec.tuning.run_trial import end_with_parent

REACHED = {"good": [0.5, 0.6, 0.7], "bad": [0.1, 0.2, 0.1]}


def main() -> None:
    """Write a record of each validation, and the metrics; or end as the name says."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    end_with_parent()
    if name == "hungry":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "wrong":
        sys.exit("12:00:00 error: lower optimizer.lr")
    records = folder / "model" / "epochs.jsonl"
    records.parent.mkdir(parents=True, exist_ok=True)
    values = REACHED[name]
    for count in range(1, len(values) + 1):
        lines = [json.dumps({"step": step, "seconds": 9.0, "m": value}) for step, value in enumerate(values[:count])]
        new = records.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(records)
        time.sleep(0.05)
    if name == "bad":
        time.sleep(60)
    (folder / "metrics.json").write_text(json.dumps({"m": max(values), "threads": int(os.environ["OMP_NUM_THREADS"])}))


if __name__ == "__main__":
    main()
