"""Builds the trainer that a setup describes, which starts a training, resumes it, or only validates the model.

Nothing is written before the dataset is read, the memory is estimated to suffice, and the folder's training is checked to have
the same settings.
"""

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from torch.nn.parallel import DistributedDataParallel

from seqrec.command.kept_log import keep_log
from seqrec.command.screen import counted
from seqrec.models.encoders import name_now
from seqrec.settings.training import Optimizer
from seqrec.storage import files, versions
from seqrec.storage.config_file import write_config
from seqrec.storage.lock import hold_in
from seqrec.training import checkpoint
from seqrec.training.checkpoint import Checkpoint, Checkpointer
from seqrec.training.fingerprint import WARMUP, Flat, OtherTrainingError, former_values, require_network, require_same
from seqrec.training.inputs import Inputs, read_inputs
from seqrec.training.learner import Learner, build_learner
from seqrec.training.loop import Trainer
from seqrec.training.model_folder import LOCK, complete_model_folder, hash_users, hash_vocabulary, start_model_folder
from seqrec.training.model_name import model_name
from seqrec.training.objective import reference_weights
from seqrec.training.optimizer import ENDING, Schedule
from seqrec.training.precision import repeat_bits
from seqrec.training.processes import Process, join_processes
from seqrec.training.setup import TrainingSetup
from seqrec.training.sinks import open_sinks
from seqrec.training.steps import Stepper
from seqrec.training.warm_start import WarmStart, read_start

