"""All settings of a training, grouped by the part that uses them. A job's configuration is taken apart here.

    setup = training_setup(cfg, PlanTransformer(cfg.encoder, cfg.windows, cfg.loss, cfg.objective, cfg.masking))
    run_training(setup)                             # in this process, or in those of torchrun
    train_on_spark(spark, setup, processes=4)       # in processes that Spark starts

A setup is pickled to other processes: it holds no secret.
"""

from dataclasses import dataclass
from typing import Any, Literal

from seqrec.command.config import public
from seqrec.settings.training import Optimizer, Training
from seqrec.training.fingerprint import Shaping
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.loader import Pooling
from seqrec.training.plan import Architecture
from seqrec.training.validation import UserSample


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """A training of an architecture on a dataset, into a model's folder."""

    data: str  # folder of the dataset, or a version of it
    folder: str  # of the model
    name: str | None  # of the model; None: the plan's
    architecture: Architecture
    init: str | None  # what the weights begin from, a checkpoint or a model's folder; None: they are drawn
    carries_moments: bool  # whether the optimizer begins with the moments of that checkpoint
    freeze: tuple[str, ...]  # parts of the model that stay as they begin
    batch_size: int  # windows that go through the model at once
    accumulate_steps: int  # such batches in a step
    pooling: Pooling
    optimizer: Optimizer
    limits: TrainingLimits
    milestones: Milestones
    validate: bool
    sample: UserSample  # of the users of a validation
    precision: str
    memory_gb: float | None  # None: the device's free memory
    deterministic: bool
    tensorboard: bool
    plots: bool
    resume: bool | Literal["same"]
    seed: int
    shaping: Shaping
    settings: dict[str, Any]  # the job's configuration, for meta.json; secrets are masked
    stage: int | None = None  # its number from 1, where several trainings follow each other


def training_setup(settings: Training, architecture: Architecture) -> TrainingSetup:
    """The setup that a job's configuration describes."""
    return TrainingSetup(
        data=settings.data,
        folder=settings.model,
        name=settings.name,
        architecture=architecture,
        init=settings.init,
        carries_moments=settings.init_optimizer == "carried",
        freeze=settings.freeze,
        batch_size=settings.batch_size,
        accumulate_steps=settings.accumulate_steps,
        pooling=Pooling(pool_batches=settings.pool_batches, seed=settings.seed, workers=settings.reader_workers),
        optimizer=settings.optimizer,
        limits=TrainingLimits(
            epochs=settings.max_epochs,
            steps=settings.max_steps,
            minutes=settings.max_minutes,
            patience=settings.patience,
        ),
        milestones=Milestones(
            validate_every=settings.validate_every,
            checkpoint_every=settings.checkpoint_every,
            metric=settings.metric,
            log_every=settings.log_every if settings.tensorboard else None,
        ),
        validate=settings.validate,
        sample=UserSample(users=settings.valid_users, seed=settings.seed),
        precision=settings.precision,
        memory_gb=settings.memory_gb,
        deterministic=settings.deterministic,
        tensorboard=settings.tensorboard,
        plots=settings.plots,
        resume=settings.resume,
        seed=settings.seed,
        shaping=Shaping.of(settings),
        settings=public(settings),
    )
