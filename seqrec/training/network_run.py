"""The training of any network by the loop: its folder, what changes with each step, its trainer. `train` has that of encoders.

Checkpoints lie in FOLDER/checkpoints, records in FOLDER/epochs.jsonl. An interrupted training goes on with the same settings.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seqrec.settings.training import Optimizer
from seqrec.storage import files
from seqrec.storage.lock import hold_in
from seqrec.tracking.kept_files import RUN_FILE
from seqrec.training import checkpoint
from seqrec.training.averaging import WeightAverage
from seqrec.training.checkpoint import Checkpoint, Checkpointer
from seqrec.training.curves import PICTURES
from seqrec.training.fingerprint import Flat, require_network, require_same
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.loop import EpochBatches, Trainer
from seqrec.training.model_folder import LOCK
from seqrec.training.optimizer import Schedule, build_optimizer
from seqrec.training.processes import Process
from seqrec.training.progress import Progress
from seqrec.training.sinks import Column, open_sinks
from seqrec.training.steps import Stepper

STATE = ("model", "architecture", "arguments", "fingerprint", "optimizer", "progress")  # what a training is resumed from

N = TypeVar("N", bound=nn.Module)

log = logging.getLogger("seqrec")


class NetworkRun(Protocol):
    """How a network is trained, whatever it is and learns."""

    @property
    def folder(self) -> str:
        """Where its checkpoints lie."""

    @property
    def optimizer(self) -> Optimizer:
        """How it is minimised."""

    @property
    def limits(self) -> TrainingLimits:
        """When it ends."""

    @property
    def milestones(self) -> Milestones:
        """When it is validated and saved."""

    @property
    def seed(self) -> int:
        """Of every random choice."""


@dataclass(frozen=True, kw_only=True)
class NetworkLearner(Generic[N]):
    """What changes with each step."""

    network: N
    average: WeightAverage[N] | None
    optimizer: torch.optim.Optimizer
    progress: Progress

    @property
    def judged(self) -> N:
        """The network that is validated and saved: the average, where there is one."""
        return self.network if self.average is None else self.average.model


@dataclass(frozen=True, kw_only=True)
class NetworkLesson(Generic[N]):
    """What a network learns from and by what it is judged, and where its records go; the columns are those on the screen."""

    objective: Callable[[N], nn.Module]
    batches: EpochBatches
    measure: Callable[[N], dict[str, float]] | None  # leaves the network's mode as it is; None: there is nothing to validate with
    columns: Sequence[Column]
    tensorboard: bool = False
    plots: bool = False
    optimizer_key: str = "optimizer"  # of the settings, for messages


def take_folder(
    run: NetworkRun, fingerprint: Flat, stack: ExitStack, *, architecture: str, key: str, resume: bool | Literal["same"]
) -> Checkpoint | None:
    """Hold the lock of a training's folder; the state to resume, None where it begins, and then the folder is cleared.

    `key` is the setting that names the folder. A training of another network, or of another fingerprint, is an error, or, with
    resume=same, is dropped.
    """
    remedy = f"wait until it has ended, or train into another {key}=FOLDER"
    stack.enter_context(hold_in(run.folder, LOCK, what=f"a training in {run.folder}", remedy=remedy))
    if resume and checkpoint.LAST in files.names(files.join(run.folder, "checkpoints")):
        anew = f"remove {files.join(run.folder, 'checkpoints')}, which starts the training over"
        state = checkpoint.load(checkpoint.find(run.folder, "last"), keys=STATE, remedy=f"put it back from a copy, or {anew}")
        if resume != "same":
            require_network(state.architecture, architecture, folder=run.folder, key=key)
            require_same(state.fingerprint, {**dict.fromkeys(state.fingerprint), **fingerprint}, folder=run.folder)
        others = sorted(name for name in fingerprint if state.fingerprint.get(name) != fingerprint[name])
        if state.architecture != architecture:
            others = [f"those of {state.architecture}"]
        if not others:
            checkpoint.require_best(run.folder, state, remedy=anew)
            log.info("going on with the training of %s, at step %d", run.folder, state.step)
            return state
        log.warning("%s holds a training with other settings (%s): training anew", run.folder, ", ".join(others))
    for name in ("checkpoints", "epochs.jsonl", "tensorboard", *PICTURES, RUN_FILE):
        files.remove(files.join(run.folder, name))
    return None


def start_learner(run: NetworkRun, network: N, process: Process, state: Checkpoint | None) -> NetworkLearner[N]:
    """What changes with each step: as it begins, with the weights that the network has, or as a training was left."""
    average = None if (decay := run.optimizer.ema_decay) is None else WeightAverage(network, decay=decay)
    optimizer, progress = build_optimizer(network, run.optimizer), Progress()
    if state is not None:
        assert state.optimizer is not None
        assert state.progress is not None
        network.load_state_dict(state.trained or state.model)
        if average is not None:
            average.model.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
        progress = Progress.restore(state.progress, rank=process.rank)
    return NetworkLearner(network=network, average=average, optimizer=optimizer, progress=progress)


def network_trainer(
    run: NetworkRun, process: Process, learner: NetworkLearner[N], lesson: NetworkLesson[N], template: Checkpoint, *, bf16: bool
) -> Trainer:
    """The trainer of one process."""
    leads, step = process.rank == 0, learner.progress.step
    shown = partial(open_sinks, tensorboard=lesson.tensorboard, plots=lesson.plots, columns=lesson.columns)
    return Trainer(
        process=process,
        stepper=_stepper(run, process, learner, lesson, bf16=bf16),
        batches=lesson.batches,
        limits=run.limits,
        milestones=run.milestones,
        measure=None if lesson.measure is None else partial(lesson.measure, learner.judged),
        checkpointer=Checkpointer(
            folder=run.folder,
            writes=leads,
            model=learner.judged,
            trained=None if learner.average is None else learner.network,
            reference={},
            optimizer=learner.optimizer,
            template=template,
        ),
        sinks=shown(run.folder, step=step) if leads else [],
        progress=learner.progress,
        optimizer_key=lesson.optimizer_key,
    )


def _stepper(run: NetworkRun, process: Process, learner: NetworkLearner[N], lesson: NetworkLesson[N], *, bf16: bool) -> Stepper:
    """The learner's steps; with several processes, DDP sums their gradients."""
    objective = lesson.objective(learner.network)
    if process.world > 1:
        devices = [process.device] if process.device.type == "cuda" else None
        objective = DistributedDataParallel(objective, device_ids=devices)
    total_steps = run.limits.total_steps(lesson.batches.steps)
    return Stepper(
        process=process,
        task=_as_it_is,
        objective=objective,
        optimizer=learner.optimizer,
        schedule=Schedule.of(run.optimizer, total_steps=total_steps).rate,
        clip_norm=run.optimizer.clip_norm,
        average=learner.average,
        parts=1,
        bf16=bf16,
        seed=run.seed,
    )


def _as_it_is(batch: Any) -> Any:
    """The task: what is read is already what a step learns from."""
    return batch
