"""The training loop: windows in, checkpoints out, the same on one process or many."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from seqrec.models.encoders import Encoder
from seqrec.settings.training import Training
from seqrec.training import checkpoint
from seqrec.training.loader import Batch, Batches
from seqrec.training.objective import positions
from seqrec.training.optimizer import learning_rate
from seqrec.training.processes import Process
from seqrec.training.progress import Progress
from seqrec.training.report import Report
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

    def run(self) -> None:
        """Step until a limit; a model that has reached it is only validated."""
        if self._finished(time_over=False):
            log.info("%s is trained to step %d already: validating it", self.settings.model, self.progress.step)
            if self.held_out is not None:
                self.report.show({**self._where(), **self._validate(self.held_out)})
            return
        started, stop = time.monotonic(), False
        while not stop:
            self.objective.train()
            stop = self._epoch(started)
        if self.process.rank == 0:
            best, step = self.progress.best, self.progress.best_step
            said = "no validation" if best is None else f"best {self.settings.metric} {best:.4f} at step {step}"
            log.info("trained to step %d (epoch %d): %s", self.progress.step, self.progress.epoch, said)

    def _epoch(self, started: float) -> bool:
        """Step through the rest of an epoch; whether to stop."""
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
            loss, time_over = self._step(batch, over=time.monotonic() - started > limit)
            progress.advance(self.batches.steps)
            progress.seconds, clock = progress.seconds + time.monotonic() - clock, time.monotonic()
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            every = self.settings.validate_every
            validated = progress.step % every == 0 if every else progress.step_in_epoch == 0
            stop = self._finished(time_over=time_over)
            if validated or stop:
                self._measure()
                stop = stop or self._finished(time_over=time_over)
            if validated or stop or progress.step % (self.settings.checkpoint_every or math.inf) == 0:
                self._save(checkpoint.LAST, {"optimizer": self.optimizer.state_dict(), "progress": progress.record()})
            if stop:
                source.close()
                return True
            clock = time.monotonic()
        return False

    def _step(self, batch: Batch, *, over: bool) -> tuple[float, bool]:
        """One step of all processes: the mean loss of their positions, and whether any is out of time."""
        settings, process, progress = self.settings, self.process, self.progress
        seeds = np.random.SeedSequence((settings.seed, progress.step, process.rank)).generate_state(1, np.uint64)
        torch.manual_seed(int(seeds[0] >> np.uint64(1)))
        count = positions(batch.items)
        total, late = process.sum(torch.tensor([count, over])).tolist()
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
        local = float(summed.detach())
        progress.loss_sum, progress.positions = progress.loss_sum + local, progress.positions + count
        return local / max(1, count), late > 0

    def _measure(self) -> None:
        """Validate, report, and keep the model if it is the best; the training loss is the mean since the last time."""
        progress = self.progress
        loss_sum, count = self.process.sum(torch.tensor([progress.loss_sum, progress.positions], dtype=torch.float64)).tolist()
        progress.loss_sum = progress.positions = 0.0
        record = {**self._where(), "train_loss": loss_sum / max(1.0, count), "lr": float(self.optimizer.param_groups[0]["lr"])}
        if self.held_out is not None:
            metrics = self._validate(self.held_out)
            best = progress.judge(metrics, metric=self.settings.metric)
            record |= {**metrics, "best": best}
            if best:
                self._save(checkpoint.best_name(progress.step, self.settings.metric, metrics[self.settings.metric]), {})
        self.report.add(record)

    def _validate(self, held_out: HeldOut) -> dict[str, float]:
        return validate(self.model, held_out, batch_size=4 * self.settings.batch_size, bf16=self.bf16, process=self.process)

    def _where(self) -> dict[str, Any]:
        partial = 1 if self.progress.step_in_epoch else 0
        return {"epoch": self.progress.epoch + partial, "step": self.progress.step, "seconds": self.progress.seconds}

    def _finished(self, *, time_over: bool) -> bool:
        """Whether a limit is reached: steps, epochs, time, or validations without improvement."""
        patience = self.settings.patience
        stale = patience is not None and self.progress.stale >= patience
        return time_over or stale or self.progress.step >= self.total_steps

    def _save(self, name: str, state: dict[str, Any]) -> None:
        if self.process.rank == 0:
            reached = {"step": self.progress.step, "epoch": self.progress.epoch, "metrics": self.progress.best_metrics}
            content = {"model": self.model.state_dict(), **self.content, **reached, **state}
            checkpoint.save(content, self.settings.model, name)
