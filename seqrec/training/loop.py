"""The training loop: windows in, checkpoints out, the same on one process or many.

    epoch   1               2               3
    step    1   2   3   4   5   6   7   8   9  10  11  12     4 steps an epoch
                        V               V               V     validate: a record, the best, patience; then `last` is saved
                                S                             stop (a limit, the time, a signal): `last` alone is saved

Validations, the best checkpoint, patience, epochs.jsonl and the sums behind train_loss follow from the steps' numbers alone. So a
training that was stopped anywhere and gone on with ends, bit by bit, as one that never stopped. The price: a model between two
validations competes for nothing. Where nothing was validated yet, `last` stands for the best.
"""

import logging
import math
import signal
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from seqrec.errors import UserError
from seqrec.models.encoders import Encoder
from seqrec.settings.train import Training
from seqrec.training import checkpoint
from seqrec.training.loader import Batch, Batches
from seqrec.training.objective import positions
from seqrec.training.optimizer import learning_rate
from seqrec.training.processes import Process
from seqrec.training.progress import Progress
from seqrec.training.report import Report
from seqrec.training.signals import StopRequest, ending, stop_requests
from seqrec.training.validation import HeldOut, validate

log = logging.getLogger("seqrec")


@dataclass(kw_only=True)
class Trainer:
    """One process's part of a training."""

    settings: Training
    process: Process
    model: Encoder
    objective: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Batches
    held_out: HeldOut | None
    bf16: bool
    total_steps: int
    progress: Progress
    report: Report
    content: dict[str, Any]  # what every checkpoint says besides weights and progress
    metrics: dict[str, float] = field(default_factory=dict)  # of the model as it is, where it has been validated

    def run(self) -> dict[str, float]:
        """Step until a limit; the metrics of the best checkpoint or, where nothing was validated yet, of the model as it is.

        A model that has reached its limit is only validated. A signal stops it after the step, and ends the process when `last`
        is saved.
        """
        if self._limited():
            log.info("%s is trained to step %d already: validating it", self.settings.model, self.progress.step)
            shown = self._show()
            return self.progress.best_metrics or shown
        started, stop, asked = time.monotonic(), False, False
        with stop_requests() as request:
            while not stop:
                self.objective.train()
                stop, asked = self._epoch(started, request)
            shown = {} if asked or self._scheduled() else self._show()
        if self.process.rank == 0:
            best, step = self.progress.best, self.progress.best_step
            said = "no validation" if best is None else f"best {self.settings.metric} {best:.4f} at step {step}"
            goes_on = "; the same command goes on from there" if asked else ""
            log.info("trained to step %d (epoch %d): %s%s", self.progress.step, self.progress.epoch, said, goes_on)
        if asked or request.number is not None:
            raise ending(request.number or signal.SIGTERM)
        return self.progress.best_metrics or shown

    def _epoch(self, started: float, request: StopRequest) -> tuple[bool, bool]:
        """Step through the rest of an epoch; whether to stop, and whether a signal asks for it."""
        progress, epoch = self.progress, self.progress.epoch
        source = self.batches.epoch(epoch, skip=progress.step_in_epoch)
        hidden = None if self.process.rank == 0 else True
        bar = tqdm(
            source,
            desc=f"epoch {epoch + 1}",
            total=self.batches.steps,
            initial=progress.step_in_epoch,
            disable=hidden,
            leave=False,
        )
        limit = math.inf if self.settings.max_minutes is None else 60 * self.settings.max_minutes
        clock = time.monotonic()
        for batch in bar:
            over = time.monotonic() - started > limit
            loss, late, asked = self._step(batch, over=over, asked=request.number is not None)
            progress.advance(self.batches.steps)
            progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            if self._scheduled():
                self._measure()
            stop = late or asked or self._limited()
            if self._scheduled() or stop or progress.step % (self.settings.checkpoint_every or math.inf) == 0:
                self._save(checkpoint.LAST, {"optimizer": self.optimizer.state_dict(), "progress": progress.record(self._sums())})
            if stop:
                source.close()
                return True, asked
            clock = time.monotonic()
        return False, False

    def _step(self, batch: Batch, *, over: bool, asked: bool) -> tuple[float, bool, bool]:
        """One step of all processes: the mean loss of their positions, and whether any is out of time or was asked to stop."""
        settings, process, progress = self.settings, self.process, self.progress
        seeds = np.random.SeedSequence((settings.seed, progress.step, process.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(seeds[0] >> np.uint64(1)))
        count = positions(batch.items)
        total, late, stopping = process.sum(torch.tensor([count, over, asked])).tolist()
        rate = learning_rate(
            progress.step,
            lr=settings.optimizer.lr,
            warmup_steps=settings.optimizer.warmup_steps,
            schedule=settings.optimizer.schedule,
            total_steps=self.total_steps,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(process.device.type, torch.bfloat16, enabled=self.bf16):
            summed = self.objective(*(part.to(process.device, non_blocking=True) for part in batch))
        (summed * (process.world / total)).backward()
        if settings.optimizer.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.objective.parameters(), settings.optimizer.clip_norm)
        self.optimizer.step()
        self.metrics = {}
        local = float(summed.detach())
        progress.loss_sum, progress.positions = progress.loss_sum + local, progress.positions + count
        return local / max(1, count), late > 0, stopping > 0

    def _measure(self) -> None:
        """Validate, report, and keep the model if it is the best; the training loss is the mean since the last time."""
        progress, metric = self.progress, self.settings.metric
        record = {**self._where(), "train_loss": self._train_loss(), "lr": float(self.optimizer.param_groups[0]["lr"])}
        progress.loss_sum = progress.positions = 0.0
        if self.held_out is not None:
            self.metrics = self._validate(self.held_out)
            best = progress.judge(self.metrics, metric=metric)
            record |= {**self.metrics, "best": best}
            if best:
                self._save(checkpoint.best_name(progress.step, metric, self.metrics[metric]), {})
        self.report.add(record)

    def _show(self) -> dict[str, float]:
        """Validate and show the model as it is, which changes nothing."""
        metrics = {} if self.held_out is None else self._validate(self.held_out)
        if metrics:
            self.report.show({**self._where(), **metrics})
        return metrics

    def _train_loss(self) -> float:
        """The mean since the last validation, over all processes; UserError if it isn't finite."""
        loss_sum, count = map(sum, zip(*self._sums(), strict=True))
        loss = loss_sum / max(1.0, count)
        if not math.isfinite(loss):
            raise UserError(
                f"the training loss of the steps up to {self.progress.step} isn't finite: lower optimizer.lr or set "
                "optimizer.clip_norm, and start over with resume=false"
            )
        return loss

    def _sums(self) -> list[list[float]]:
        """The sums of the loss and of the positions since the last validation, of each process."""
        sums = torch.zeros(self.process.world, 2, dtype=torch.float64)
        sums[self.process.rank] = torch.tensor([self.progress.loss_sum, self.progress.positions], dtype=torch.float64)
        found: list[list[float]] = self.process.sum(sums).tolist()
        return found

    def _validate(self, held_out: HeldOut) -> dict[str, float]:
        return validate(self.model, held_out, batch_size=4 * self.settings.batch_size, bf16=self.bf16, process=self.process)

    def _where(self) -> dict[str, Any]:
        partial = 1 if self.progress.step_in_epoch else 0
        return {"epoch": self.progress.epoch + partial, "step": self.progress.step, "seconds": self.progress.seconds}

    def _scheduled(self) -> bool:
        """Whether a validation belongs after this step: every validate_every steps, or at the end of an epoch."""
        every = self.settings.validate_every
        return self.progress.step % every == 0 if every else self.progress.step_in_epoch == 0

    def _limited(self) -> bool:
        """Whether the training is over: by steps, epochs, or validations without improvement."""
        patience = self.settings.patience
        return self.progress.step >= self.total_steps or (patience is not None and self.progress.stale >= patience)

    def _save(self, name: str, state: dict[str, Any]) -> None:
        if self.process.rank == 0:
            reached = {"step": self.progress.step, "epoch": self.progress.epoch, "metrics": self.metrics}
            content = {"model": self.model.state_dict(), **self.content, **reached, **state}
            checkpoint.save(content, self.settings.model, name)
