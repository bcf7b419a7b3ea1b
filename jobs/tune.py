"""A space of settings into the best of them: trials of a model, each measured on the users of valid."""

import importlib.util

from seqrec.command.entry import run_job
from seqrec.command.installation import program
from seqrec.command.screen import counted, show
from seqrec.command.session import open_session
from seqrec.command.story import end
from seqrec.errors import UserError
from seqrec.settings.tune import Tune
from seqrec.storage import files
from seqrec.tracking.tracked import add_metrics, keep_files


def run(cfg: Tune) -> None:
    """Begin the study, or go on with it, and show the best trials.

    A Spark session is opened only where trials run on Spark, or where it is the way to a remote file system.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("tune searches with Optuna, which isn't installed: pip install 'seqrec[tune]'")
    from seqrec.tuning.run_study import require_complete
    from seqrec.tuning.study_report import BEST, describe_best, trials_table
    from seqrec.tuning.tune import plan_study, run_study

    files.require_writable(cfg.result_path, key="result_path")
    plan = plan_study(cfg)
    remote = not all(map(files.is_local, (plan.source, plan.folder)))
    rows = run_study(plan, open_session("tune") if plan.job.on_spark or remote else None)
    keep_files(plan.folder)
    best = require_complete(rows, lower=plan.lower)
    add_metrics({plan.metric: best.outcome and best.outcome.value})
    show(f"{trials_table(rows, metric=plan.metric, lower=plan.lower)}\n{describe_best(best, metric=plan.metric)}")
    then = f"{program()} {plan.job.name} --conf {files.join(plan.folder, BEST)}"
    end(made=f"the study {cfg.app_name} of {counted(len(rows), 'trial')}", path=plan.folder, then=then)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(Tune, run, argv)


if __name__ == "__main__":
    main()
