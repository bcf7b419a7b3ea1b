"""A study of Optuna in a file, STUDY/study.journal, which a stopped study is read from again.

Each trial is drawn by a sampler that is seeded by (seed, number of the trial), so a study that was stopped and continued draws
what one that never stopped draws. A trial that was running when the study was killed goes on: its values stand in the journal,
its training in its folder. Values that an earlier trial had are not tried twice: they count as that trial's result.

A remote study's journal lies in a local copy, which is put back after each change: object stores can't append.
"""

import json
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tuning.space import Dimension
from seqrec.tuning.trial_outcome import Outcome, TrialRow

JOURNAL = "study.journal"
FACTS, RESULT = "facts", "result"  # user attributes: of the study what it is of, of a trial its outcome
MOST_REPEATS = 50  # drawings in a row that an earlier trial had: the space has no others
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@dataclass(frozen=True, kw_only=True)
class Search:
    """How the values of a trial are drawn, and when one that lags behind is stopped."""

    method: Literal["tpe", "random", "grid"]
    seed: int
    parallel: int
    pruning: Literal["median", "hyperband", "none"]
    startup_trials: int
    warmup_validations: int


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A trial that is to run: its number, its values by dotted key, and Optuna's handle on it."""

    number: int
    values: dict[str, Any]
    handle: Trial


@dataclass(frozen=True, kw_only=True)
class TrialStudy:
    """A study that is open: its trials, and what comes of them."""

    study: optuna.Study
    space: Sequence[Dimension]
    search: Search
    journal: Path
    folder: str  # of the study

    def interrupted(self) -> list[Drawn]:
        """The trials that ran when the study was stopped, in their order."""
        drawn = []
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.study.sampler = _sampler(self.search, number=trial.number)  # for values not drawn before the stop
            drawn.append(self._drawn(Trial(self.study, trial._trial_id)))
        return drawn

    def draw(self) -> Drawn | None:
        """The next trial; None if the last MOST_REPEATS drawings were all of trials that there are."""
        for _ in range(MOST_REPEATS):
            self.study.sampler = _sampler(self.search, number=len(self.study.trials))
            if self.search.method == "grid" and not self._enqueue():
                return None
            drawn = self._drawn(self.study.ask())
            earlier = self._earlier(drawn)
            if earlier is None:
                self.save()
                return drawn
            drawn.handle.set_user_attr("repeats", earlier.number)
            done, runs = earlier.state == TrialState.COMPLETE, earlier.state == TrialState.RUNNING
            self.study.tell(drawn.number, earlier.value if done else None, state=TrialState.FAIL if runs else earlier.state)
        self.save()
        return None

    def finish(self, drawn: Drawn, outcome: Outcome) -> None:
        """Record what became of a trial."""
        drawn.handle.set_user_attr(RESULT, outcome.content())
        value = outcome.value if outcome.state == "complete" else None
        self.study.tell(drawn.number, value, state=STATES[outcome.state])
        self.save()

    def rows(self) -> list[TrialRow]:
        """All trials but repeated ones, in their order."""
        return [self._row(trial) for trial in self.study.get_trials(deepcopy=False) if "repeats" not in trial.user_attrs]

    def save(self) -> None:
        """Put the journal of a remote study back."""
        if not files.is_local(self.folder):
            files.put(self.journal, files.join(self.folder, JOURNAL))

    def _enqueue(self) -> bool:
        """Make the next combination of the grid, in a seeded order, what is asked for next; whether there is one."""
        trials = self.study.get_trials(deepcopy=False)
        if trials and trials[-1].state == TrialState.WAITING:  # of a study that was killed in between
            return True
        axes = [part.on_grid() for part in self.space]
        order = np.random.default_rng(self.search.seed).permutation(math.prod(map(len, axes)))
        if len(trials) >= len(order):
            return False
        places = np.unravel_index(order[len(trials)], [len(axis) for axis in axes])
        self.study.enqueue_trial({part.key: axis[place] for part, axis, place in zip(self.space, axes, places, strict=True)})
        return True

    def _earlier(self, drawn: Drawn) -> FrozenTrial | None:
        """Another trial that has the same values, and is over or runs."""
        params = drawn.handle.params
        trials = self.study.get_trials(deepcopy=False, states=(*STATES.values(), TrialState.RUNNING))
        others = (trial for trial in trials if trial.number != drawn.number and "repeats" not in trial.user_attrs)
        return next((trial for trial in others if trial.params == params), None)

    def _drawn(self, handle: Trial) -> Drawn:
        """A trial with its values: those that the journal has already, or new ones."""
        return Drawn(number=handle.number, values={part.key: part.draw(handle) for part in self.space}, handle=handle)

    def _row(self, trial: FrozenTrial) -> TrialRow:
        """A trial of the journal."""
        values = {part.key: part.value_of(trial.params[part.key]) for part in self.space if part.key in trial.params}
        outcome = Outcome.of_content(trial.user_attrs.get(RESULT))
        return TrialRow(number=trial.number, values=values, outcome=outcome)


