"""Trainings that follow each other, run by one command: each begins from the best model of the one before.

    MODEL/stages/head/    the first stage, a model's folder as any other
    MODEL/                the last stage: what an export takes

Before the first is trained, all are checked (see `stage_checks`). A stage that is over is only validated when the command is run
again, and one that was stopped goes on; so a command that was killed in any stage goes on there. Stages share the minutes of a
run.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from seqrec.command.config import public
from seqrec.errors import UserError
from seqrec.settings.training import Training
from seqrec.storage import versions
from seqrec.training.processes import leads
from seqrec.training.setup import TrainingSetup
from seqrec.training.stage_checks import require_stages
from seqrec.training.train import Trained

log = logging.getLogger("seqrec")

T = TypeVar("T", bound=Training)


def train_stages(settings: T, *, plan: Callable[[T], TrainingSetup], run: Callable[[TrainingSetup], Trained]) -> Trained:
    """Run a job's training, or its stages one after the other; what the last one has reached.

    `plan` makes the setup of settings, `run` trains. Raises UserError, before the first stage, for one that can't be trained
    after the one before; and if the time of this run ends before the last stage.
    """
    if not settings.stages:
        return run(plan(settings))
    said, settings = public(settings), settings.model_copy(update={"data": versions.resolve(settings.data)})  # one for all stages
    started, total = time.monotonic(), len(settings.stages)
    require_stages([stage.name for stage in settings.stages], [plan(settings.of_stage(number)) for number in range(total)])
    for number, stage in enumerate(settings.stages, start=1):
        of_stage = settings.of_stage(number - 1)
        if settings.max_minutes is not None:
            left = settings.max_minutes - (time.monotonic() - started) / 60
            of_stage = of_stage.model_copy(update={"max_minutes": max(left, 1e-9)})
        if leads():
            log.info("stage %d of %d: %s", number, total, stage.name)
        setup = replace(plan(of_stage), stage=number)
        if number == total:
            return run(replace(setup, settings=said))
        if not run(setup).finished:
            break
    raise UserError(
        f"max_minutes={settings.max_minutes:g} ended in the stage {stage.name}, {number} of {total}, so there is no model of "
        f"these stages in {settings.model} yet: the same command goes on from there"
    )
