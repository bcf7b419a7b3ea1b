"""A checkpoint into an export: encoder.onnx, item_matrix.npy, item_embeddings, item2id.json and the meta.json that seals them.

The files are made in a temporary folder and checked against torch on histories of the dataset. Only then they become a version in
MODEL/exports, and when that is whole, the current one. So an export that fails leaves the ones before as they were.
"""

import json
import logging
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.command.screen import counted, duration
from seqrec.errors import UserError
from seqrec.export.graph import Query, write_graph
from seqrec.export.item_embeddings import write_item_embeddings
from seqrec.export.parity import largest_difference, sample_histories
from seqrec.export.restore import (
    TrainedModel,
    build_encoder,
    read_checkpoint,
    read_vocabulary,
    require_same_users,
    require_same_vocabulary,
)
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.serving import sealed
from seqrec.serving.exports import Export, check_lineage, open_export
from seqrec.serving.opset import require_opset
from seqrec.storage import files, versions
from seqrec.storage.lock import hold_in
from seqrec.storage.meta import META
from seqrec.storage.metadata import DatasetMeta

log = logging.getLogger("seqrec")

LOCK, WAIT_S = ".export.lock", 60.0  # held while the files are put in place


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The version of ONNX's operators, how many users' histories are compared with torch, and how far results may differ."""

    opset: int = 18
    parity_users: int = 256
    parity_tolerance: float = 1e-4


DEFAULT_CONVERSION = Conversion()


def export(
    model: str,
    *,
    data: str,
    checkpoint: str = "best",
    into: str | None = None,
    keep: int = 5,
    conversion: Conversion = DEFAULT_CONVERSION,
) -> Export:
    """Export a checkpoint (best, last or a path) of a model's folder as its current export, or into another folder.

    Of the exports the newest `keep` stay. Raises UserError, with the exports as they were, if the checkpoint doesn't fit the
    vocabulary, if ONNX Runtime doesn't read the opset, or if it and torch differ by more than the tolerance.
    """
    started = time.monotonic()
    dataset = versions.resolve(data)
    trained = read_checkpoint(model, checkpoint)
    check_lineage(trained.meta, DatasetMeta.read(dataset))
    require_opset(conversion.opset)
    with tempfile.TemporaryDirectory(prefix="seqrec-export-") as temporary:
        work = Path(temporary)
        encoder, matrix = _write_files(model, trained, work, opset=conversion.opset)
        parity = _check_parity(encoder, matrix, work, trained, sequences=files.join(dataset, "sequences"), conversion=conversion)
        content = {**_describe(trained, matrix, inputs=list(encoder.inputs)), "parity": parity}
        exported = _put(work, into, content) if into else _add_version(work, model, content, keep=keep)
    log.info(
        "exported %s in %s\n  ONNX Runtime and torch differ by at most %.0e on %s",
        trained.path,
        duration(time.monotonic() - started),
        parity["largest_relative_difference"],
        counted(int(parity["histories"]), "history", "histories"),
    )
    return exported


def find_export(model: str, *, checkpoint: str = "best", conversion: Conversion = DEFAULT_CONVERSION) -> Export | None:
    """The current export of a model's folder if it is whole, and what `export` would make of the checkpoint; else None.

    It is of the same training, file, step and weights, of the same opset, and its parity with torch is within the tolerance.
    """
    folder = files.join(model, sealed.EXPORTS)
    if not files.exists(files.join(folder, versions.CURRENT)):
        return None
    trained = read_checkpoint(model, checkpoint)
    try:
        current = open_export(versions.resolve(folder))
        if files.is_local(current.path):
            sealed.verify_files(str(files.local_path(current.path)), current.scoring_files())
    except UserError:
        return None  # it isn't whole
    meta, parity = current.meta, current.meta.parity or {}
    same = (meta.checkpoint or {}) | {"run_id": meta.run_id, "weights": meta.weights_sha256, "opset": parity.get("opset")}
    wanted = {
        "run_id": trained.meta.run_id,
        "file": trained.path.rsplit("/", 1)[-1],
        "step": trained.checkpoint.step,
        "weights": trained.weights_sha256,
        "opset": conversion.opset,
    }
    close = parity.get("largest_relative_difference", np.inf) <= conversion.parity_tolerance
    if not close or not wanted.items() <= same.items():
        return None
    log.info("%s is exported already: %s", trained.path, current.path)
    return current


def require_place(folder: str) -> None:
    """Raise UserError unless an export may be written into a folder: it is empty, not there, or holds an export already."""
    if "files" not in (versions.read_meta(folder) if files.exists(files.join(folder, META)) else {}) and files.names(folder):
        raise UserError(f"output={folder} holds other files than those of an export: name an empty folder, or a new one")


def _write_files(model: str, trained: TrainedModel, work: Path, *, opset: int) -> tuple[Encoder, NDArray[np.float32]]:
    """Write all files of the export into the folder `work`; returns the encoder and the item matrix."""
    vocabulary = read_vocabulary(model, work / "model")
    require_same_vocabulary(trained, vocabulary, path=files.join(model, sealed.VOCABULARY))
    encoder = build_encoder(trained)
    for name, query in _graphs(encoder).items():
        write_graph(query, work / name, max_len=int(trained.checkpoint.arguments["max_len"]), opset=opset)
    if "user_idx" in encoder.inputs:
        _copy_users(model, trained, work)
    return encoder, _write_items(encoder, vocabulary, work)


def _graphs(encoder: Encoder) -> dict[str, Query]:
    """What the graph in each file computes; one looks backwards if the encoder does."""
    forwards = {sealed.ENCODER: Query(encoder)}
    return {**forwards, sealed.BACKWARDS: Query(encoder, backwards=True)} if encoder.looks_back else forwards


def _write_items(encoder: Encoder, vocabulary: pa.Table, work: Path) -> NDArray[np.float32]:
    """Write the item matrix (V + 2, D), which is returned, the table item_embeddings, the vocabulary and item2id.json."""
    matrix: NDArray[np.float32] = encoder.item_matrix().detach().numpy()
    np.save(work / sealed.MATRIX, matrix)
    write_item_embeddings(matrix, vocabulary, work / sealed.EMBEDDINGS_PART)
    pq.write_table(
        vocabulary.replace_schema_metadata(None), work / sealed.VOCABULARY
    )  # else Spark reads the columns it wrote alone
    ids = zip(vocabulary["item_id"].to_pylist(), vocabulary["item_idx"].to_pylist(), strict=True)
    (work / sealed.ITEM2ID).write_text(json.dumps({str(item): index for item, index in ids}, ensure_ascii=False), "utf-8")
    return matrix


def _copy_users(model: str, trained: TrainedModel, work: Path) -> None:
    """Copy the users whose embeddings the model has; UserError unless they are those of the checkpoint."""
    path = files.join(model, sealed.USERS)
    if not files.exists(path):
        raise UserError(
            f"{path} is missing, and {trained.path} has embeddings of users: `train_two_tower` of model={model} puts it back, or "
            f"take the folder that {trained.path} comes from"
        )
    shutil.copyfile(files.fetch(path, work / "model"), work / sealed.USERS)
    require_same_users(trained, np.load(work / sealed.USERS), path=path)


def _check_parity(
    encoder: Encoder,
    matrix: NDArray[np.float32],
    work: Path,
    trained: TrainedModel,
    *,
    sequences: str,
    conversion: Conversion,
) -> dict[str, float]:
    """The comparison with torch, for meta.json; UserError if they differ too much, or if weights aren't finite."""
    max_len, cache = int(trained.checkpoint.arguments["max_len"]), work / "sequences"
    sample = sample_histories(sequences, users=conversion.parity_users, end=len(matrix), max_len=max_len, cache=cache)
    difference = max(largest_difference(query, work / name, sample, max_len=max_len) for name, query in _graphs(encoder).items())
    if not np.isfinite(matrix).all():
        raise UserError(
            f"{trained.path} has weights that are not finite; nothing was replaced: train again with a lower optimizer.lr"
        )
    if not difference <= conversion.parity_tolerance:
        raise UserError(
            f"{trained.path}: ONNX Runtime and torch differ by {difference:.2e}, above "
            f"parity_tolerance={conversion.parity_tolerance:.0e}; nothing was replaced: raise parity_tolerance if that is close "
            f"enough"
        )
    return {"histories": len(sample), "largest_relative_difference": difference, "opset": conversion.opset}


