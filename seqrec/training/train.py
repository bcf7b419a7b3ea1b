"""From a dataset and settings to a trainer that starts, goes on, or only validates."""

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seqrec.command.config import public
from seqrec.errors import UserError
from seqrec.models.encoders import ENCODERS
from seqrec.settings.train import Training
from seqrec.storage import files, versions
from seqrec.storage.lock import hold_in
from seqrec.training import checkpoint
from seqrec.training.inputs import NOBODY, Dataset, hash_users, hash_vocabulary, open_dataset, read_users, start_model
from seqrec.training.loader import Batches, Shard, count_steps, open_shard
from seqrec.training.loop import Trainer
from seqrec.training.objective import Objective
from seqrec.training.optimizer import build_optimizer
from seqrec.training.plan import Plan, plan, weighs_users
from seqrec.training.precision import available_gb, require_memory, use_bf16
from seqrec.training.processes import Process, join
from seqrec.training.progress import Progress, flatten, require_same
from seqrec.training.report import Report
from seqrec.training.validation import HeldOut, read_held_out

log = logging.getLogger("seqrec")
SHAPING = ("seed", "encoder", "loss", "optimizer", "batch_size", "pool_batches", "validate_every", "valid_users", "metric")
LOCK = ".train.lock"


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """What a process reads before it meets the others: its files of the dataset, and what they make of the settings."""

    dataset: Dataset
    shard: Shard
    users: NDArray[np.int64]
    held_out: HeldOut | None
    planned: Plan
    bf16: bool


def train(settings: Training) -> dict[str, float]:
    """Train, go on with, or only validate the model in its folder; the metrics of its best checkpoint (see Trainer.run).

    Every process of a training calls this with the same settings, and all of them raise what one of them does. Raises UserError
    if the folder holds a training with other settings, or one that is running, if the dataset is unfinished, or if the training
    can't fit in memory; nothing is written then.
    """
    with join() as process, ExitStack() as held:
        cache = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="seqrec-train-")))
        trainer = _prepare(settings, process, cache, held)
        try:
            return trainer.run()
        finally:
            trainer.report.close()


def _prepare(settings: Training, process: Process, cache: Path, held: ExitStack) -> Trainer:
    with process.together():
        path = versions.resolve(settings.data) if process.rank == 0 else ""
    path = process.share(path)
    with process.together():
        inputs = _read(settings, path, process, cache)
    steps = count_steps(inputs.shard.rows, batch_size=settings.batch_size, process=process)
    total_steps = min(steps * settings.max_epochs, settings.max_steps or steps * settings.max_epochs)
    content = _content(settings, inputs, process, total_steps=total_steps)
    state = _resume_or_start(settings, inputs, process, content, held)
    with process.together():
        torch.manual_seed(settings.seed)
        model = ENCODERS[inputs.planned.architecture](**inputs.planned.arguments).to(process.device)
        optimizer = build_optimizer(model, **settings.optimizer.model_dump(exclude={"clip_norm", "warmup_steps", "schedule"}))
        progress = Progress()
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            progress = Progress.restore(state["progress"], rank=process.rank)
            content["meta"]["run_id"] = state["meta"]["run_id"]
        report = Report(settings.model, process=process, step=progress.step, tensorboard=settings.tensorboard)
    return Trainer(
        settings=settings,
        process=process,
        model=model,
        objective=_parallel(Objective(model, name=inputs.planned.loss, options=inputs.planned.options), process),
        optimizer=optimizer,
        batches=_batches(settings, inputs, process, steps=steps),
        held_out=inputs.held_out,
        bf16=inputs.bf16,
        total_steps=total_steps,
        progress=progress,
        report=report,
        content=content,
    )


def _read(settings: Training, path: str, process: Process, cache: Path) -> _Inputs:
    dataset = open_dataset(path, cache)
    shard = open_shard(files.join(dataset.path, "windows"), rank=process.rank, world=process.world, cache=cache / "windows")
    bf16 = use_bf16(settings.precision, process.device)
    users = read_users(dataset, cache / "windows") if weighs_users(settings) else NOBODY
    planned = plan(settings, dataset, users=len(users), bf16=bf16)
    held_out = _held_out(settings, dataset, users, process, cache / "valid", max_len=int(planned.arguments["max_len"]))
    limit = settings.memory_gb or available_gb(process.device)
    require_memory(planned.needed_gb, limit, advice=planned.to_lower)
    return _Inputs(dataset=dataset, shard=shard, users=users, held_out=held_out, planned=planned, bf16=bf16)


def _parallel(objective: nn.Module, process: Process) -> nn.Module:
    objective = objective.to(process.device)
    if process.world == 1:
        return objective
    return DistributedDataParallel(objective, device_ids=[process.device] if process.device.type == "cuda" else None)


