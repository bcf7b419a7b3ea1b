"""A checkpoint back into its encoder, with the vocabulary and the users it was trained on, and no others."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoders import ENCODERS, Encoder
from seqrec.training import checkpoint as checkpoints
from seqrec.training.inputs import hash_users, hash_vocabulary

REMEDY = "take the files of one training, or start it over with resume=false"


def read_checkpoint(model: str, which: str) -> tuple[dict[str, Any], str]:
    """The checkpoint's content and path; one from elsewhere must have this model's vocabulary."""
    path = checkpoints.find(model, which)
    content = checkpoints.load(path)
    if which not in ("best", "last"):
        own = checkpoints.load(checkpoints.find(model, "last"))["meta"]["vocabulary"]["hash"]
        if content["meta"]["vocabulary"]["hash"] != own:
            raise UserError(f"{path} was trained with another vocabulary than {model}: export it in the folder it comes from")
    return content, path


def require_same_vocabulary(content: dict[str, Any], vocabulary: pa.Table, *, path: str, place: str) -> None:
    """Raise UserError unless the vocabulary, read from `place`, is the one that the checkpoint of `path` was trained with."""
    size = int(content["arguments"]["vocab_size"])
    if size != len(vocabulary):
        raise UserError(f"{path} has {size} items, {place} has {len(vocabulary)}: {REMEDY}")
    if vocabulary["item_idx"].to_pylist() != list(range(FIRST_ITEM, FIRST_ITEM + size)):
        raise UserError(f"{place} is not numbered {FIRST_ITEM} to {size + 1} in order: train again")
    if content["meta"].get("vocabulary_sha256", digest := hash_vocabulary(vocabulary)) != digest:
        raise UserError(f"{path} was trained with other items or counts than those in {place}: {REMEDY}")


def require_same_users(content: dict[str, Any], users: NDArray[np.int64], *, path: str, place: str) -> None:
    """Raise UserError unless the users, read from `place`, are those whose embeddings the checkpoint of `path` has."""
    count = int(content["arguments"]["users"])
    if count != len(users):
        raise UserError(f"{path} has embeddings of {count} users, {place} has {len(users)}: {REMEDY}")
    if content["meta"].get("users_sha256", digest := hash_users(users)) != digest:
        raise UserError(f"{path} has embeddings of other users than those in {place}: {REMEDY}")


def build_encoder(content: dict[str, Any], *, path: str) -> Encoder:
    """The encoder of a checkpoint, in evaluation mode; UserError if its parts don't fit each other."""
    name = content["architecture"]
    if name not in ENCODERS:
        raise UserError(f"{path} is of the architecture {name!r}; this version of seqrec knows {', '.join(ENCODERS)}")
    try:
        encoder = ENCODERS[name](**content["arguments"])
        encoder.load_state_dict(content["model"])
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0]
        raise UserError(
            f"{path}: its weights don't fit its arguments ({said}): take another checkpoint, or train again"
        ) from None
    return encoder.eval()
