"""The trials of a study, some at a time: drawn, started, asked what became of them, recorded; after each the summary is written.

STUDY/study.journal     the study (see `trial_study`)
STUDY/trials/NUMBER/    a trial: config.yaml, log.txt, result.json, and its model
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from seqrec.command.bars import Bar
from seqrec.command.screen import duration
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tracking.tracked import begin_run
from seqrec.tuning.trial_outcome import Outcome, TrialRow, best_trial
from seqrec.tuning.trial_process import Running
from seqrec.tuning.trial_study import Drawn, TrialStudy

PAUSE_S = 0.2  # between two looks at the running trials
HOPELESS = 5  # trials that all fail with one error, after which no further one begins
TRIALS, OUTCOME = "trials", "trial.json"
OUTPUTS = ("study.journal", "summary.csv", "best.yaml", "trials.svg", "config.yaml", "log.txt", TRIALS)

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class StudyLimits:
    """How many trials there are to be, how many run at once, and after how many minutes the run ends."""

    trials: int
    parallel: int
    minutes: float | None  # of this run


@dataclass(kw_only=True)
class StudyRun:
    """A run of a study; `start` starts a trial in a folder, UserError if its values don't fit together.

    `obstacle` says why no trial can run any more; None while they can.
    """

    study: TrialStudy
    limits: StudyLimits
    start: Callable[[Drawn, str], Running]
    report: Callable[[list[TrialRow]], None]  # writes what the trials have reached so far
    metric: str
    lower: bool
    keeps_all: bool
    obstacle: Callable[[], str | None] = lambda: None
    running: dict[int, tuple[Drawn, Running]] = field(default_factory=dict)
    waiting: list[Drawn] = field(default_factory=list)  # of an earlier run, which was stopped
    exhausted: bool = False
    started: float = field(default_factory=time.monotonic)

    def run(self) -> list[TrialRow]:
        """Run trials until there are enough; all of the study's trials. Those that run at a stop go on in the next run.

        Raises UserError if no trial can run any more.
        """
        self.waiting = self.study.interrupted()
        try:
            with Bar("trials", total=self.limits.trials, unit="trials", done=self._done()) as bar:
                while True:
                    while len(self.running) < self.limits.parallel and (drawn := self._next()):
                        self._begin(drawn)
                    if not self.running:
                        return self.study.rows()
                    self._look()
                    bar.reach(self._done())
                    if obstacle := self.obstacle():
                        raise UserError(obstacle)
                    if self._is_late():
                        self._pause()
        finally:
            for _, trial in self.running.values():
                trial.stop()

    def _next(self) -> Drawn | None:
        """The trial that begins next, or goes on; None if there is to be no other in this run."""
        if self._is_late():
            return None
        if self.waiting:
            log.info("trial %d goes on where it was stopped", self.waiting[0].number)
            return self.waiting.pop(0)
        if self.exhausted or self._is_hopeless() or len(self.study.rows()) >= self.limits.trials:
            return None
        drawn = self.study.draw()
        if drawn is None:
            self.exhausted = True
            log.info("no values are left that no trial has had")
        return drawn

    def _is_late(self) -> bool:
        """Whether the minutes of this run are over."""
        return time.monotonic() - self.started > 60 * (self.limits.minutes or math.inf)

    def _pause(self) -> None:
        """Stop the trials that can go on in the next run; the others run to their end."""
        for number in [number for number, (_, trial) in self.running.items() if trial.goes_on]:
            _, trial = self.running.pop(number)
            trial.stop()
            log.info("the minutes of max_minutes are over: trial %d is stopped, and the same command goes on with it", number)

    def _is_hopeless(self) -> bool:
        """Whether all trials that are over, HOPELESS or more, failed with one error: the others would too."""
        outcomes = [row.outcome for row in self.study.rows() if row.outcome]
        return len(outcomes) >= HOPELESS and {(outcome.state, outcome.error) for outcome in outcomes} == {
            ("failed", outcomes[0].error)
        }

    def _begin(self, drawn: Drawn) -> None:
        """Start a trial; values that don't fit together are its failure."""
        begin_run()
        try:
            self.running[drawn.number] = (drawn, self.start(drawn, self._folder(drawn.number)))
        except UserError as error:
            self._finish(drawn, Outcome(state="failed", value=None, error=str(error)))

    def _look(self) -> None:
        """Ask each running trial what became of it."""
        ended = [(number, drawn, outcome) for number, (drawn, trial) in self.running.items() if (outcome := trial.poll())]
        for number, drawn, outcome in ended:
            del self.running[number]
            self._finish(drawn, outcome)
        if not ended:
            time.sleep(PAUSE_S)

    def _finish(self, drawn: Drawn, outcome: Outcome) -> None:
        """Record a trial, write the summary, and remove models that are no longer the best."""
        before = best_trial(self.study.rows(), lower=self.lower)
        self.study.finish(drawn, outcome)
        content = {"trial": drawn.number, "values": drawn.values, **outcome.content()}
        files.write_text(files.join(self._folder(drawn.number), OUTCOME), json.dumps(content, indent=2) + "\n")
        rows = self.study.rows()
        best = best_trial(rows, lower=self.lower)
        reached = "" if outcome.value is None else f" {self.metric} {outcome.value:.4f}"
        mark = " *" if best is not None and best.number == drawn.number else ""
        error = f" ({outcome.error})" if outcome.error else ""
        log.info("trial %d %s%s in %s%s%s", drawn.number, outcome.state, reached, duration(outcome.seconds), error, mark)
        self.report(rows)
        if not self.keeps_all:
            for number in {drawn.number, *([before.number] if before else [])} - {best.number if best else -1}:
                for name in ("model", "output"):
                    files.remove(files.join(self._folder(number), name))

    def _folder(self, number: int) -> str:
        """The folder of a trial."""
        return files.join(self.study.folder, TRIALS, str(number))

    def _done(self) -> int:
        """How many trials are over."""
        return sum(row.outcome is not None for row in self.study.rows())


def forget_study(folder: str) -> None:
    """Remove what a study has written, and nothing else, from its folder."""
    for name in OUTPUTS:
        files.remove(files.join(folder, name))


def require_complete(rows: list[TrialRow], *, lower: bool) -> TrialRow:
    """The best trial; UserError, which says what most trials ended with, if none came to its end."""
    best = best_trial(rows, lower=lower)
    if best is not None:
        return best
    errors = [row.outcome.error for row in rows if row.outcome and row.outcome.error]
    most = max(errors, key=errors.count, default="none has ended yet: raise max_minutes, or run it again")
    failed = " (when that is mended, start the study over with resume=false)" if errors else ""
    raise UserError(f"none of {len(rows)} trials came to its end, so there is no best one: {most}{failed}")
