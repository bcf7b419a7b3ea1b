"""A training of two towers: what they learn from, how, and what their weights depend on. The job's settings end here."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, Literal

from seqrec.command.config import flatten, public
from seqrec.rankers.samples import USER
from seqrec.serving.feature_encoding import EncodedColumn, Encoding
from seqrec.settings.train_two_tower import TrainTwoTower
from seqrec.settings.training import Optimizer
from seqrec.storage.metadata import DatasetMeta
from seqrec.towers.matching_inputs import MatchingInputs, open_matching
from seqrec.towers.tower_survey import ITEM, TowerSurvey, survey_matching
from seqrec.training.fingerprint import Flat
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.optimizer import ENDING, Schedule
from seqrec.training.processes import Process

WEIGHTLESS = ("path", "new_items", "max_epochs", "patience", "checkpoint_every")  # keys of features on which no weight depends

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class TowerSetup:
    """A training of two towers. It is pickled to other processes: it holds no secret."""

    inputs: MatchingInputs
    survey: TowerSurvey
    data: str  # the version of the dataset
    new_items: bool
    sizes: dict[str, Any]  # of TowerSizes
    temperature: float
    log_q: bool
    optimizer: Optimizer
    limits: TrainingLimits
    milestones: Milestones
    validates: bool
    tensorboard: bool
    plots: bool
    batch_size: int  # positives of a process in a step
    pool_batches: int
    reader_workers: int
    precision: str
    memory_gb: float | None
    seed: int
    folder: str  # of the model
    resume: bool | Literal["same"]
    name: str
    shaping: Flat  # the settings that the weights depend on
    settings: dict[str, Any]  # of the job, for meta.json

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of TwoTowers, as a checkpoint holds them."""
        return {
            "user_columns": tower_columns(self.survey.users, own_id=USER),
            "item_columns": tower_columns(self.survey.items, own_id=ITEM),
            "sizes": self.sizes,
        }

    def fingerprint(self, process: Process, *, bf16: bool, total_steps: int, samples: str) -> Flat:
        """What the weights depend on: a training is resumed only if that is still the same.

        `samples` tells training rows apart (see `TowerRows.tell`), whichever version of the features they are in. Of the
        number of steps the weights depend as far as the learning rate does: by the warm-up, and by schedules that end at 0.
        """
        schedule = self.optimizer.schedule
        ends = {f"steps of the {schedule} schedule": total_steps} if schedule in ENDING else {}
        encodings = self.survey.users.to_json() + self.survey.items.to_json()
        return {
            **self.shaping,
            **ends,
            "features.optimizer.warmup_steps": Schedule.of(self.optimizer, total_steps=total_steps).warmup_steps,
            "data": self.inputs.meta.dataset,
            "samples": samples,
            "encodings": hashlib.sha256(encodings.encode()).hexdigest(),
            "processes": process.world,
            "bf16": bf16,
        }


def tower_columns(encoding: Encoding, *, own_id: str) -> list[dict[str, Any]]:
    """The columns of a tower as plain values, see `TowerColumn`."""

    def described(column: EncodedColumn) -> dict[str, Any]:
        features = column.features
        return {"codes": features[0].codes, "width": len(features), "own_id": column.name == own_id}

    return [described(column) for column in encoding.columns]


def plan_towers(cfg: TrainTwoTower) -> TowerSetup:
    """The training of towers over features that the settings of a dataset's version describe; its samples are surveyed.

    Raises UserError if the features aren't of this dataset and history, or lack a column, or if there is nothing to learn from.
    """
    settings, inputs = cfg.features, _open_inputs(cfg)
    survey = survey_matching(
        inputs,
        data=cfg.data,
        max_categories=settings.max_categories,
        validates=cfg.validate,
        valid_users=cfg.valid_users,
        seed=cfg.seed,
    )
    sizes = {"dim": cfg.encoder.dim} | settings.model_dump(include={"embedding_size", "hidden_units", "dropout", "unknown_share"})
    return TowerSetup(
        inputs=inputs,
        survey=survey,
        data=cfg.data,
        new_items=settings.new_items,
        sizes=sizes,
        temperature=settings.temperature,
        log_q=settings.log_q,
        optimizer=settings.optimizer,
        limits=TrainingLimits(
            epochs=settings.max_epochs, steps=cfg.max_steps, minutes=cfg.max_minutes, patience=settings.patience
        ),
        milestones=Milestones(
            validate_every=settings.validate_every,
            checkpoint_every=settings.checkpoint_every,
            metric=cfg.metric,
            log_every=cfg.log_every if cfg.tensorboard else None,
        ),
        validates=_validates(cfg, survey),
        tensorboard=cfg.tensorboard,
        plots=cfg.plots,
        batch_size=settings.batch_size,
        pool_batches=settings.pool_batches,
        reader_workers=cfg.reader_workers,
        precision=cfg.precision,
        memory_gb=cfg.memory_gb,
        seed=cfg.seed,
        folder=cfg.model,
        resume=cfg.resume,
        name=cfg.name or f"feature-towers-d{cfg.encoder.dim}",
        shaping=_shaping(cfg),
        settings=public(cfg),
    )


def _open_inputs(cfg: TrainTwoTower) -> MatchingInputs:
    """The features that the settings name, checked."""
    return open_matching(
        str(cfg.features.path),
        dataset=DatasetMeta.read(cfg.data).run_id,
        history=cfg.history,
        user_columns=cfg.features.user_columns,
        item_columns=cfg.features.item_columns,
    )


def _validates(cfg: TrainTwoTower, survey: TowerSurvey) -> bool:
    """Whether there are events to validate with; if none are, a line says how the training ends."""
    if len(survey.held_out.rows):
        return True
    ends = f"up to features.max_epochs={cfg.features.max_epochs} (or max_steps, max_minutes); the last checkpoint is exported"
    if cfg.validate:
        log.warning("%s has no event of split valid: training without validation, %s", cfg.features.path, ends)
    else:
        log.info("validate=false: training %s", ends)
    return False


def _shaping(cfg: TrainTwoTower) -> Flat:
    """The settings that the weights depend on, by their keys."""
    shared = {name: getattr(cfg, name) for name in ("seed", "metric", "validate", "valid_users")}
    return flatten({"features": cfg.features.model_dump(exclude={*WEIGHTLESS}), **shared, "encoder": {"dim": cfg.encoder.dim}})
