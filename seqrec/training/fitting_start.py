"""Whether a checkpoint fits the training that begins from it, which is said before anything is written."""

import json
from collections.abc import Sequence
from typing import Any

import torch

from seqrec.errors import UserError
from seqrec.serving.exports import check_unlearned
from seqrec.storage.metadata import TrainedMeta
from seqrec.training import checkpoint as checkpoints
from seqrec.training.checkpoint import Checkpoint
from seqrec.training.inputs import Inputs
from seqrec.training.kept_weights import KeptWeights, UserHashes, match_weights

SHOWN = 6  # names of weights in a line
UNSHAPED = ("vocab_size", "rows", "users", "dropout", "dropout_embedding", "dropout_attention", "dropout_mlp", "dropout_weights")


def require_fitting(start: Checkpoint, inputs: Inputs, users: UserHashes | None, *, path: str) -> None:
    """Raise UserError for a checkpoint of a newer dataset, one that can't be rebuilt, or one whose items have another width.

    An objective that keeps the weights as they begin needs all of them, in a model of the same shape.
    """
    trained = TrainedMeta.of(start.meta, path=path, remedy="take another checkpoint")
    check_unlearned(f"init={path}", trained, inputs.data.meta)
    old, plan = checkpoints.rebuild(start, path=path), inputs.plan
    with torch.device("meta"):  # where tensors have no values
        new = plan.build()
    matches = [match_weights(before, now, users) for before, now in zip(old.parts(), new.parts(), strict=True)]
    if plan.references:
        require_whole(start, plan.arguments, matches, path=path)


def differing_shape(before: dict[str, Any], now: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The arguments that shape two models and differ, with both values.

    >>> differing_shape({"heads": 2, "dropout": 0.1}, {"heads": 4, "dropout": 0.2})
    {'heads': (2, 4)}
    """
    return {key: (before[key], now[key]) for key in now if key not in UNSHAPED and key in before and before[key] != now[key]}


def shorten(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> shorten("abcdefgh")
    'a, b, c, d, e, f and 2 more'
    """
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def require_whole(start: Checkpoint, arguments: dict[str, Any], matches: list[KeptWeights], *, path: str) -> None:
    """Raise UserError, naming the settings that fit, if a model is of another shape or some weights have no counterpart."""
    if differing := differing_shape(start.arguments, arguments):
        keys = [f"encoder.{key}={json.dumps(there).strip(chr(34))}" for key, (there, _) in differing.items()]
        raise UserError(
            f"init={path} is of another shape than the model, and objective=preferences compares with its weights as they are: "
            f"set {', '.join(keys)}"
        )
    if names := [name for kept in matches for name in (*kept.anew, *kept.left)]:
        raise UserError(
            f"init={path} has other weights than the model ({shorten(names)}), and objective=preferences compares with them as "
            "they are: set the keys of encoder that it was trained with, or take another model"
        )
