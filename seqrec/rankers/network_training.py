"""Wide & Deep trained by the loop of `training`, in one process or many; an interrupted training goes on where it was.

Checkpoints lie in OUTPUT/training until the ranker's version is whole. What a training of other settings, or on other samples,
has left there is removed, with a warning.
"""

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from seqrec.models.wide_deep import WideDeep
from seqrec.rankers.encoded_rows import EncodedFile, sample_features, write_encoded
from seqrec.rankers.network_metrics import measure_network
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.row_batches import RowBatch, RowBatches, count_row_steps
from seqrec.rankers.sample_matrix import SampleMatrix, read_matrix
from seqrec.storage import files
from seqrec.storage.lock import hold_in
from seqrec.training import checkpoint
from seqrec.training.averaging import WeightAverage
from seqrec.training.checkpoint import Checkpoint, Checkpointer
from seqrec.training.fingerprint import Flat
from seqrec.training.loop import Trainer
from seqrec.training.objective import Loss
from seqrec.training.optimizer import Schedule, build_optimizer
from seqrec.training.precision import use_bf16
from seqrec.training.processes import Process, join_processes
from seqrec.training.progress import Progress
from seqrec.training.sinks import Column, EpochsFile, ScreenTable
from seqrec.training.steps import Stepper
from seqrec.training.train import Trained

NETWORK = "wide_deep"
STATE = ("model", "architecture", "arguments", "fingerprint", "optimizer", "progress")  # what a training is resumed from
LOCK = ".train.lock"
FITTED_ROWS = 100_000  # of which the quantiles are taken
COLUMNS = (
    Column("epoch", 5, "d"),
    Column("step", 7, ",d"),
    Column("train_loss", 10, ".4f"),
    Column("log_loss", 8, ".4f"),
    Column("auc", 7, ".4f"),
    Column("gauc", 7, ".4f"),
    Column("seconds", 7, ",.0f"),
)

log = logging.getLogger("seqrec")


