"""What the weights of a training depend on: a folder's training is resumed only if that is still the same.

A fingerprint is flat: {"seed": 42, "loss.name": "ce", "processes": 1, …}. Limits, such as max_epochs, are no part of it: they may
differ from run to run.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from seqrec.command.config import flatten, public
from seqrec.errors import UserError
from seqrec.settings.training import Optimizer, Training
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.optimizer import Schedule

SHAPING = (
    *("seed", "encoder", "members", "windows", "objective", "masking", "loss"),
    *("optimizer", "batch_size", "accumulate_steps", "pool_batches"),
    *("validate", "validate_every", "valid_users", "metric"),
)

FOLLOWING = ("samples", "encodings")  # what follows from the data: it says nothing more where the data differ

WARMUP = "steps of the warm-up"  # where their number follows from that of all steps

Flat = dict[str, Any]


class OtherTrainingError(UserError):
    """A folder holds a training that the settings can't go on with: resume=same drops it."""


@dataclass(frozen=True, kw_only=True)
class Shaping:
    """The settings that shape the weights, flat, and their defaults."""

    values: Flat
    defaults: Flat

    @classmethod
    def of(cls, settings: Training) -> "Shaping":
        """The shaping settings of a job, with their defaults."""
        values = {key: value for key, value in public(settings).items() if key in SHAPING}
        fields = {name: field.get_default() for name, field in type(settings).model_fields.items() if name in SHAPING}
        defaults = {name: public(value) if isinstance(value, BaseModel) else value for name, value in fields.items()}
        return cls(values=flatten(values), defaults=flatten(defaults))


def former_values(before: Checkpoint, defaults: Flat) -> Flat:
    """The values of keys that a checkpoint's fingerprint lacks, because the release that wrote it had no such setting.

    That is the setting's default, or else the value that describes what older releases did.
    """
    loss, sampling = before.fingerprint.get("loss.name"), before.fingerprint.get("loss.sampling")
    uncorrected = loss == "sampled_ce" and sampling == "uniform"
    total = before.fingerprint.get(f"steps of the {before.fingerprint.get('optimizer.schedule')} schedule")
    warmup = {} if total is None else {WARMUP: Schedule.of(Optimizer(warmup_steps=None), total_steps=total).warmup_steps}
    return {**defaults, "architecture": before.architecture, "loss.log_q": not uncorrected, "loss.terms": "sum", **warmup}


def require_network(before: str, now: str, *, folder: str, key: str) -> None:
    """Raise OtherTrainingError if a folder, which the setting `key` names, holds the checkpoints of another network.

    >>> require_network("simplex", "simplex", folder="m", key="model")
    """
    if before != now:
        raise OtherTrainingError(
            f"{folder} holds a training of {before}, which is another network than {now}: train into another {key}=FOLDER, or "
            "set resume=false, which removes its checkpoints"
        )


def require_same(before: Flat, now: Flat, *, folder: str) -> None:
    """Raise OtherTrainingError, naming the settings that differ from those of the folder's checkpoint, and what to do.

    >>> require_same({"seed": 1, "former": 2}, {"seed": 1}, folder="m")
    """
    differing = [key for key in now if before.get(key) != now.get(key)]
    if "data" in differing:
        differing = [key for key in differing if key not in FOLLOWING]
    if differing == ["data"]:
        raise OtherTrainingError(
            f"{folder} was trained on version {before['data']} of the dataset, which is now {now['data']}: resume=false trains "
            f"anew on it, model=FOLDER keeps both, data=FOLDER/{before['data']} goes on with the old version"
        )
    if differing:
        listed = "; ".join(f"{key}={before.get(key)} there, {now.get(key)} now" for key in differing)
        raise OtherTrainingError(
            f"{folder} holds a training with other settings ({listed}): "
            "use the same, another model=FOLDER, or resume=false to start over"
        )
