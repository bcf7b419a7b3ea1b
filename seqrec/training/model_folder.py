"""What a model's folder holds beside its checkpoints: the vocabulary, the users with embeddings, and meta.json."""

import hashlib
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.command.kept_log import LOG
from seqrec.serving.sealed import USERS, VOCABULARY
from seqrec.storage import files, versions
from seqrec.storage.meta import META
from seqrec.tracking.kept_files import RUN_FILE
from seqrec.training.curves import PICTURES
from seqrec.training.training_data import TrainingData

LOCK = ".train.lock"  # held from before the first write to the end of the training


def start_model_folder(folder: str, data: TrainingData, user_hashes: NDArray[np.int64] | None, meta: dict[str, Any]) -> None:
    """Remove what an earlier training left, and write what every model's folder has beside its checkpoints.

    The exports of the earlier training stay: they are in use until the new model is exported. The hashes are of the users with
    embeddings, None for a model without.
    """
    for name in (META, "checkpoints", "epochs.jsonl", "tensorboard", *PICTURES, LOG, VOCABULARY, USERS, RUN_FILE):
        files.remove(files.join(folder, name))
    complete_model_folder(folder, data, user_hashes, meta)


def complete_model_folder(folder: str, data: TrainingData, user_hashes: NDArray[np.int64] | None, meta: dict[str, Any]) -> None:
    """Write what a model's folder lacks of the files that every one has beside its checkpoints; they follow from its dataset."""
    there = files.names(folder)
    if VOCABULARY not in there:
        sink = io.BytesIO()
        pq.write_table(data.items, sink)
        files.write_bytes(files.join(folder, VOCABULARY), sink.getvalue())
    if user_hashes is not None and USERS not in there:
        sink = io.BytesIO()
        np.save(sink, user_hashes)
        files.write_bytes(files.join(folder, USERS), sink.getvalue())
    if META not in there:
        versions.write_meta(folder, meta)


def hash_vocabulary(items: pa.Table) -> str:
    """The SHA-256 of a vocabulary's values: ids, indices and counts, however they are encoded in a file."""
    digest = hashlib.sha256()
    for name in ("item_id", "item_idx", "count"):
        digest.update(json.dumps([name, items[name].to_pylist()]).encode())
    return digest.hexdigest()


def hash_users(user_hashes: NDArray[np.int64]) -> str:
    """The SHA-256 of the hashes of a model's users."""
    return hashlib.sha256(user_hashes.astype("<i8").tobytes()).hexdigest()