@contextmanager
def open_study(
    folder: str, *, name: str, space: Sequence[Dimension], search: Search, lower: bool, facts: dict[str, Any]
) -> Iterator[TrialStudy]:
    """The study of a folder, which is begun if there is none; `lower` says that a lower metric is better.

    `facts` say what a study is of, flat and as JSON has them. Raises UserError if the folder's journal is of a study with other
    facts, which it names, or no journal of Optuna's.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    with TemporaryDirectory(prefix="seqrec-study-") as copies:
        journal = _local_journal(folder, Path(copies))
        try:
            storage = JournalStorage(JournalFileBackend(str(journal)))
            names = [summary.study_name for summary in optuna.get_all_study_summaries(storage)]
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise UserError(f"{files.join(folder, JOURNAL)} is no journal of Optuna's ({error}): {_remedy(name)}") from None
        if names and name not in names:
            raise UserError(f"{files.join(folder, JOURNAL)} holds the study {names[0]}, not {name}: {_remedy(name)}")
        pruner = _pruner(search)
        if name in names:
            study = optuna.load_study(storage=storage, study_name=name, pruner=pruner)
        else:
            direction = "minimize" if lower else "maximize"
            study = optuna.create_study(storage=storage, study_name=name, pruner=pruner, direction=direction)
        facts = json.loads(json.dumps({**facts, **{f"hyper_param.{part.key}": str(part) for part in space}}))
        _require_same(study.user_attrs.get(FACTS), facts, folder=folder, name=name)
        if FACTS not in study.user_attrs:
            study.set_user_attr(FACTS, facts)
        yield TrialStudy(study=study, space=space, search=search, journal=journal, folder=folder)


def _local_journal(folder: str, copies: Path) -> Path:
    """The local path of a folder's journal; without the part of a line, and the lock, that a killed writer left."""
    if files.is_local(folder):
        path = files.local_path(files.join(folder, JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").unlink(missing_ok=True)  # this process holds the study's own lock
    else:
        path = copies / JOURNAL
        if files.exists(files.join(folder, JOURNAL)):
            files.fetch(files.join(folder, JOURNAL), copies)
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])
    return path


def _require_same(before: dict[str, Any] | None, facts: dict[str, Any], *, folder: str, name: str) -> None:
    """Raise UserError, which names what differs, for a study of something else."""
    if before is None or before == facts:
        return
    others = sorted(key for key in before.keys() | facts.keys() if before.get(key) != facts.get(key))
    shown = ", ".join(f"{key}: {before.get(key)} there, {facts.get(key)} here" for key in others[:3])
    more = f", and {len(others) - 3} more" if len(others) > 3 else ""
    raise UserError(
        f"{folder} holds a study with other settings ({shown}{more}), whose trials can't be compared: {_remedy(name)}"
    )


def _remedy(name: str) -> str:
    """What helps against a study that is in the way."""
    return f"take another name (app_name={name}2), or start over with resume=false"


def _sampler(search: Search, *, number: int) -> optuna.samplers.BaseSampler:
    """What draws the trial of a number; the values of a grid are enqueued, so nothing of them is left to draw."""
    seed = (search.seed * 100_003 + number) % 2**32
    if search.method == "tpe":
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=search.parallel > 1)
    return optuna.samplers.RandomSampler(seed=seed)


def _pruner(search: Search) -> optuna.pruners.BasePruner:
    """What stops a trial."""
    if search.pruning == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=search.startup_trials, n_warmup_steps=search.warmup_validations)
    return optuna.pruners.HyperbandPruner() if search.pruning == "hyperband" else optuna.pruners.NopPruner()
