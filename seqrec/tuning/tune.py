"""A study from its settings: what is tuned, the trials that are there already, those that follow, and what is written of them."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pyspark.sql import SparkSession

from seqrec.command.config import Strict, public
from seqrec.command.kept_log import keep_log
from seqrec.command.session import has_ended
from seqrec.errors import UserError
from seqrec.evaluation.held_out import open_held_out
from seqrec.settings.build_candidates import BuildCandidates
from seqrec.settings.tune import Tune
from seqrec.storage import files, versions
from seqrec.storage.config_file import write_config
from seqrec.storage.lock import hold_in
from seqrec.storage.metadata import DatasetMeta
from seqrec.training.progress import LOWER
from seqrec.tuning.list_trials import LIST_TRIALS, NO_SPARK, VALID, ListMeasure, ListTrial, require_list_metric
from seqrec.tuning.read_versions import read_versions, version_facts
from seqrec.tuning.run_study import StudyLimits, StudyRun, forget_study
from seqrec.tuning.space import Dimension, count_grid
from seqrec.tuning.study_picture import PICTURE, draw_study
from seqrec.tuning.study_report import write_best, write_summary
from seqrec.tuning.trial_outcome import TrialRow, best_trial
from seqrec.tuning.trial_process import ProcessPlan, Running, start_process
from seqrec.tuning.trial_study import Drawn, Search, open_study
from seqrec.tuning.tuned_jobs import (
    TUNED,
    TunedJob,
    base_settings,
    best_settings,
    metric_of,
    search_space,
    shared_facts,
    trial_settings,
)

LOCK = ".tune.lock"
CORES_PER_TRIAL = 4

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What a study is of: the settings, the job, the space, the metric, the version that trials read, its folder and limits.

    `read` are the versions of further folders that trials read. `facts` must be the same to go on with a study that the folder
    holds.
    """

    cfg: Tune
    job: TunedJob
    space: list[Dimension]
    metric: str
    lower: bool
    source: str
    read: dict[str, str]
    folder: str
    limits: StudyLimits
    facts: dict[str, Any]

    @property
    def search(self) -> Search:
        """How values are drawn, and when a trial is stopped."""
        cfg = self.cfg
        return Search(
            method=cfg.search,
            seed=cfg.seed,
            parallel=self.limits.parallel,
            pruning=cfg.pruning.name,
            startup_trials=cfg.pruning.startup_trials,
            warmup_validations=cfg.pruning.warmup_validations,
        )

    def starter(self, spark: SparkSession | None, work: Path) -> Callable[[Drawn, str], Running]:
        """What starts a trial in a folder: on Spark, or as a process, whose log is in `work` where the folder is remote."""
        if spark is not None and self.job.on_spark:
            return self._on_spark(spark)
        cores = len(os.sched_getaffinity(0))
        plan = ProcessPlan(
            model_name=self.cfg.model_name,
            metric=self.metric,
            lower=self.lower,
            records=self.job.records,
            threads=max(1, cores // self.limits.parallel),
        )

        def start(drawn: Drawn, folder: str) -> Running:
            return start_process(plan, self._settings(drawn, folder), drawn.handle, folder=folder, work=work)

        return start

    def report(self, rows: list[TrialRow]) -> None:
        """Write summary.csv, the picture and, if a trial is complete, best.yaml."""
        cfg = self.cfg
        write_summary(self.folder, rows, metric=self.metric, lower=self.lower)
        title = f"{cfg.app_name}: {cfg.model_name}"
        files.write_text(files.join(self.folder, PICTURE), draw_study(rows, metric=self.metric, lower=self.lower, title=title))
        best = best_trial(rows, lower=self.lower)
        if best is not None:
            write_best(self.folder, best_settings(cfg, best.values), best, job=self.job.name, metric=self.metric)

    def _on_spark(self, spark: SparkSession) -> Callable[[Drawn, str], Running]:
        """What starts a trial on Spark; its users of valid are read once."""
        lists = self.cfg.lists
        held_out = open_held_out(spark, self.source, split=VALID, sample_users=lists.valid_users, seed=self.cfg.seed)
        measure = ListMeasure(held_out=held_out, lists=lists, metric=self.metric)
        of_model = LIST_TRIALS[self.cfg.model_name]

        def start(drawn: Drawn, folder: str) -> Running:
            settings = self._settings(drawn, folder)
            write_config(folder, public(settings))
            return ListTrial(
                measure=lambda: of_model(settings, measure),
                metric=self.metric,
                handle=drawn.handle,
                spark_has_ended=lambda: has_ended(spark),
            )

        return start

    def _settings(self, drawn: Drawn, folder: str) -> Strict:
        """The settings of a trial."""
        return trial_settings(self.cfg, drawn.values, source=self.source, read=self.read, folder=folder)


def plan_study(cfg: Tune) -> StudyPlan:
    """The plan of a study; UserError, before anything is written, for settings that no trial can have, or no users of valid."""
    job = TUNED[cfg.model_name]
    base, space = base_settings(cfg), search_space(cfg)
    metric = metric_of(cfg, base)
    if job.on_spark:
        require_list_metric(metric, top_n=_length(cfg, base, space))
    source = versions.resolve(getattr(cfg, job.input))
    if job.input == "data" and DatasetMeta.read(source).counts.events.get(VALID) == 0:
        raise UserError(f"{source} holds nobody out for valid, by whom trials are compared: build it with another task")
    read = read_versions(base, space)
    of_lists = {f"lists.{key}": value for key, value in cfg.lists.model_dump().items()} if job.on_spark else {}
    of_study = {"model_name": cfg.model_name, "metric": metric, "search": cfg.search, "seed": cfg.seed}
    return StudyPlan(
        cfg=cfg,
        job=job,
        space=space,
        metric=metric,
        lower=metric in LOWER,
        source=source,
        read=read,
        folder=files.join(cfg.result_path, cfg.app_name),
        limits=_limits(cfg, space, parallel=1 if job.on_spark else cfg.parallel or trials_at_a_time()),
        facts={**shared_facts(base), **of_lists, **version_facts(read), **of_study, job.input: source.rsplit("/", 1)[-1]},
    )


def run_study(plan: StudyPlan, spark: SparkSession | None) -> list[TrialRow]:
    """Run the trials of a study, or those that are left; all of its trials, of which summary, picture and best.yaml are written.

    Raises UserError if the folder holds another study, or one that is running.
    """
    cfg, folder = plan.cfg, plan.folder
    remedy = "wait until it has ended, or take another app_name"
    with hold_in(folder, LOCK, what=f"a study in {folder}", remedy=remedy), TemporaryDirectory(prefix="seqrec-tune-") as work:
        if not cfg.resume:
            forget_study(folder)
        with open_study(
            folder, name=cfg.app_name, space=plan.space, search=plan.search, lower=plan.lower, facts=plan.facts
        ) as study:
            write_config(folder, public(cfg))
            keep_log(folder, append=True)
            log.info("%s of %s, on %s:\n%s", plan.metric, cfg.model_name, plan.source, shown_space(plan.space))
            start = plan.starter(spark, Path(work))
            run = StudyRun(
                study=study,
                limits=plan.limits,
                start=start,
                report=plan.report,
                metric=plan.metric,
                lower=plan.lower,
                keeps_all=cfg.keep == "all",
                obstacle=lambda: NO_SPARK if spark is not None and has_ended(spark) else None,
            )
            rows = run.run()
            plan.report(rows)
            return rows


def _length(cfg: Tune, base: Strict, space: list[Dimension]) -> int | None:
    """How many items the lists of all trials have; None if that is searched."""
    if not isinstance(base, BuildCandidates):
        return cfg.lists.top_n
    return None if any(part.key == "top_n" for part in space) else base.top_n


def _limits(cfg: Tune, space: list[Dimension], *, parallel: int) -> StudyLimits:
    """How many trials there are to be; on a grid at most its combinations."""
    trials = cfg.num_experiment
    if cfg.search == "grid":
        combinations = count_grid(space)
        if combinations > trials:
            log.warning("the grid has %d combinations, of which num_experiment=%d are tried", combinations, trials)
        trials = min(trials, combinations)
    return StudyLimits(trials=trials, parallel=parallel, minutes=cfg.max_minutes)


def trials_at_a_time() -> int:
    """One on a GPU; else one for each CORES_PER_TRIAL cores that this process may use, at least one."""
    import torch

    return 1 if torch.cuda.is_available() else max(1, len(os.sched_getaffinity(0)) // CORES_PER_TRIAL)


def shown_space(space: list[Dimension]) -> str:
    """The space as lines for the screen."""
    return "\n".join(f"  {part.key}: {part}" for part in space)
