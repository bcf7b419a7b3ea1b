"""A checkpoint into an export: encoder.onnx, item_matrix.npy, item_embeddings and the meta.json that seals them."""

import logging
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.export.graph import write_graph
from seqrec.export.parity import largest_difference, sample_histories
from seqrec.export.restore import build_encoder, read_checkpoint, require_same_users, require_same_vocabulary
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoders import Encoder
from seqrec.serving import exports, sealed
from seqrec.storage import files, versions
from seqrec.storage.lock import hold_in

log = logging.getLogger("seqrec")

PART = f"{sealed.EMBEDDINGS}/part-00000.parquet"
GROUP_ROWS = 65536  # item embeddings in a row group
LOCK, WAIT_S = ".export.lock", 60.0  # held while the files are put in place


def export(
    model: str,
    *,
    data: str,
    checkpoint: str = "best",
    into: str | None = None,
    keep: int = 5,
    opset: int = 18,
    parity_users: int = 256,
    parity_tolerance: float = 1e-4,
) -> dict[str, Any]:
    """Export a checkpoint (best, last or a path) of a model folder, or into another folder; returns the meta.json.

    The files are made in a temporary folder and checked against torch on histories of the dataset. Only then they become a
    version in MODEL/exports, and when it is whole, the current one; the newest `keep` stay. Raises UserError, with the exports as
    they were, if the checkpoint doesn't fit the vocabulary, or if ONNX Runtime and torch differ by more than the tolerance.
    """
    started = time.monotonic()
    dataset = versions.resolve(data)
    content, path = read_checkpoint(model, checkpoint)
    sealed.check_lineage(content["meta"], versions.read_meta(dataset, "dataset to train on"))
    with tempfile.TemporaryDirectory(prefix="seqrec-export-") as place:
        work = Path(place)
        vocabulary = pq.read_table(files.fetch(files.join(model, sealed.VOCABULARY), work / "model"))
        require_same_vocabulary(content, vocabulary, path=path, place=files.join(model, sealed.VOCABULARY))
        encoder, max_len = build_encoder(content, path=path), int(content["arguments"]["max_len"])
        write_graph(encoder, work / sealed.ENCODER, max_len=max_len, opset=opset)
        matrix = _write_items(encoder, vocabulary, work)
        if "user_idx" in encoder.inputs:
            _copy_users(model, content, work, path=path)
        sequences = files.join(dataset, "sequences")
        sample = sample_histories(sequences, users=parity_users, known=len(matrix), max_len=max_len, cache=work / "sequences")
        difference = largest_difference(encoder, work / sealed.ENCODER, sample, max_len=max_len)
        _require_parity(difference, matrix, parity_tolerance, path=path)
        parity = {"histories": len(sample), "largest_relative_difference": difference, "opset": opset}
        described = {**_describe(content, path, matrix, inputs=list(encoder.inputs)), "parity": parity}
        meta = _put(work, into, described) if into else _add_version(work, model, described, keep=keep)
    log.info("exported %s: parity %.1e on %d histories, %.1f s", path, difference, len(sample), time.monotonic() - started)
    return meta


def _write_items(encoder: Encoder, vocabulary: pa.Table, work: Path) -> NDArray[np.float32]:
    """Write the item matrix (V + 2, D), which is returned, the table item_embeddings and the vocabulary."""
    matrix: NDArray[np.float32] = encoder.item_matrix().detach().numpy()
    np.save(work / sealed.MATRIX, matrix)
    write_item_embeddings(matrix, vocabulary, work / PART)
    pq.write_table(vocabulary, work / sealed.VOCABULARY)
    return matrix


def write_item_embeddings(matrix: NDArray[np.float32], vocabulary: pa.Table, path: Path) -> None:
    """Write the rows of the items (V) as a Parquet file of the table item_embeddings, in groups of bounded size."""
    kind = vocabulary.schema.field("item_id").type
    schema = pa.schema(
        [
            pa.field("item_id", kind, nullable=False),
            pa.field("item_idx", pa.int32(), nullable=False),
            pa.field("embedding", pa.list_(pa.field("element", pa.float32(), nullable=False)), nullable=False),
        ]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, schema, compression="zstd") as sink:
        for first in range(0, len(vocabulary), GROUP_ROWS):
            rows = vocabulary.slice(first, GROUP_ROWS).combine_chunks()
            values = matrix[FIRST_ITEM + first :][: len(rows)]
            offsets = pa.array(np.arange(len(rows) + 1) * matrix.shape[1], pa.int32())
            embedding = pa.ListArray.from_arrays(offsets, pa.array(values.ravel())).cast(schema.field("embedding").type)
            sink.write_table(pa.table([rows["item_id"], rows["item_idx"].cast(pa.int32()), embedding], schema=schema))


def _copy_users(model: str, content: dict[str, Any], work: Path, *, path: str) -> None:
    """The users whom the model knows, as the checkpoint says."""
    place = files.join(model, sealed.USERS)
    if not files.exists(place):
        raise UserError(f"{place} is missing, and {path} has embeddings of users: take the folder that {path} comes from")
    shutil.copyfile(files.fetch(place, work / "model"), work / sealed.USERS)
    require_same_users(content, np.load(work / sealed.USERS), path=path, place=place)


def _require_parity(difference: float, matrix: NDArray[np.float32], tolerance: float, *, path: str) -> None:
    if not np.isfinite(matrix).all():
        raise UserError(f"{path} has weights that are not finite; nothing was replaced: train again with a lower optimizer.lr")
    if not difference <= tolerance:
        raise UserError(
            f"{path}: ONNX Runtime and torch differ by {difference:.2e}, above parity_tolerance={tolerance:.0e}; nothing was "
            f"replaced: raise parity_tolerance if that is close enough"
        )


def _describe(content: dict[str, Any], path: str, matrix: NDArray[np.float32], *, inputs: list[str]) -> dict[str, Any]:
    used = {name: content[name] for name in ("step", "epoch", "metrics")}
    return {
        **content["meta"],
        "architecture": content["architecture"],
        "encoder": content["arguments"],
        "inputs": inputs,
        "max_len": content["arguments"]["max_len"],
        "dim": matrix.shape[1],
        "vocab_size": len(matrix) - FIRST_ITEM,
        "checkpoint": {"file": path.rsplit("/", 1)[-1], **used},
    }


def _add_version(work: Path, model: str, meta: dict[str, Any], *, keep: int) -> dict[str, Any]:
    """Add the files as a version of the model's exports, and make it the current one; what a failure leaves is removed."""
    folder = files.join(model, exports.FOLDER)
    with hold_in(folder, LOCK, what=f"an export of {model}", remedy="run it again when that has ended", wait_s=WAIT_S):
        run_id = versions.new_run_id()
        path = files.join(folder, run_id)
        try:
            sealed = _put(work, path, {**meta, "export": run_id})
        except BaseException:
            files.remove(path)
            raise
        versions.commit(folder, run_id, keep=keep)
    return sealed


def _put(work: Path, folder: str, meta: dict[str, Any]) -> dict[str, Any]:
    """Put the files in place, the table's _SUCCESS after its rows, and meta.json last."""
    made = (sealed.ENCODER, sealed.WEIGHTS, sealed.MATRIX, sealed.VOCABULARY, sealed.USERS, PART)
    names = [name for name in made if (work / name).exists()]
    for name in names:
        files.put(work / name, files.join(folder, name))
    files.write_text(files.join(folder, sealed.EMBEDDINGS, "_SUCCESS"), "")
    return sealed.seal(folder, meta, source=work, names=names)
