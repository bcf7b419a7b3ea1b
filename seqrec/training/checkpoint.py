"""Checkpoints of a model folder: `last.pt` to go on from, and the best by metric, whose name says step and metric."""

import io
import re
from typing import Any

import torch

from seqrec import files
from seqrec.errors import UserError

BEST = re.compile(r"^best_step(\d+)_([a-z0-9]+)_(-?\d+\.\d+)\.pt$")
LAST = "last.pt"


def best_name(step: int, metric: str, value: float) -> str:
    """
    >>> best_name(470, "ndcg@10", 0.17204)
    'best_step00000470_ndcg10_0.1720.pt'
    """
    return f"best_step{step:08d}_{metric.replace('@', '')}_{value:.4f}.pt"


def find(folder: str, which: str) -> str:
    """The path of a model's checkpoint: `best`, `last`, or a path, which is returned as it is.

    A model that was trained without validation has no best one: the last stands for it.
    """
    if which not in ("best", "last"):
        if not files.exists(which):
            raise UserError(f"checkpoint={which}: no such file; use best, last or the path of a checkpoint in {folder}")
        return which
    place = files.join(folder, "checkpoints")
    found = files.names(place)
    best = max((name for name in found if BEST.match(name)), default=LAST)
    name = LAST if which == "last" else best
    if name not in found:
        raise UserError(f"{place} has no {which} checkpoint (it holds: {', '.join(found) or 'nothing'}): run train first")
    return files.join(place, name)


def save(content: dict[str, Any], folder: str, name: str) -> None:
    """Write a checkpoint whole, and remove the best ones that it replaces."""
    place = files.join(folder, "checkpoints")
    sink = io.BytesIO()
    torch.save(content, sink)
    files.write_bytes(files.join(place, name), sink.getvalue())
    if BEST.match(name):
        for older in files.names(place):
            if BEST.match(older) and older != name:
                files.remove(files.join(place, older))


def load(path: str) -> dict[str, Any]:
    """A checkpoint's content, on the CPU; nothing but tensors and plain values is unpickled.

    Keys: model (state dict), architecture and arguments (of the encoder), step, epoch, metrics, meta, fingerprint; `last` has the
    training state too.
    """
    try:
        content: dict[str, Any] = torch.load(io.BytesIO(files.read_bytes(path)), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise UserError(f"{path} is not a checkpoint of seqrec ({type(error).__name__}): train again with resume=false") from None
    return content