WHERE_SET = ("init", "init_optimizer", "item_vectors", "freeze")  # keys that a fingerprint has only where they are set
TO_RESUME = (
    "put it back from a copy; only to start the training over, and to remove the folder's checkpoints with it: resume=false"
)

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run of a training has reached."""

    metrics: dict[str, float]  # of the best checkpoint (see Trainer.run)
    finished: bool  # whether the training is over; else the time of this run was


def run_training(setup: TrainingSetup) -> Trained:
    """Start or resume a model's training, or only validate the model.

    Every process of a training calls this with the same setup, and all of them raise what one of them does. Raises UserError if
    the folder holds a training with other settings, or one that is running, if the dataset is unfinished, or if the training
    can't fit in memory; nothing is written then.
    """
    with join_processes() as process, ExitStack() as stack:
        cache = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seqrec-train-")))
        trainer = _prepare(setup, process, cache, stack)
        try:
            metrics = trainer.run()
            return Trained(metrics=metrics, finished=trainer.limits.reached(trainer.progress))
        finally:
            for sink in trainer.sinks:
                sink.close()


def _prepare(setup: TrainingSetup, process: Process, cache: Path, stack: ExitStack) -> Trainer:
    """Read the dataset, take the model's folder, and build the trainer; the stack holds the folder's lock."""
    with process.together():
        path = versions.resolve(setup.data) if process.rank == 0 else ""
    path = process.share(path)
    with process.together():
        inputs = read_inputs(setup, path, process, cache)
        start = read_start(setup, inputs, cache, says=process.rank == 0)
    repeat_bits(setup.deterministic, process.device)
    steps = inputs.count_steps(setup, process)
    total_steps = setup.limits.total_steps(steps)
    template = _template(setup, inputs, process, start, total_steps=total_steps)
    state = _resume_or_start(setup, inputs, process, template, start, stack)
    with process.together():
        learner = build_learner(setup, inputs.plan, process, state, start)
        step = learner.progress.step
        sinks = open_sinks(setup.folder, step=step, tensorboard=setup.tensorboard, plots=setup.plots) if process.rank == 0 else []
    if state is not None:
        kept = {"run_id": state.meta["run_id"], "name": setup.name or state.meta["name"]}
        template = replace(template, meta={**template.meta, **kept})
    return Trainer(
        process=process,
        stepper=_build_stepper(setup, inputs, process, learner, total_steps=total_steps),
        batches=inputs.batches(setup, process, steps=steps),
        limits=setup.limits,
        milestones=setup.milestones,
        measure=inputs.measure(setup, process, learner.validated),
        checkpointer=Checkpointer(
            folder=setup.folder,
            writes=process.rank == 0,
            model=learner.validated,
            trained=None if learner.average is None else learner.model,
            reference=reference_weights(learner.objective, learner.model),
            optimizer=learner.optimizer,
            template=template,
        ),
        sinks=sinks,
        progress=learner.progress,
        judges_start=start is not None,
        stage=setup.stage,
    )


def _template(setup: TrainingSetup, inputs: Inputs, process: Process, start: WarmStart | None, *, total_steps: int) -> Checkpoint:
    """What every checkpoint of the training says, still without weights and progress."""
    data, plan = inputs.data, inputs.plan
    facts = {"data": data.meta.run_id, "processes": process.world, "bf16": inputs.bf16, "architecture": plan.architecture}
    frozen = {"freeze": list(setup.freeze)} if setup.freeze else {}
    began = {} if start is None else start.fingerprint
    fingerprint = {
        **setup.shaping.values,
        **facts,
        **plan.shaping,
        **_rates(setup.optimizer, total_steps=total_steps),
        **frozen,
        **began,
    }
    meta = {
        "run_id": versions.new_run_id(),
        "name": setup.name or model_name(plan.name, named=plan.named, shaping=setup.shaping, fingerprint=fingerprint),
        "parameters": plan.count_parameters(),
        "dataset": data.meta.run_id,
        "held_out": data.meta.held_from("valid"),
        "id_types": data.meta.id_types.model_dump(),
        "vocabulary": data.meta.vocabulary.model_dump(),
        "vocabulary_sha256": hash_vocabulary(data.items),
        "settings": setup.settings,
    }
    if start is not None:
        meta["init"] = start.identity
    if inputs.user_hashes is not None:
        meta["users_sha256"] = hash_users(inputs.user_hashes)
    return Checkpoint(
        model={},
        architecture=plan.architecture,
        arguments=plan.arguments,
        meta=meta,
        fingerprint=fingerprint,
    )


def _rates(optimizer: Optimizer, *, total_steps: int) -> Flat:
    """What learning rates depend on besides settings: the number of steps, or the warm-up where that follows from it."""
    if optimizer.schedule in ENDING:
        return {f"steps of the {optimizer.schedule} schedule": total_steps}
    return {} if optimizer.warmup_steps is not None else {WARMUP: Schedule.of(optimizer, total_steps=total_steps).warmup_steps}


def _resume_or_start(
    setup: TrainingSetup, inputs: Inputs, process: Process, template: Checkpoint, start: WarmStart | None, stack: ExitStack
) -> Checkpoint | None:
    """The checkpoint to resume. If there is none, or resume is false, it is None, and the folder is cleared for a new training.

    With resume=same, a folder that holds another training is cleared too. From here to the training's end, rank 0 holds the
    folder's lock.
    """
    state = None
    with process.together():
        if process.rank == 0:
            remedy = "wait until it has ended, or train into another model=FOLDER"
            stack.enter_context(hold_in(setup.folder, LOCK, what=f"a training in {setup.folder}", remedy=remedy))
        if setup.resume and checkpoint.LAST in files.names(files.join(setup.folder, "checkpoints")):
            state = _read_state(setup, template.fingerprint)
        if state is None and start is not None:
            start.require_there()
    with process.together():
        if process.rank == 0:
            if state is None:
                start_model_folder(setup.folder, inputs.data, inputs.user_hashes, template.meta)
            else:
                complete_model_folder(setup.folder, inputs.data, inputs.user_hashes, state.meta)
            write_config(setup.folder, setup.settings)
            keep_log(setup.folder, append=True)
            _introduce(inputs, template)
    return state


def _introduce(inputs: Inputs, template: Checkpoint) -> None:
    """Log what is trained on what."""
    users = 0 if inputs.validation is None else len(inputs.validation.targets)
    log.info(
        "%s\n  %s · %s · %s · %s to validate with",
        template.meta["name"],
        counted(template.meta["parameters"], "parameter"),
        counted(len(inputs.data.items), "item"),
        counted(inputs.data.meta.counts.windows, "window") if inputs.plan.table is None else inputs.plan.table.rows,
        counted(users, "user"),
    )


def _read_state(setup: TrainingSetup, fingerprint: Flat) -> Checkpoint | None:
    """The folder's last checkpoint; None for one of another training, with resume=same."""
    try:
        state = _load_state(setup, architecture=fingerprint["architecture"])
        before = {**former_values(state, setup.shaping.defaults), **state.fingerprint}
        before["architecture"] = name_now(before["architecture"])
        require_same(before, {**dict.fromkeys(WHERE_SET), **fingerprint}, folder=setup.folder)
        checkpoint.require_best(
            setup.folder, state, remedy="start over with resume=false; export_onnx checkpoint=last takes the last one as it is"
        )
    except OtherTrainingError as error:
        if setup.resume != "same":
            raise
        log.warning("training anew: %s", str(error).rpartition(": ")[0])
        return None
    return state


def _load_state(setup: TrainingSetup, *, architecture: str) -> Checkpoint:
    """The folder's last checkpoint; OtherTrainingError if it is of a network over features."""
    try:
        return checkpoint.load(checkpoint.find(setup.folder, "last"), keys=checkpoint.STATE, remedy=TO_RESUME)
    except checkpoint.FeatureNetworkError as error:
        require_network(error.architecture, architecture, folder=setup.folder, key="model")
        raise


def _build_stepper(setup: TrainingSetup, inputs: Inputs, process: Process, learner: Learner, *, total_steps: int) -> Stepper:
    """The learner's steps; with several processes, DDP sums their gradients."""
    options = setup.optimizer
    objective = learner.objective
    if process.world > 1:
        devices = [process.device] if process.device.type == "cuda" else None
        objective = DistributedDataParallel(objective, device_ids=devices)
    schedule = Schedule.of(options, total_steps=total_steps)
    return Stepper(
        process=process,
        task=inputs.plan.task,
        objective=objective,
        optimizer=learner.optimizer,
        schedule=schedule.rate,
        clip_norm=options.clip_norm,
        average=learner.average,
        parts=setup.accumulate_steps,
        bf16=inputs.bf16,
        seed=setup.seed,
    )
