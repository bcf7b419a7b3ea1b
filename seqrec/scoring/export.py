"""A checkpoint into an exported model: encoder.onnx, item_matrix.npy, item_embeddings and the meta.json that seals them."""

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

from seqrec import files, versions
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.models.encoders import ENCODERS, Encoder
from seqrec.scoring import artifact
from seqrec.scoring.graph import write_graph
from seqrec.scoring.parity import largest_difference, sample_histories
from seqrec.training import checkpoint as checkpoints

log = logging.getLogger("seqrec")

PART = f"{artifact.EMBEDDINGS}/part-00000.parquet"
GROUP_ROWS = 65536  # item embeddings in a row group


def export(
    model: str,
    *,
    data: str,
    checkpoint: str = "best",
    into: str | None = None,
    opset: int = 18,
    parity_users: int = 256,
    parity_tolerance: float = 1e-4,
) -> dict[str, Any]:
    """Export a checkpoint (best, last or a path) of a model folder into it, or into another folder; returns the meta.json.

    The files are made in a temporary folder and checked against torch on histories of the dataset; only then they replace what
    was there, one by one, meta.json last: a model whose files are not all of one export is refused when it is opened. Raises
    UserError if the checkpoint doesn't fit the vocabulary, or if ONNX Runtime and torch differ by more than the tolerance.
    """
    started = time.monotonic()
    dataset = versions.resolve(data)
    content, path = _read_checkpoint(model, checkpoint)
    artifact.check_lineage(content["meta"], versions.read_meta(dataset, "dataset to train on"))
    with tempfile.TemporaryDirectory(prefix="seqrec-export-") as place:
        work = Path(place)
        vocabulary = pq.read_table(files.fetch(files.join(model, artifact.VOCABULARY), work / "model"))
        encoder = _build(content, vocabulary, path=path, model=model)
        matrix = encoder.item_matrix().detach().numpy()  # (V + 2, D)
        max_len = int(content["arguments"]["max_len"])
        write_graph(encoder, work / artifact.ENCODER, max_len=max_len, opset=opset)
        np.save(work / artifact.MATRIX, matrix)
        write_item_embeddings(matrix, vocabulary, work / PART)
        pq.write_table(vocabulary, work / artifact.VOCABULARY)
        if "user_idx" in encoder.inputs:
            shutil.copyfile(files.fetch(files.join(model, artifact.USERS), work / "model"), work / artifact.USERS)
        sequences = files.join(dataset, "sequences")
        sample = sample_histories(sequences, users=parity_users, known=len(matrix), max_len=max_len, cache=work / "sequences")
        difference = largest_difference(encoder, work / artifact.ENCODER, sample, max_len=max_len)
        _require_parity(difference, matrix, parity_tolerance, path=path)
        parity = {"histories": len(sample), "largest_relative_difference": difference, "opset": opset}
        described = _describe(content, path, matrix, inputs=list(encoder.inputs))
        meta = _replace(work, into or model, {**described, "parity": parity})
    log.info("exported %s: parity %.1e on %d histories, %.1f s", path, difference, len(sample), time.monotonic() - started)
    return meta


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


def _read_checkpoint(model: str, which: str) -> tuple[dict[str, Any], str]:
    """The checkpoint's content and path; one from elsewhere must have this model's vocabulary."""
    path = checkpoints.find(model, which)
    content = checkpoints.load(path)
    if which not in ("best", "last"):
        own = checkpoints.load(checkpoints.find(model, "last"))["meta"]["vocabulary"]["hash"]
        if content["meta"]["vocabulary"]["hash"] != own:
            raise UserError(f"{path} was trained with another vocabulary than {model}: export it in the folder it comes from")
    return content, path


def _build(content: dict[str, Any], vocabulary: pa.Table, *, path: str, model: str) -> Encoder:
    """The encoder of a checkpoint, in evaluation mode; UserError if its size isn't the vocabulary's."""
    size = int(content["arguments"]["vocab_size"])
    if size != len(vocabulary):
        raise UserError(
            f"{path} has {size} items, {files.join(model, artifact.VOCABULARY)} has {len(vocabulary)}: take the checkpoint and "
            f"the vocabulary of one training, or train again with resume=false"
        )
    if vocabulary["item_idx"].to_pylist() != list(range(FIRST_ITEM, FIRST_ITEM + size)):
        raise UserError(
            f"{files.join(model, artifact.VOCABULARY)} is not numbered {FIRST_ITEM} to {size + 1} in order: train again"
        )
    encoder = ENCODERS[content["architecture"]](**content["arguments"])
    encoder.load_state_dict(content["model"])
    return encoder.eval()


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


def _replace(work: Path, folder: str, meta: dict[str, Any]) -> dict[str, Any]:
    """Put the files in place, the table's _SUCCESS after its rows, and meta.json last; remove what an earlier export left."""
    made = (artifact.ENCODER, artifact.WEIGHTS, artifact.MATRIX, artifact.VOCABULARY, artifact.USERS)
    names = [name for name in made if (work / name).exists()]
    files.remove(files.join(folder, artifact.EMBEDDINGS))
    for name in [*names, PART]:
        files.put(work / name, files.join(folder, name))
    files.write_text(files.join(folder, artifact.EMBEDDINGS, "_SUCCESS"), "")
    if artifact.WEIGHTS not in names:
        files.remove(files.join(folder, artifact.WEIGHTS))
    return artifact.seal(folder, meta, source=work, names=[*names, PART])