def _batches(settings: Training, inputs: _Inputs, process: Process, *, steps: int) -> Batches:
    return Batches(
        shard=inputs.shard,
        known=inputs.users,
        width=int(inputs.dataset.meta["max_len"]) + 1,
        steps=steps,
        pool_batches=settings.pool_batches,
        seed=settings.seed,
        rank=process.rank,
        workers=settings.reader_workers,
    )


def _held_out(
    settings: Training, dataset: Dataset, users: NDArray[np.int64], process: Process, cache: Path, *, max_len: int
) -> HeldOut | None:
    if dataset.meta["task"] not in ("train_val_test", "train_val"):
        return None
    held_out = read_held_out(
        files.join(dataset.path, "valid"),
        known=users,
        counts=dataset.counts.numpy(),
        max_len=max_len,
        users=settings.valid_users,
        seed=settings.seed,
        process=process,
        cache=cache,
    )
    if held_out is None and process.rank == 0:
        log.warning(
            "%s holds nobody out: training without validation, up to max_epochs=%d (or max_steps, max_minutes); patience has no "
            "say, and the last checkpoint stands for the best",
            files.join(dataset.path, "valid"),
            settings.max_epochs,
        )
    return held_out


def _fingerprint(
    settings: Training, dataset: Dataset, process: Process, planned: Plan, *, bf16: bool, total_steps: int
) -> dict[str, Any]:
    """The settings that the weights depend on; limits may differ when a training goes on."""
    shaping = {key: value for key, value in public(settings).items() if key in SHAPING}
    facts = {"data": dataset.meta["run_id"], "processes": process.world, "bf16": bf16, "architecture": planned.architecture}
    terms = {"loss.terms": "mean"} if planned.loss in ("bce", "gbce") else {}
    total = {"steps of the cosine schedule": total_steps} if settings.optimizer.schedule == "cosine" else {}
    return flatten({**shaping, **facts, **terms, **total})


def _unsaid(settings: Training, state: dict[str, Any]) -> dict[str, Any]:
    """What settings are taken to be where a fingerprint lacks them: today's defaults, or what was done before they existed."""
    fields = {name: field.get_default() for name, field in type(settings).model_fields.items() if name in SHAPING}
    defaults = {name: public(value) if isinstance(value, BaseModel) else value for name, value in fields.items()}
    before = state["fingerprint"]
    uncorrected = before.get("loss.name") == "sampled_ce" and before.get("loss.sampling") == "uniform"
    then = {"architecture": state["architecture"], "loss.log_q": not uncorrected, "loss.terms": "sum"}
    return {**flatten(defaults), **then}


def _resume_or_start(
    settings: Training, inputs: _Inputs, process: Process, content: dict[str, Any], held: ExitStack
) -> dict[str, Any] | None:
    """The state to go on from; none, in a folder cleared for a new training, if it holds no checkpoint or resume is false.

    With resume=same, a folder that holds another training is cleared too. From here to the training's end, rank 0 holds the
    folder's lock.
    """
    state = None
    with process.together():
        if process.rank == 0:
            remedy = "wait until it has ended, or train into another model=FOLDER"
            held.enter_context(hold_in(settings.model, LOCK, what=f"a training in {settings.model}", remedy=remedy))
        if settings.resume and checkpoint.LAST in files.names(files.join(settings.model, "checkpoints")):
            state = _read_state(settings, content["fingerprint"])
    with process.together():
        if state is None and process.rank == 0:
            start_model(settings.model, inputs.dataset, inputs.users, content["meta"])
    return state


def _read_state(settings: Training, fingerprint: dict[str, Any]) -> dict[str, Any] | None:
    """The folder's last checkpoint; None for one of another training, with resume=same."""
    state = checkpoint.load(checkpoint.find(settings.model, "last"), keys=checkpoint.STATE)
    try:
        require_same(state["fingerprint"], fingerprint, absent=_unsaid(settings, state), folder=settings.model)
    except UserError as error:
        if settings.resume != "same":
            raise
        log.warning("training anew: %s", str(error).rpartition(": ")[0])
        return None
    return state


def _content(settings: Training, inputs: _Inputs, process: Process, *, total_steps: int) -> dict[str, Any]:
    """What every checkpoint says besides weights and progress."""
    dataset, planned = inputs.dataset, inputs.planned
    meta = {
        "run_id": versions.new_run_id(),
        "name": planned.name,
        "dataset": dataset.meta["run_id"],
        "id_types": dataset.meta["id_types"],
        "vocabulary": dataset.meta["vocabulary"],
        "vocabulary_sha256": hash_vocabulary(dataset.items),
        "settings": public(settings),
    }
    if len(inputs.users):
        meta["users_sha256"] = hash_users(inputs.users)
    fingerprint = _fingerprint(settings, dataset, process, planned, bf16=inputs.bf16, total_steps=total_steps)
    return {"architecture": planned.architecture, "arguments": planned.arguments, "meta": meta, "fingerprint": fingerprint}
