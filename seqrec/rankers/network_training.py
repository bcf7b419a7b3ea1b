"""Wide & Deep trained by the loop of `training`, in one process or many; an interrupted training goes on where it was.

Checkpoints lie in OUTPUT/training until the ranker's version is whole. What a training of other settings, or on other samples,
has left there is removed, with a warning.
"""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.models.wide_deep import WideDeep
from seqrec.rankers.encoded_rows import EncodedFile, write_encoded
from seqrec.rankers.network_metrics import SCORED_ROWS, measure_network
from seqrec.rankers.network_setup import NetworkSetup
from seqrec.rankers.row_batches import RowBatch, RowBatches, count_row_steps, shared_rows
from seqrec.rankers.sample_matrix import SampleMatrix, read_matrix
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.loop import Trainer
from seqrec.training.memory import available_gb, require_memory
from seqrec.training.network_memory import NetworkPasses, estimate_network_gb
from seqrec.training.network_run import NetworkLesson, network_trainer, start_learner, take_folder
from seqrec.training.objective import Loss
from seqrec.training.precision import use_bf16
from seqrec.training.processes import Process, join_processes
from seqrec.training.sinks import Column
from seqrec.training.train import Trained

NETWORK = "wide_deep"
COLUMNS = (
    Column("epoch", 5, "d"),
    Column("step", 7, ",d"),
    Column("train_loss", 10, ".4f"),
    Column("log_loss", 8, ".4f"),
    Column("auc", 7, ".4f"),
    Column("gauc", 7, ".4f"),
    Column("seconds", 7, ",.0f"),
)


class LabelObjective(nn.Module):
    """A network and its loss: the sum of the rows' log losses."""

    def __init__(self, network: WideDeep) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: RowBatch) -> Loss:
        """The loss of a batch."""
        logits: Tensor = self.network(batch.features).float()
        return Loss(F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum"), {})


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
        needed = estimate_network_gb(_passes(setup, encoded, valid), setup.optimizer)
        limit = setup.memory_gb or available_gb(process.device)
        advice = "wide_deep.batch_size, wide_deep.embedding_size or max_categories"
        require_memory(needed, limit, advice=advice, key="wide_deep.memory_gb")
        state = None
        if process.rank == 0:
            state = take_folder(setup, template.fingerprint, stack, architecture=NETWORK, key="output", resume="same")
    state = process.share(state)
    learner = start_learner(setup, _draw(setup, process, encoded), process, state)
    lesson = NetworkLesson(
        objective=LabelObjective,
        batches=RowBatches(
            file=encoded,
            steps=steps,
            rank=process.rank,
            pool_batches=setup.pool_batches,
            workers=setup.reader_workers,
            seed=setup.seed,
        ),
        measure=partial(measure_network, valid=valid, process=process, metric=setup.milestones.metric),
        columns=COLUMNS,
    )
    return network_trainer(setup, process, learner, lesson, template, bf16=bf16)


def _passes(setup: NetworkSetup, encoded: EncodedFile, valid: SampleMatrix) -> NetworkPasses:
    """What a step and a validation send through the network, for the estimate of memory."""

    def rows(most: int, there: int) -> Tensor:
        return torch.zeros(min(most, there), encoded.features)

    def learn(network: WideDeep) -> Tensor:
        """The loss of a full batch."""
        logits = network(rows(setup.batch_size, encoded.rows))
        return F.binary_cross_entropy_with_logits(logits, torch.zeros(len(logits)), reduction="sum")

    return NetworkPasses(
        build=lambda: WideDeep(**setup.arguments),
        learn=learn,
        judge=lambda network: network(rows(SCORED_ROWS, len(valid.features))),
    )


def _draw(setup: NetworkSetup, process: Process, encoded: EncodedFile) -> WideDeep:
    """The network with drawn weights, and the quantiles of rows of all processes."""
    torch.manual_seed(setup.seed)
    network = WideDeep(**setup.arguments)
    if network.quantiles is not None:
        network.quantiles.fit(shared_rows(encoded, network.continuous, process, seed=setup.seed))
    return network.to(process.device)
