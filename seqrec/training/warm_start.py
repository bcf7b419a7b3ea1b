"""A training that begins from a checkpoint, `init=`: of the same vocabulary or of one that the dataset's extends.

    start = read_start(setup, inputs, cache)      # None without init
    start.identity                                # of the weights, for the fingerprint: where they lie doesn't matter
    start.begin(model, optimizer)                 # before the first step; what is kept and what is not is logged

The weights that a training begins with follow from its seed, its dataset and the checkpoint. Every process computes them.
"""

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.serving.sealed import USERS, VOCABULARY
from seqrec.storage import files, versions
from seqrec.training import checkpoint as checkpoints
from seqrec.training.carried_moments import carry_moments
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.fitting_start import differing_shape, require_fitting, shorten
from seqrec.training.frozen import freeze
from seqrec.training.inputs import Inputs
from seqrec.training.kept_weights import KeptWeights, UserHashes, grow_items, match_weights
from seqrec.training.new_rows import Likeness, NewRows
from seqrec.training.setup import TrainingSetup

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """The checkpoint that a training begins from, and what its dataset says of items that it lacks."""

    path: str
    identity: dict[str, Any]  # run_id, name, step and weights_sha256
    checkpoint: Checkpoint | None  # None: the file is gone, and the folder's training began from it
    arguments: dict[str, Any]  # of the model that begins from it
    likeness: Likeness
    users: UserHashes | None  # hashes of its users, and of the dataset's
    optimizer: str | None = None  # the optimiser whose moments are carried; None: it begins fresh
    says: bool = True  # whether it is logged what is kept

    @property
    def fingerprint(self) -> dict[str, str]:
        """What the weights depend on."""
        sha256 = self.identity["weights_sha256"][:12]
        now = {"init": f"{self.identity['run_id']} step {self.identity['step']} {sha256}"}
        return now | ({} if self.optimizer is None else {"init_optimizer": "carried"})

    def require_there(self) -> Checkpoint:
        """The checkpoint; UserError if its file is gone."""
        if self.checkpoint is None:
            raise UserError(f"init={self.path} isn't there any more: put it back, or begin from another")
        return self.checkpoint

    def begin(self, model: Encoder, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Put the checkpoint's weights into a new model, and its moments into the optimiser if they are carried."""
        start = self.require_there()
        old = checkpoints.rebuild(start, path=self.path)
        if self.optimizer is not None and start.trained is not None:
            old.load_state_dict(start.trained)  # the moments are of these, not of their average
        freeze(old, start.fingerprint.get("freeze", ()))  # the optimiser's numbers are of the others
        for before, now in zip(old.parts(), model.parts(), strict=True):
            kept = match_weights(before, now, self.users)
            kept.copy()
            found = grow_items(kept, self.likeness)
        if optimizer is not None and self.optimizer is not None:
            carry_moments(optimizer, kept, start)
        if self.says:
            _report(self, start, kept, found)


def read_start(setup: TrainingSetup, inputs: Inputs, cache: Path, *, says: bool) -> WarmStart | None:
    """The start of a training, None if its weights are drawn.

    Raises UserError for a checkpoint that isn't there, that lies in the training's own folder, whose vocabulary the dataset's
    doesn't extend, whose optimiser can't be carried, or that doesn't fit (see `require_fitting`). If the folder holds a training
    that began from this path, nothing need be there any more.
    """
    if setup.init is None:
        return None
    path = _find(setup.init, last=setup.carries_moments)
    if path is None:
        return _gone(setup, setup.init, inputs.plan.arguments)
    if files.absolute(path).startswith(files.absolute(files.join(setup.folder, "checkpoints")) + "/"):
        raise UserError(
            f"init={setup.init} lies in model={setup.folder}, whose checkpoints a new training removes: give another model=FOLDER"
        )
    start = checkpoints.load(path, remedy="begin from another model or checkpoint (init=PATH), or put it back from a copy")
    vocabulary = _read_vocabulary(path)
    _require_extension(start, vocabulary, inputs, path=path)
    require_members(start, inputs.plan.arguments, carried=setup.carries_moments, path=path)
    if setup.carries_moments:
        require_moments(start, setup.optimizer.name, path=path)
    users = _read_users(path, inputs.user_hashes)
    require_fitting(start, inputs, users, path=path)
    identity = {"run_id": start.meta["run_id"], "name": start.meta["name"], "step": start.step}
    size = int(start.arguments["vocab_size"])
    trained = np.ones(size, bool) if vocabulary is None else vocabulary["count"].to_numpy() > 0
    windows = versions.fetch_table(inputs.data.table("windows"), cache / "windows") if size < len(inputs.data.items) else []
    return WarmStart(
        path=path,
        identity={**identity, "weights_sha256": start.weights_sha256},
        checkpoint=start,
        arguments=inputs.plan.arguments,
        likeness=Likeness(trained=trained, vectors=inputs.vectors, windows=windows),
        users=users,
        optimizer=setup.optimizer.name if setup.carries_moments else None,
        says=says,
    )


def _find(init: str, *, last: bool) -> str | None:
    """The checkpoint that init names; None if nothing is there. A model's folder means its best one, or its last one."""
    if files.names(files.join(init, "checkpoints")) or files.exists(files.join(init, "encoder.onnx")):
        instead = f"init={files.join(init, 'checkpoints', checkpoints.LAST)}"
        return checkpoints.find(init, "last" if last else "best", instead=instead)
    if not files.exists(init):
        return None
    if files.names(init):
        raise UserError(f"init={init} holds no checkpoints: give a model's folder, or one of its checkpoints")
    return init


def _gone(setup: TrainingSetup, path: str, arguments: dict[str, Any]) -> WarmStart:
    """The start of the folder's training, whose checkpoint is gone; UserError if the folder holds none that began from it."""
    last = files.join(setup.folder, "checkpoints", checkpoints.LAST)
    meta = versions.read_meta(setup.folder) if setup.resume and files.exists(last) else {}
    if "init" not in meta or meta["settings"].get("init") != path:
        raise UserError(f"init={path}: no such checkpoint; give a model's folder, or one of its checkpoints")
    return WarmStart(
        path=path,
        identity=meta["init"],
        checkpoint=None,
        arguments=arguments,
        likeness=Likeness(trained=np.zeros(0, bool), vectors=None, windows=[]),
        users=None,
        optimizer=setup.optimizer.name if setup.carries_moments else None,
    )


def _beside(path: str, name: str) -> bytes | None:
    """A file of the folder of the model that a checkpoint lies in; None if there is none."""
    file = files.join(path.rpartition("/")[0].rpartition("/")[0] or ".", name)
    return files.read_bytes(file) if files.exists(file) else None


def _read_vocabulary(path: str) -> pa.Table | None:
    """The vocabulary of a checkpoint's model, by item_idx; None if the checkpoint was copied out of its folder."""
    raw = _beside(path, VOCABULARY)
    return None if raw is None else pq.read_table(io.BytesIO(raw)).sort_by("item_idx")


def _read_users(path: str, now: NDArray[np.int64] | None) -> UserHashes | None:
    """The hashes of the users of a checkpoint's model, and those now; None without both."""
    raw = None if now is None else _beside(path, USERS)
    return None if raw is None or now is None else (np.load(io.BytesIO(raw)), now)


def _require_extension(start: Checkpoint, vocabulary: pa.Table | None, inputs: Inputs, *, path: str) -> None:
    """Raise UserError unless the dataset's items begin with the checkpoint's, in the same order."""
    size, data = int(start.arguments["vocab_size"]), inputs.data
    remedy = "run build_sequences with vocabulary=DATASET of that model, or leave init out"
    if vocabulary is None:
        lineage = [growth.hash for growth in data.meta.vocabulary.lineage]
        if start.meta["vocabulary"]["hash"] not in lineage:
            raise UserError(
                f"init={path}: its vocabulary of {size:,} items is none that {data.path} grew from, and its model's {VOCABULARY} "
                f"isn't there to compare: {remedy}"
            )
        return
    before, now = vocabulary["item_id"].to_pylist(), data.items["item_id"].to_pylist()
    place = next((place for place in range(size) if place >= len(now) or before[place] != now[place]), None)
    if place is not None:
        here = repr(now[place]) if place < len(now) else f"none: it has {len(now):,} items"
        raise UserError(
            f"init={path}: the vocabulary of {data.path} doesn't extend its {size:,} items: item {place + FIRST_ITEM} is "
            f"{before[place]!r} there and {here} here: {remedy}"
        )


def require_members(start: Checkpoint, arguments: dict[str, Any], *, carried: bool, path: str) -> None:
    """Raise UserError unless both models have as many members, and one each where moments are carried."""
    before, now = start.arguments.get("members", 1), arguments.get("members", 1)
    if before != now:
        raise UserError(f"init={path} has members={before}, and the new model members={now}: set members={before}")
    if carried and now > 1:
        raise UserError(f"init_optimizer=carried is of models of one member, and init={path} has {now}: set init_optimizer=fresh")


def require_moments(start: Checkpoint, name: str, *, path: str) -> None:
    """Raise UserError unless the checkpoint holds the state of an optimiser of that name."""
    if start.optimizer is None:
        raise UserError(f"init={path} holds no optimiser, which stands in last.pt alone: take that, or init_optimizer=fresh")
    before = start.fingerprint.get("optimizer.name")
    if before != name:
        raise UserError(
            f"init={path} was trained by optimizer.name={before}, and it is {name} now, which can't go on with its moments: "
            f"set optimizer.name={before}, or init_optimizer=fresh"
        )


def _report(start: WarmStart, read: Checkpoint, kept: KeptWeights, found: NewRows) -> None:
    """Log what is kept of the checkpoint, how new items begin, and what doesn't fit."""
    new = len(found.rows)
    drawn = new - int(found.by_vector.sum()) - int(found.by_windows.sum())
    log.info(
        "begins from %s, step %s: %s keep their rows; of %s new, %s begin as the mean of the most similar by vector, %s of "
        "those beside them in the windows, %s as drawn%s",
        read.meta["name"],
        f"{read.step:,}",
        counted(int(read.arguments["vocab_size"]), "item"),
        f"{new:,}",
        *(f"{number:,}" for number in (int(found.by_vector.sum()), int(found.by_windows.sum()), drawn)),
        "; the optimiser's moments are carried" if start.optimizer else "",
    )
    differing = differing_shape(read.arguments, start.arguments)
    if shaped := [f"{key}={there} there, {here} here" for key, (there, here) in differing.items()]:
        log.info("the model is of another shape than that of init: %s", shorten(shaped))
    if kept.anew:
        log.warning("weights that begin as drawn, as they don't fit those of init: %s", shorten(kept.anew))
    if kept.left:
        log.warning("weights of init that have no place here: %s", shorten(kept.left))
