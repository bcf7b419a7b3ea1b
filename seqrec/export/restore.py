"""A checkpoint back into its encoder, with the vocabulary and the users it was trained on, and no others."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.serving.sealed import VOCABULARY
from seqrec.storage import files
from seqrec.storage.metadata import TrainedMeta
from seqrec.training import checkpoint as checkpoints
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.model_folder import hash_users, hash_vocabulary

REMEDY = "take the files of one training, or start it over with resume=false"


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A checkpoint of a training, and where it was read."""

    path: str
    meta: TrainedMeta
    checkpoint: Checkpoint

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of all that an export computes: the architecture, its arguments, and the weights bit by bit."""
        return self.checkpoint.weights_sha256


def read_checkpoint(model: str, which: str) -> TrainedModel:
    """A checkpoint of a model's folder (best, last or a path); one from elsewhere must have this model's vocabulary."""
    trained = _load(checkpoints.find(model, which))
    if which not in ("best", "last"):
        last = _load(checkpoints.find(model, "last"))
        if trained.meta.vocabulary.hash != last.meta.vocabulary.hash:
            path = trained.path
            raise UserError(f"{path} was trained with another vocabulary than {model}: export it in the folder it comes from")
    return trained


def _load(path: str) -> TrainedModel:
    """The checkpoint in a file."""
    checkpoint = checkpoints.load(path)
    meta = TrainedMeta.of(checkpoint.meta, path=path, remedy=checkpoints.other_remedy(path))
    return TrainedModel(path=path, meta=meta, checkpoint=checkpoint)


def read_vocabulary(model: str, cache: Path) -> pa.Table:
    """The vocabulary in a model's folder; UserError if it is missing or broken."""
    path = files.join(model, VOCABULARY)
    remedy = f"`train` of model={model}, with the settings of its config.yaml, puts it back from the dataset"
    if not files.exists(path):
        raise UserError(f"{path} is missing: {remedy}")
    try:
        return pq.read_table(files.fetch(path, cache))
    except (pa.ArrowException, OSError):
        raise UserError(f"{path} is broken, or is no Parquet: remove it, and {remedy}") from None


def require_same_vocabulary(model: TrainedModel, vocabulary: pa.Table, *, path: str) -> None:
    """Raise UserError unless the vocabulary, read from `path`, is the one that the model was trained with."""
    size = int(model.checkpoint.arguments["vocab_size"])
    if size != len(vocabulary):
        raise UserError(f"{model.path} has {size} items, {path} has {len(vocabulary)}: {REMEDY}")
    if vocabulary["item_idx"].to_pylist() != list(range(FIRST_ITEM, FIRST_ITEM + size)):
        raise UserError(f"{path} is not numbered {FIRST_ITEM} to {size + 1} in order: train again")
    if model.meta.vocabulary_sha256 not in (None, hash_vocabulary(vocabulary)):
        raise UserError(f"{model.path} was trained with other items or counts than those in {path}: {REMEDY}")


def require_same_users(model: TrainedModel, users: NDArray[np.int64], *, path: str) -> None:
    """Raise UserError unless the users, read from `path`, are those whose embeddings the model has."""
    count = int(model.checkpoint.arguments["users"])
    if count != len(users):
        raise UserError(f"{model.path} has embeddings of {count} users, {path} has {len(users)}: {REMEDY}")
    if model.meta.users_sha256 not in (None, hash_users(users)):
        raise UserError(f"{model.path} has embeddings of other users than those in {path}: {REMEDY}")


def build_encoder(model: TrainedModel) -> Encoder:
    """The encoder with its weights, in evaluation mode; UserError if the checkpoint's parts don't fit each other."""
    encoder = checkpoints.rebuild(model.checkpoint, path=model.path)
    encoder.settle()
    return encoder
