"""Where a model's exports lie, and what they say of themselves.

They are versions, MODEL/exports/RUN_ID and MODEL/exports/CURRENT: what reads one isn't disturbed by the next, and an older one is
the way back.
"""

import logging
from typing import Any

from seqrec.errors import UserError
from seqrec.storage import files, versions

FOLDER = "exports"

log = logging.getLogger("seqrec")


def locate(folder: str) -> str:
    """The folder of a model's current export; one that is an export itself, such as MODEL/exports/RUN_ID, is returned as it is.

    Call it once, at the start of a job: an export that follows then changes nothing under the reader. A warning says so if the
    folder's training has started over since the export. Raises UserError if the model isn't exported.
    """
    folder = folder.rstrip("/")
    exports = files.join(folder, FOLDER)
    if not files.exists(files.join(exports, versions.CURRENT)):
        if versions.RUN_ID.match(folder.rsplit("/", 1)[-1]):
            folder = versions.resolve(folder)
        read_sealed(folder)
        return folder
    path = versions.resolve(exports)
    exported, training = read_sealed(path)["run_id"], _training_of(folder)
    if training not in (None, exported):
        log.warning(
            "%s is an export of the training %s, and %s holds the training %s now: run export_onnx to take that one",
            path,
            exported,
            folder,
            training,
        )
    return path


def origin(meta: dict[str, Any]) -> dict[str, Any]:
    """What lists and metrics say of the model they come from: its name, the training's run id, the export's, the checkpoint."""
    return {
        "model": meta["name"],
        "model_run_id": meta["run_id"],
        "export": meta.get("export"),
        "checkpoint": meta.get("checkpoint"),
    }


def read_sealed(folder: str) -> dict[str, Any]:
    """The meta.json of an export; UserError if the folder holds none, or a meta.json that isn't one's.

    Its run_id is the training's, and `export` the run id of the export itself.
    """
    if not files.exists(files.join(folder, "meta.json")) or "files" not in versions.read_meta(folder):
        raise UserError(f"{folder} holds no exported model: run export_onnx model={_model_of(folder)} first")
    return versions.read_meta(folder, "export")


def _model_of(folder: str) -> str:
    """The model's folder of one that may be an export in it."""
    parent, _, name = folder.rstrip("/").rpartition("/")
    return parent.removesuffix(f"/{FOLDER}") if versions.RUN_ID.match(name) else folder


def _training_of(folder: str) -> str | None:
    """The run id of the training in a model's folder, as the training's meta.json says; None if it says nothing."""
    if not files.exists(files.join(folder, "meta.json")):
        return None
    meta = versions.read_meta(folder)
    return None if "files" in meta else meta.get("run_id")


def again(folder: str) -> str:
    """What to do about an export that isn't whole."""
    return f"run export_onnx model={_model_of(folder)} again"