def _describe(trained: TrainedModel, matrix: NDArray[np.float32], *, inputs: list[str]) -> dict[str, object]:
    """A model's part of meta.json: the training's meta, the encoder's arguments, and the checkpoint."""
    reached = trained.checkpoint
    progress = {"step": reached.step, "epoch": reached.epoch, "metrics": reached.metrics}
    return {
        **trained.checkpoint.meta,
        "architecture": trained.checkpoint.architecture,
        "encoder": trained.checkpoint.arguments,
        "inputs": inputs,
        "max_len": trained.checkpoint.arguments["max_len"],
        "dim": matrix.shape[1],
        "vocab_size": len(matrix) - FIRST_ITEM,
        "checkpoint": {"file": trained.path.rsplit("/", 1)[-1], **progress},
        "weights_sha256": trained.weights_sha256,
    }


def _add_version(work: Path, model: str, content: dict[str, object], *, keep: int) -> Export:
    """Add the files as a version of the model's exports, and make it the current one; what a failure leaves is removed."""
    folder = files.join(model, sealed.EXPORTS)
    with hold_in(folder, LOCK, what=f"an export of {model}", remedy="run it again when that has ended", wait_s=WAIT_S):
        run_id = versions.new_run_id()
        path = files.join(folder, run_id)
        try:
            exported = _put(work, path, {**content, "export": run_id})
        except BaseException:
            files.remove(path)
            raise
        versions.commit(folder, run_id, keep=keep)
    return exported


def _put(work: Path, folder: str, content: dict[str, object]) -> Export:
    """Put the files in place, the table's _SUCCESS after its rows, and meta.json last."""
    names = [name for name in sealed.EXPORTED if (work / name).exists()]
    for name in names:
        files.put(work / name, files.join(folder, name))
    files.write_text(files.join(folder, sealed.EMBEDDINGS, "_SUCCESS"), "")
    sealed.seal(folder, content, source=work, names=names)
    return open_export(folder)
