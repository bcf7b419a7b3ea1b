"""Checkpoints of a model folder: `last.pt` to go on from, and the best by metric, whose name says step and metric."""

import io
import re
import zipfile
from typing import Any

import torch

from seqrec.errors import UserError
from seqrec.storage import files

BEST = re.compile(r"^best_step(\d+)_([a-z0-9]+)_(-?\d+\.\d+)\.pt$")
LAST = "last.pt"
META = ("run_id", "name", "dataset", "id_types", "vocabulary.hash")
KEYS = (
    *("model", "architecture", "arguments.vocab_size", "arguments.max_len", "step", "epoch", "metrics"),
    *(f"meta.{key}" for key in META),
)
STATE = (*KEYS, "fingerprint", "optimizer", "progress")  # what a training goes on from
OTHERS = (
    "take another, such as checkpoint=best or the path of one, or put it back from a copy; only to start the training over, and "
    "to remove the folder's checkpoints with it: resume=false"
)


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
    if name not in found and files.exists(files.join(folder, "encoder.onnx")):
        raise UserError(
            f"{folder} is an export, which has no checkpoints: evaluate it with onnx=true, or take its model's folder"
        )
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


def load(path: str, *, keys: tuple[str, ...] = KEYS) -> dict[str, Any]:
    """A checkpoint's content, on the CPU; nothing but tensors and plain values is unpickled.

    Keys: those of KEYS and fingerprint; the `last` one has those of STATE too. Raises UserError with the cause if the file can't
    be read, isn't a checkpoint, or lacks one of the keys asked for.
    """
    try:
        raw = files.read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint") from None
    except UserError:
        raise  # it names the path and the reason
    except Exception as error:
        raise UserError(f"{path} can't be read ({_cause(error)}): nothing was changed, so mend that and run it again") from error
    if not zipfile.is_zipfile(io.BytesIO(raw)):
        raise UserError(f"{path} is not a checkpoint, or not a whole one ({len(raw)} bytes): {OTHERS}")
    try:
        content: Any = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
    except Exception as error:
        remedy = "free some memory, and run it again" if _no_memory(error) else OTHERS
        raise UserError(f"{path} can't be opened as a checkpoint ({_cause(error)}): {remedy}") from error
    absent = _absent(content, keys)
    if absent:
        raise UserError(f"{path} is not a checkpoint of seqrec's train: it lacks {', '.join(absent)}; {OTHERS}")
    checkpoint: dict[str, Any] = content
    return checkpoint


def _cause(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    return ": ".join(filter(None, [type(error).__name__, first]))


def _no_memory(error: Exception) -> bool:
    """Whether memory ran out; torch says so by a plain RuntimeError."""
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)


def _absent(content: Any, keys: tuple[str, ...]) -> list[str]:
    """The keys (dotted) that a checkpoint's content lacks."""
    absent = []
    for key in keys:
        inner = content
        for part in key.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        if inner is None:
            absent.append(key)
    return absent
