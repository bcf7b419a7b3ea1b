"""What each process reads before the processes communicate: its files of the dataset; and the plan that is made from them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seqrec.command.screen import counted
from seqrec.models.encoder import Encoder
from seqrec.training.frozen import freeze
from seqrec.training.item_vectors import ItemVectors, read_item_vectors
from seqrec.training.loader import Batches, Shard, count_steps, open_shard
from seqrec.training.memory import available_gb, estimate_gb, require_memory
from seqrec.training.optimizer import STATES
from seqrec.training.plan import ModelPlan, PlanInputs
from seqrec.training.precision import use_bf16
from seqrec.training.processes import Process
from seqrec.training.setup import TrainingSetup
from seqrec.training.training_data import TrainingData, open_training_data, read_user_hashes
from seqrec.training.validation import ValidationUsers, read_validation_users, validate

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The data that a process has read, and its plan."""

    data: TrainingData
    shard: Shard
    user_hashes: NDArray[np.int64] | None  # of the users with embeddings, sorted; None for a model without
    validation: ValidationUsers | None  # None: there is nobody to validate with
    plan: ModelPlan
    bf16: bool
    vectors: ItemVectors | None  # of the items, where the architecture has a source of them

    def batches(self, setup: TrainingSetup, process: Process, *, steps: int) -> Batches:
        """This process's batches, `steps` an epoch; the dataset's windows have an item more than its max_len: the last target."""
        table = self.plan.table
        return Batches(
            shard=self.shard,
            user_hashes=self.user_hashes,
            width=self.data.meta.max_len + 1 if table is None else table.longest,
            cut=self.plan.cut,
            steps=steps,
            rank=process.rank,
            pooling=setup.pooling,
            passes=self.plan.passes,
            columns=("items",) if table is None else table.columns,
        )

    def count_steps(self, setup: TrainingSetup, process: Process) -> int:
        """The steps of an epoch, of each process; see `loader.count_steps`."""
        table = "windows" if self.plan.table is None else self.plan.table.path
        size = setup.batch_size * setup.accumulate_steps
        return self.plan.passes * count_steps(self.shard.windows, step_windows=size, process=process, table=table)

    def measure(self, setup: TrainingSetup, process: Process, model: Encoder) -> Callable[[], dict[str, float]] | None:
        """A function that validates the model; None if there are no users to validate with."""
        users = self.validation
        if users is None:
            return None
        return partial(validate, model, users, batch_size=4 * setup.batch_size, bf16=self.bf16, process=process)


def read_inputs(setup: TrainingSetup, path: str, process: Process, cache: Path) -> Inputs:
    """This process's inputs; UserError if the training can't fit in memory."""
    data = open_training_data(path, cache)
    bf16 = use_bf16(setup.precision, process.device)
    user_hashes = read_user_hashes(data, cache / "windows") if setup.architecture.embeds_users else None
    users = 0 if user_hashes is None else len(user_hashes)
    vectors = None
    if (source := setup.architecture.vectors) is not None:
        vectors = read_item_vectors(source, data, cache / "vectors", says=process.rank == 0)
        data = data.with_vectors(vectors.known)
    plan = setup.architecture.plan(PlanInputs(data=data, users=users, bf16=bf16, vectors=vectors))
    if process.rank == 0 and (dim := plan.shaping.get("encoder.dim")):
        log.info("encoder.dim=%d, for %s to learn from", dim, counted(int(data.counts.sum()), "event"))
    table = data.table("windows") if plan.table is None else plan.table.path
    shard = open_shard(table, rank=process.rank, world=process.world, cache=cache / "windows", cut=plan.cut)
    validation = _read_validation(setup, data, user_hashes, process, cache / "valid", max_len=int(plan.arguments["max_len"]))
    longest = data.meta.max_len if plan.cut is None and plan.table is None else int(plan.arguments["max_len"])
    needed = estimate_gb(
        lambda: freeze(plan.build(), setup.freeze),
        windows=setup.batch_size,
        length=longest,
        states=STATES[setup.optimizer.name],
        copies=(setup.optimizer.ema_decay is not None) + plan.references,
    )
    require_memory(needed, setup.memory_gb or available_gb(process.device), advice=plan.to_lower)
    return Inputs(data=data, shard=shard, user_hashes=user_hashes, validation=validation, plan=plan, bf16=bf16, vectors=vectors)


def _read_validation(
    setup: TrainingSetup,
    data: TrainingData,
    user_hashes: NDArray[np.int64] | None,
    process: Process,
    cache: Path,
    *,
    max_len: int,
) -> ValidationUsers | None:
    """The users to validate with; None without validation, with a warning if the dataset's task holds users out, and none are."""
    if not setup.validate and process.rank == 0:
        log.info(
            "validate=false: the training ends by max_epochs, _steps or _minutes, and the last checkpoint stands for the best"
        )
    if not setup.validate or data.meta.task not in ("train_val_test", "train_val"):
        return None
    users = read_validation_users(
        data, user_hashes=user_hashes, sample=setup.sample, max_len=max_len, process=process, cache=cache
    )
    if users is None and process.rank == 0:
        log.warning(
            "%s holds nobody out: training without validation, up to max_epochs=%d (or max_steps, max_minutes); patience has no "
            "say, and the last checkpoint stands for the best",
            data.table("valid"),
            setup.limits.epochs,
        )
    return users