class LabelObjective(nn.Module):
    """A network and its loss: the sum of the rows' log losses."""

    def __init__(self, network: WideDeep) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: RowBatch) -> Loss:
        """The loss of a batch."""
        logits: Tensor = self.network(batch.features).float()
        return Loss(F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum"), {})


@dataclass(frozen=True, kw_only=True)
class NetworkLearner:
    """What changes with each step."""

    network: WideDeep
    average: WeightAverage[WideDeep] | None
    optimizer: torch.optim.Optimizer
    progress: Progress

    @property
    def judged(self) -> WideDeep:
        """The network that is validated and saved: the average, where there is one."""
        return self.network if self.average is None else self.average.model


def train_network(setup: NetworkSetup) -> Trained:
    """Start or resume a training; every process calls this with the same setup, and all raise what one of them does.

    Raises UserError if a training of this folder is running, if a process has no rows, or if the metric isn't defined.
    """
    with join_processes() as process, ExitStack() as stack:
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seqrec-ranker-")))
        with process.together():
            encoded = write_encoded(setup.samples, setup.encoding, process, cache / "train.parquet")
            valid = read_matrix(setup.samples, setup.encoding, split="valid", rows=setup.valid_rows)
        trainer = _prepare(setup, process, encoded, valid, stack)
        metrics = trainer.run()
        return Trained(metrics=metrics, finished=trainer.limits.reached(trainer.progress))


def _prepare(setup: NetworkSetup, process: Process, encoded: EncodedFile, valid: SampleMatrix, stack: ExitStack) -> Trainer:
    """The trainer of one process; the stack holds the folder's lock from here on."""
    steps = count_row_steps(encoded.rows, batch_size=setup.batch_size, process=process)
    total_steps = setup.limits.total_steps(steps)
    bf16 = use_bf16(setup.precision, process.device)
    template = Checkpoint(
        model={},
        architecture=NETWORK,
        arguments=setup.arguments,
        meta={},
        fingerprint=setup.fingerprint(process, bf16=bf16, total_steps=total_steps),
    )
    with process.together():
        state = _take_folder(setup, template.fingerprint, stack) if process.rank == 0 else None
    state = process.share(state)
    learner = _build_learner(setup, process, encoded, state)
    return Trainer(
        process=process,
        stepper=_build_stepper(setup, process, learner, bf16=bf16, total_steps=total_steps),
        batches=RowBatches(
            file=encoded,
            steps=steps,
            rank=process.rank,
            pool_batches=setup.pool_batches,
            workers=setup.reader_workers,
            seed=setup.seed,
        ),
        limits=setup.limits,
        milestones=setup.milestones,
        measure=partial(measure_network, learner.judged, valid, process=process, metric=setup.milestones.metric),
        checkpointer=Checkpointer(
            folder=setup.folder,
            writes=process.rank == 0,
            model=learner.judged,
            trained=None if learner.average is None else learner.network,
            reference={},
            optimizer=learner.optimizer,
            template=template,
        ),
        sinks=[EpochsFile(setup.folder, step=learner.progress.step), ScreenTable(COLUMNS)] if process.rank == 0 else [],
        progress=learner.progress,
    )


def _take_folder(setup: NetworkSetup, fingerprint: Flat, stack: ExitStack) -> Checkpoint | None:
    """Hold the lock of the checkpoints' folder; the state to resume, None where there is none of this training."""
    remedy = "wait until it has ended, or train into another output=FOLDER"
    stack.enter_context(hold_in(setup.folder, LOCK, what=f"a training in {setup.folder}", remedy=remedy))
    if checkpoint.LAST in files.names(files.join(setup.folder, "checkpoints")):
        state = checkpoint.load(checkpoint.find(setup.folder, "last"), keys=STATE)
        if state.fingerprint == fingerprint:
            log.info("going on with the training of %s, at step %d", setup.folder, state.step)
            return state
        others = sorted(key for key in fingerprint if state.fingerprint.get(key) != fingerprint[key])
        log.warning("%s holds a training with other settings (%s): training anew", setup.folder, ", ".join(others))
    for name in ("checkpoints", "epochs.jsonl"):
        files.remove(files.join(setup.folder, name))
    return None


def _draw(setup: NetworkSetup, process: Process, encoded: EncodedFile) -> WideDeep:
    """The network with drawn weights, and the quantiles of rows of all processes."""
    torch.manual_seed(setup.seed)
    network = WideDeep(**setup.arguments)
    if network.quantiles is not None:
        each = max(1, FITTED_ROWS // process.world)
        mine = sample_features(encoded, most=each, seed=setup.seed)[:, network.continuous]
        longest = int(process.max(torch.tensor([len(mine)])).item())
        rows = torch.zeros(process.world, longest, mine.shape[1], dtype=torch.float64)
        rows[process.rank] = float("nan")  # where another process has a row more
        rows[process.rank, : len(mine)] = torch.from_numpy(mine)
        network.quantiles.fit(process.sum(rows).flatten(0, 1))
    return network.to(process.device)


def _build_learner(setup: NetworkSetup, process: Process, encoded: EncodedFile, state: Checkpoint | None) -> NetworkLearner:
    """What changes with each step: as it begins, or as a training was left."""
    network = _draw(setup, process, encoded)
    average = None if (decay := setup.optimizer.ema_decay) is None else WeightAverage(network, decay=decay)
    optimizer, progress = build_optimizer(network, setup.optimizer), Progress()
    if state is not None:
        assert state.optimizer is not None
        assert state.progress is not None
        network.load_state_dict(state.trained or state.model)
        if average is not None:
            average.model.load_state_dict(state.model)
        optimizer.load_state_dict(state.optimizer)
        progress = Progress.restore(state.progress, rank=process.rank)
    return NetworkLearner(network=network, average=average, optimizer=optimizer, progress=progress)


def _build_stepper(setup: NetworkSetup, process: Process, learner: NetworkLearner, *, bf16: bool, total_steps: int) -> Stepper:
    """The learner's steps; with several processes, DDP sums their gradients."""
    objective: nn.Module = LabelObjective(learner.network)
    if process.world > 1:
        devices = [process.device] if process.device.type == "cuda" else None
        objective = DistributedDataParallel(objective, device_ids=devices)
    return Stepper(
        process=process,
        task=_as_it_is,
        objective=objective,
        optimizer=learner.optimizer,
        schedule=Schedule.of(setup.optimizer, total_steps=total_steps).rate,
        clip_norm=setup.optimizer.clip_norm,
        average=learner.average,
        parts=1,
        bf16=bf16,
        seed=setup.seed,
    )


def _as_it_is(batch: RowBatch) -> RowBatch:
    """The task: labels are predicted from features, so a batch is already what a step learns from."""
    return batch
