"""The training loop: windows in, checkpoints out, the same in one process or many.

    epoch   1               2               3
    step    1   2   3   4   5   6   7   8   9  10  11  12     4 steps an epoch
                        V               V               V     validate: a record to every sink, the best, patience; then `last`
                                S                             stop (a limit, the time, a signal): `last` alone is saved

A step, in steps.py, of which each process makes its share:

    loader      windows (B, L+1)
    task        inputs (B, L), targets (B, L), users (B,)         what is predicted; random draws are seeded by (seed, step, rank)
    objective   hidden (N, D) of the N targets, item matrix       the model, in bf16 where precision says so
                sum of N losses, extras by name                   the loss and its negatives
    gradients   of the mean over the targets of all processes     clipped
    optimizer   weights, at the schedule's learning rate

Validations, the best checkpoint, patience, records and the sums behind train_loss follow from the steps' numbers alone. So a
training that was stopped anywhere and then continued ends, bit by bit, as one that never stopped. The price: a model between two
validations can't become the best. Until the first validation, `last` is used as the best.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from seqrec.command.bars import Bar
from seqrec.errors import UserError
from seqrec.training.checkpoint import Checkpointer
from seqrec.training.epochs_file import Record
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.processes import Process
from seqrec.training.progress import Pace, Progress
from seqrec.training.signals import StopRequest, ending, stop_requests
from seqrec.training.sinks import Sink
from seqrec.training.steps import Stepper, StepResult, Stop

log = logging.getLogger("seqrec")


class EpochBatches(Protocol):
    """What a training reads: the batches of each epoch, as the stepper's task takes them."""

    @property
    def steps(self) -> int:
        """Batches of an epoch, the same number in all processes."""

    def epoch(self, epoch: int, *, skip: int = 0) -> Generator[Any, None, None]:
        """The batches of an epoch, the first `skip` of them left out; always the same for an epoch."""


