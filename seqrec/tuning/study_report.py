"""A study as people read it: summary.csv with all trials, a table on the screen, best.yaml.

STUDY/summary.csv    a row a trial, best first: number, state, the metric, seconds, the values, the error
STUDY/best.yaml      the settings of the model's job with the best trial's values
STUDY/trials.svg     a picture (see `study_picture`)
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

import yaml

from seqrec.command.installation import program
from seqrec.command.screen import aligned, duration
from seqrec.command.story import show_setting
from seqrec.storage import files
from seqrec.storage.config_file import LEFT_OUT
from seqrec.tuning.trial_outcome import TrialRow, in_rank

SUMMARY, BEST = "summary.csv", "best.yaml"
SHOWN_TRIALS = 10  # on the screen


def write_summary(folder: str, rows: Sequence[TrialRow], *, metric: str, lower: bool) -> None:
    """Write STUDY/summary.csv."""
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    others = list(dict.fromkeys(name for row in rows if row.outcome for name in row.outcome.metrics if name != metric))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["trial", "state", metric, "seconds", *keys, *others, "error"])
    for row in in_rank(rows, lower=lower):
        outcome = row.outcome
        metrics = outcome.metrics if outcome else {}
        table.writerow(
            [
                row.number,
                row.state,
                "" if row.reached is None else repr(row.reached),
                "" if outcome is None else f"{outcome.seconds:.1f}",
                *(show_setting(row.values[key]) if key in row.values else "" for key in keys),
                *(repr(metrics[name]) if name in metrics else "" for name in others),
                (outcome.error or "") if outcome else "",
            ]
        )
    files.write_text(files.join(folder, SUMMARY), text.getvalue())


def write_best(folder: str, settings: dict[str, Any], best: TrialRow, *, job: str, metric: str) -> None:
    """Write STUDY/best.yaml, which `JOB --conf best.yaml` takes as it is."""
    header = (
        f"# {metric} {best.reached:.4f} of valid: trial {best.number} of a study of {job}, which takes this file as it is:\n"
        f"# {program()} {job} --conf {files.join(folder, BEST)}\n"
    )
    shown = {key: value for key, value in settings.items() if key not in LEFT_OUT}
    text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)
    files.write_text(files.join(folder, BEST), header + text)


def trials_table(rows: Sequence[TrialRow], *, metric: str, lower: bool) -> str:
    """The best trials as lines for the screen.

    >>> from seqrec.tuning.trial_outcome import Outcome
    >>> outcome = Outcome(state="complete", value=0.25, seconds=75.4)
    >>> print(trials_table([TrialRow(number=3, values={"lr": 0.00123456}, outcome=outcome)], metric="ndcg@10", lower=False))
    trial  state     ndcg@10        time        lr
    3      complete   0.2500  1 min 15 s  0.001235
    """
    ranked = in_rank(rows, lower=lower)[:SHOWN_TRIALS]
    keys = list(dict.fromkeys(key for row in ranked for key in row.values))
    lines = [["trial", "state", metric, "time", *keys]]
    for row in ranked:
        time = "-" if row.outcome is None else duration(row.outcome.seconds)
        reached = "-" if row.reached is None else f"{row.reached:.4f}"
        lines.append([str(row.number), row.state, reached, time, *(shown_value(row.values.get(key)) for key in keys)])
    return aligned(lines, left=2)


def shown_value(value: Any) -> str:
    """A value of a trial, numbers to four digits.

    >>> [shown_value(value) for value in (0.00123456, 64, None, [64, 32], True)]
    ['0.001235', '64', 'null', '[64, 32]', 'true']
    """
    return f"{value:.4g}" if isinstance(value, float) else show_setting(value)


def describe_best(best: TrialRow, *, metric: str) -> str:
    """One line on the best trial."""
    values = "  ".join(f"{key}={shown_value(value)}" for key, value in best.values.items())
    return f"the best of valid: trial {best.number}, {metric} {best.reached:.4f}: {values}"
