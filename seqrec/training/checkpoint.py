"""Checkpoints of a model folder: `last.pt`, from which a training is resumed, and the best, whose name says step and metric.

A file holds a dict of tensors and plain values, so that nothing else has to be unpickled; its keys are the fields of Checkpoint.
"""

import hashlib
import io
import json
import re
import zipfile
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import nn

from seqrec.errors import UserError
from seqrec.models.encoder import Encoder
from seqrec.models.encoders import ENCODERS, name_now
from seqrec.storage import files
from seqrec.training.checkpoint_faults import absent_keys, cause_of, lacks_memory
from seqrec.training.progress import Progress, Recorded

BEST = re.compile(r"^best_step(\d+)_([a-z0-9]+)_(-?\d+\.\d+)\.pt$")
LAST = "last.pt"
META = ("run_id", "name", "dataset", "id_types", "vocabulary.hash")
KEYS = (
    *("model", "architecture", "arguments.vocab_size", "arguments.max_len", "step", "epoch", "metrics"),
    *(f"meta.{key}" for key in META),
)
STATE = (*KEYS, "fingerprint", "optimizer", "progress")  # what a training is resumed from


class FeatureNetworkError(UserError):
    """A checkpoint of a network that reads no histories, where one of an encoder is needed; `architecture` is its name."""

    def __init__(self, message: str, architecture: str) -> None:
        super().__init__(message)
        self.architecture = architecture


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint holds. Rebuild the model with ENCODERS[architecture](**arguments), and load its weights."""

    model: dict[str, torch.Tensor]  # weights by name
    architecture: str
    arguments: dict[str, Any]
    meta: dict[str, Any]  # the meta.json of the model's folder
    fingerprint: dict[str, Any] = field(default_factory=dict)  # what the weights depend on
    step: int = 0
    epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)  # of these weights, if they were validated
    optimizer: dict[str, Any] | None = None  # in last.pt alone, as are the progress and the weights that aren't averaged
    progress: Recorded | None = None
    trained: dict[str, torch.Tensor] | None = None  # the weights that are trained, where `model` is their average
    reference: dict[str, torch.Tensor] | None = None  # in last.pt alone: what the objective keeps of the weights of the start

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of all that an export computes: the architecture, its arguments, and the weights bit by bit."""
        digest = hashlib.sha256(json.dumps([self.architecture, self.arguments], sort_keys=True).encode())
        for name, weight in sorted(self.model.items()):
            digest.update(json.dumps([name, str(weight.dtype), list(weight.shape)]).encode())
            digest.update(weight.contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Checkpointer:
    """Writes a training's checkpoints; rank 0 alone does."""

    folder: str
    writes: bool
    model: nn.Module  # what is validated
    trained: nn.Module | None  # what is trained, if that is another
    reference: dict[str, torch.Tensor]  # weights that the objective keeps as they are
    optimizer: torch.optim.Optimizer
    template: Checkpoint  # what every checkpoint of the training has in common

    def save_best(self, progress: Progress, metrics: dict[str, float], *, metric: str) -> None:
        """Write the model as the best, in place of the best one before it."""
        self._save(self._reached(progress, metrics), best_name(progress.step, metric, metrics[metric]))

    def save_last(self, progress: Progress, metrics: dict[str, float], sums: list[list[float]]) -> None:
        """Write all that a training is resumed from; sums has the row of each rank (see Progress.record)."""
        reached = self._reached(progress, metrics)
        trained = None if self.trained is None else self.trained.state_dict()
        state = replace(reached, optimizer=self.optimizer.state_dict(), progress=progress.record(sums), trained=trained)
        self._save(replace(state, reference=self.reference or None), LAST)

    def _reached(self, progress: Progress, metrics: dict[str, float]) -> Checkpoint:
        """The model as it is, and how far it has come."""
        weights = self.model.state_dict()
        return replace(self.template, model=weights, step=progress.step, epoch=progress.epoch, metrics=metrics)

    def _save(self, checkpoint: Checkpoint, name: str) -> None:
        """Write a checkpoint in the one process that does."""
        if self.writes:
            save(checkpoint, self.folder, name)


def best_name(step: int, metric: str, value: float) -> str:
    """
    >>> best_name(470, "ndcg@10", 0.17204)
    'best_step00000470_ndcg10_0.1720.pt'
    >>> best_name(8, "log_loss", 0.4)
    'best_step00000008_logloss_0.4000.pt'
    """
    plain = metric.replace("@", "").replace("_", "")
    return f"best_step{step:08d}_{plain}_{value:.4f}.pt"


def find(folder: str, which: str, *, instead: str = "checkpoint=last") -> str:
    """The path of a model's checkpoint: `best`, `last`, or a path, which is returned as it is.

    A model that was trained without validation has no best checkpoint: `best` then means the last one. UserError if there was a
    best one; `instead` is the setting that takes the last one.
    """
    if which not in ("best", "last"):
        if not files.exists(which):
            raise UserError(f"checkpoint={which}: no such file; use best, last or the path of a checkpoint in {folder}")
        return which
    path = files.join(folder, "checkpoints")
    names = files.names(path)
    best = max((name for name in names if BEST.match(name)), default=LAST)
    name = LAST if which == "last" else best
    if name not in names and files.exists(files.join(folder, "encoder.onnx")):
        raise UserError(
            f"{folder} is an export, which has no checkpoints: evaluate it with onnx=true, or take its model's folder"
        )
    if name not in names:
        raise UserError(f"{path} has no {which} checkpoint (it holds: {', '.join(names) or 'nothing'}): run train first")
    if which == "best" and name == LAST:
        last = load(files.join(path, LAST), keys=("model", "architecture", "arguments", "meta"))
        require_best(folder, last, remedy=f"take the last one ({instead}), or train again with resume=false")
    return files.join(path, name)


def require_best(folder: str, last: Checkpoint, *, remedy: str) -> None:
    """Raise UserError if a training had a best checkpoint, as its last one says, and its folder has none."""
    path, progress = files.join(folder, "checkpoints"), last.progress or {}
    if progress.get("best") is not None and not any(BEST.match(name) for name in files.names(path)):
        raise UserError(
            f"{path}/best_step{progress['best_step']:08d}_*.pt is missing, which {LAST} says was the best: put it back from a "
            f"copy, or {remedy}"
        )


def save(checkpoint: Checkpoint, folder: str, name: str) -> None:
    """Write a checkpoint whole; if it is a best one, remove the best ones before it."""
    path = files.join(folder, "checkpoints")
    content = {part.name: getattr(checkpoint, part.name) for part in fields(checkpoint)}
    sink = io.BytesIO()
    torch.save({name: value for name, value in content.items() if value is not None}, sink)
    files.write_bytes(files.join(path, name), sink.getvalue())
    if BEST.match(name):
        for older in files.names(path):
            if BEST.match(older) and older != name:
                files.remove(files.join(path, older))


def other_remedy(path: str) -> str:
    """What to do about a checkpoint that is broken: take another one of its folder, if there is one."""
    folder, _, name = path.rpartition("/")
    names = files.names(folder)
    others = {"best": any(BEST.match(other) and other != name for other in names), "last": LAST in names and name != LAST}
    other = next((f"checkpoint={which} or " for which, there in others.items() if there), "")
    return (
        f"take another, {other}the path of one, or put it back from a copy; only to start the training over, and to remove the "
        "folder's checkpoints with it: resume=false"
    )


def load(path: str, *, keys: tuple[str, ...] = KEYS, remedy: str | None = None) -> Checkpoint:
    """A checkpoint, on the CPU; nothing but tensors and plain values is unpickled.

    The remedy is what to do about a broken one, where that isn't to take another (see `other_remedy`).

    Raises UserError with the cause if the file can't be read, isn't a checkpoint, or lacks one of the keys: every checkpoint of
    an encoder has those of KEYS, and the last one those of STATE too. One of another network is a FeatureNetworkError.
    """
    try:
        raw = files.read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except UserError:
        raise  # it names the path and the reason
    except Exception as error:
        raise UserError(
            f"{path} can't be read ({cause_of(error)}): nothing was changed, so mend that and run it again"
        ) from error
    if not zipfile.is_zipfile(io.BytesIO(raw)):
        raise UserError(f"{path} is not a checkpoint, or not a whole one ({len(raw)} bytes): {remedy or other_remedy(path)}")
    try:
        content: Any = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:
        wanted = "free some memory, and run it again" if lacks_memory(error) else remedy or other_remedy(path)
        raise UserError(f"{path} can't be opened as a checkpoint ({cause_of(error)}): {wanted}") from error
    absent = absent_keys(content, keys)
    if absent and (network := _network_of_features(content)):
        raise FeatureNetworkError(
            f"{path} is of the architecture {network!r}, which reads no histories: the job that trained it exports and scores it "
            "too (train_two_tower towers=features)",
            network,
        )
    if absent:
        wanted = remedy or other_remedy(path)
        raise UserError(f"{path} is not a checkpoint of seqrec's train: it lacks {', '.join(absent)}; {wanted}")
    return Checkpoint(**{part.name: content[part.name] for part in fields(Checkpoint) if part.name in content})


def rebuild(checkpoint: Checkpoint, *, path: str) -> Encoder:
    """The encoder with its weights, in evaluation mode; UserError if the checkpoint's parts don't fit each other."""
    name = name_now(checkpoint.architecture)
    if name not in ENCODERS:
        raise UserError(f"{path} is of the architecture {name!r}; this version of seqrec knows {', '.join(ENCODERS)}")
    try:
        encoder = ENCODERS[name](**checkpoint.arguments)
        encoder.load_state_dict(checkpoint.model)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: its weights don't fit its arguments ({reason}): take another checkpoint, or train again"
        ) from None
    return encoder.eval()


def _network_of_features(content: Any) -> str | None:
    """The architecture of a checkpoint's content, if it has one that is no encoder of histories."""
    name = content.get("architecture") if isinstance(content, dict) else None
    return name if isinstance(name, str) and name_now(name) not in ENCODERS else None