@dataclass(kw_only=True)
class Trainer:
    """One process's part of a training."""

    process: Process
    stepper: Stepper
    batches: EpochBatches
    limits: TrainingLimits
    milestones: Milestones
    measure: Callable[[], dict[str, float]] | None  # validates the model; None: there is nobody to validate with
    checkpointer: Checkpointer
    sinks: list[Sink]  # empty but in rank 0
    progress: Progress
    judges_start: bool = False  # whether the model is validated before the first step, as one that may stay the best
    optimizer_key: str = "optimizer"  # of the settings, for messages
    stage: int | None = None  # its number from 1, which records say, where several trainings follow each other
    metrics: dict[str, float] = field(default_factory=dict)  # of the model as it is, where it has been validated
    pace: Pace = field(default_factory=Pace)
    recent: Progress = field(default_factory=Progress)  # its sums alone: of the steps since the last scalars, in this run

    def run(self) -> dict[str, float]:
        """Step until a limit; the metrics of the best checkpoint or, where nothing was validated yet, of the model as it is.

        A model that has reached its limit is only validated. A signal stops it after the step, and ends the process when `last`
        is saved.
        """
        if self.limits.reached(self.progress):
            log.info("%s is trained to step %d already: validating it", self.checkpointer.folder, self.progress.step)
            shown = self._show()
            return self.progress.best_metrics or shown
        if self.judges_start and self.progress.step == 0 and self.measure is not None:
            record = {**self._reached(), **self._judge()}
            for sink in self.sinks:
                sink.add(record)
        started, stop = time.monotonic(), None
        with stop_requests() as request:
            while stop is None:
                self.stepper.objective.train()
                stop = self._epoch(started, request)
            shown = {} if stop.signalled or self._validates_now() else self._show()
        self._log_end(stop)
        if stop.signalled or request.number is not None:
            raise ending(request.number or signal.SIGTERM)
        return self.progress.best_metrics or shown

    def _epoch(self, started: float, request: StopRequest) -> Stop | None:
        """Step through the rest of an epoch; what stopped it, or None if it came to its end and another epoch follows."""
        progress = self.progress
        source = self.batches.epoch(progress.epoch, skip=progress.step_in_epoch)
        label = f"epoch {progress.epoch + 1}"
        with Bar(label, total=self.batches.steps, unit="steps", done=progress.step_in_epoch) as bar:
            return self._steps(source, bar, started, request)

    def _steps(self, source: Generator[Any, None, None], bar: Bar, started: float, request: StopRequest) -> Stop | None:
        """Step through windows; what stopped it, or None if they came to their end and another epoch follows."""
        progress, clock = self.progress, time.monotonic()
        for windows in source:
            late = time.monotonic() - started > 60 * (self.limits.minutes or math.inf)
            result = self.stepper.step(windows, number=progress.step, stop=Stop(late, request.number is not None))
            self.metrics = {}
            progress.add(result.loss_sum, result.losses, result.extras)
            progress.advance(self.batches.steps)
            self._log_step(result)
            spent, clock = time.monotonic() - clock, time.monotonic()
            progress.seconds += spent
            self.pace.add(result.tokens, spent)
            done = progress.step_in_epoch or self.batches.steps
            bar.reach(done, note=f"loss {result.loss_sum / max(1, result.losses):.3f}")
            if self._validates_now():
                self._validate()
            stops = any(result.stop) or self.limits.reached(self.progress)
            if self._validates_now() or stops or progress.step % (self.milestones.checkpoint_every or math.inf) == 0:
                self.checkpointer.save_last(progress, self.metrics, self._sums())
            if stops:
                source.close()
                return result.stop
            clock = time.monotonic()
        return None

    def _validate(self) -> None:
        """Validate, give the sinks a record, and keep the model if it is the best; losses are means since the last time."""
        record = {**self._reached(), **self._mean_losses(), "lr": self._rate(), **self._speed()}
        self.progress.clear_sums()
        if self.measure is not None:
            record |= self._judge()
        for sink in self.sinks:
            sink.add(record)

    def _judge(self) -> Record:
        """Measure the model, and keep it if it is the best: its metrics, and whether it is."""
        assert self.measure is not None
        metric = self.milestones.metric
        self.metrics = self.measure()
        best = self.progress.judge(self.metrics, metric=metric)
        if best:
            self.checkpointer.save_best(self.progress, self.metrics, metric=metric)
        return {**self.metrics, "best": best}

    def _log_step(self, result: StepResult) -> None:
        """Add up a step and, every log_every steps, give the sinks the mean losses of these, over all processes."""
        every, step = self.milestones.log_every, self.progress.step
        if every is None:
            return
        self.recent.add(result.loss_sum, result.losses, result.extras)
        if step % every == 0:
            loss, count, *extras = self.process.sum(torch.tensor(self.recent.sums, dtype=torch.float64)).tolist()
            sums = {"train_loss": loss} | dict(zip(self.recent.extras, extras, strict=True))
            self.recent.clear_sums()
            record = {name: total / max(1.0, count) for name, total in sums.items()} | {"lr": self._rate(), "step": step}
            for sink in self.sinks:
                sink.log(record)

    def _speed(self) -> Record:
        """The tokens that all processes read a second since the last validation; a run that goes on just there has read none."""
        tokens, seconds = float(self.process.sum(torch.tensor([self.pace.tokens]))[0]), self.pace.seconds
        self.pace.clear()
        return {"tokens_per_second": tokens / seconds} if seconds else {}

    def _rate(self) -> float:
        """The learning rate of the last step."""
        return float(self.stepper.optimizer.param_groups[0]["lr"])

    def _show(self) -> dict[str, float]:
        """Validate the model as it is and show its metrics; the training's state stays as it is."""
        metrics = {} if self.measure is None else self.measure()
        if metrics:
            for sink in self.sinks:
                sink.show({**self._reached(), **metrics})
        return metrics

    def _mean_losses(self) -> dict[str, float]:
        """train_loss and the extras, over all processes since the last validation; UserError if the loss isn't finite."""
        loss_sum, count, *extras = map(sum, zip(*self._sums(), strict=True))
        loss = loss_sum / max(1.0, count)
        if not math.isfinite(loss):
            raise UserError(
                f"the training loss of the steps up to {self.progress.step} isn't finite: lower {self.optimizer_key}.lr or set "
                f"{self.optimizer_key}.clip_norm, and start over with resume=false"
            )
        return {"train_loss": loss} | {
            name: total / max(1.0, count) for name, total in zip(self.progress.extras, extras, strict=True)
        }

    def _sums(self) -> list[list[float]]:
        """The sums since the last validation, a row for each process (see Progress.sums)."""
        row = torch.tensor(self.progress.sums, dtype=torch.float64)
        rows = torch.zeros(self.process.world, len(row), dtype=torch.float64)
        rows[self.process.rank] = row
        sums: list[list[float]] = self.process.sum(rows).tolist()
        return sums

    def _reached(self) -> Record:
        """How far the training is; an epoch counts as soon as it has begun."""
        partial = 1 if self.progress.step_in_epoch else 0
        stage: Record = {} if self.stage is None else {"stage": self.stage}
        return stage | {"epoch": self.progress.epoch + partial, "step": self.progress.step, "seconds": self.progress.seconds}

    def _validates_now(self) -> bool:
        """Whether a validation belongs after this step: every validate_every steps, or at the end of an epoch."""
        every = self.milestones.validate_every
        return self.progress.step % every == 0 if every else self.progress.step_in_epoch == 0

    def _log_end(self, stop: Stop) -> None:
        """Say how far the training has come, in rank 0."""
        if self.process.rank == 0:
            best, step = self.progress.best, self.progress.best_step
            reached = "no validation" if best is None else f"best {self.milestones.metric} {best:.4f} at step {step:,}"
            resumable = "; the same command goes on from there" if stop.signalled else ""
            log.info("trained to step %s (epoch %d): %s%s", f"{self.progress.step:,}", self.progress.epoch, reached, resumable)
