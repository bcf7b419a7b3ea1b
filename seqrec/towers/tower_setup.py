"""A training of two towers: what they learn from, how, and what their weights depend on."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from seqrec.rankers.samples import USER
from seqrec.serving.feature_encoding import EncodedColumn, Encoding
from seqrec.settings.training import Optimizer
from seqrec.towers.matching_inputs import MatchingInputs
from seqrec.towers.tower_survey import ITEM, TowerSurvey
from seqrec.training.fingerprint import Flat
from seqrec.training.limits import Milestones, TrainingLimits
from seqrec.training.processes import Process


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
    batch_size: int  # positives of a process in a step
    pool_batches: int
    reader_workers: int
    precision: str
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

    def fingerprint(self, process: Process, *, bf16: bool, total_steps: int) -> Flat:
        """What the weights depend on: a training is resumed only if that is still the same."""
        ends = self.optimizer.schedule in ("cosine", "linear") or self.optimizer.warmup_steps is None
        encodings = self.survey.users.to_json() + self.survey.items.to_json()
        return {
            **self.shaping,
            "data": self.inputs.meta.dataset,
            "features": self.inputs.meta.run_id,
            "encodings": hashlib.sha256(encodings.encode()).hexdigest(),
            "processes": process.world,
            "bf16": bf16,
            "total_steps": total_steps if ends else None,
        }


def tower_columns(encoding: Encoding, *, own_id: str) -> list[dict[str, Any]]:
    """The columns of a tower as plain values, see `TowerColumn`."""

    def described(column: EncodedColumn) -> dict[str, Any]:
        features = column.features
        return {"codes": features[0].codes, "width": len(features), "own_id": column.name == own_id}

    return [described(column) for column in encoding.columns]
