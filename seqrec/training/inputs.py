"""What a training takes from a dataset's version: metadata, vocabulary, item counts, and who has windows."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.sealed import USERS, VOCABULARY
from seqrec.storage import files, versions

NOBODY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A version of a dataset, resolved once."""

    path: str
    meta: dict[str, Any]
    items: pa.Table  # item_id, item_idx, count, by item_idx

    @property
    def counts(self) -> torch.Tensor:
        """(V,) training events of each item."""
        return torch.from_numpy(self.items["count"].to_numpy().copy())


def open_dataset(folder: str, cache: Path) -> Dataset:
    """Read a dataset's metadata and vocabulary; UserError if they don't agree or nothing can be learned."""
    path = versions.resolve(folder)
    meta = versions.read_meta(path, "dataset to train on")
    table = files.join(path, "items")
    read = [pq.read_table(files.fetch(files.join(table, name), cache / "items")) for name in versions.table_files(table)]
    items = pa.concat_tables(read).sort_by("item_idx")
    size = meta["vocabulary"]["size"]
    if len(items) != size:
        raise UserError(f"{table} has {len(items)} rows, its meta.json says {size}: run build_sequences again")
    if meta["task"] == "test":
        raise UserError(f"{path} was built with task=test, so it has nothing to learn from: build it with another task")
    return Dataset(path=path, meta=meta, items=items)


def read_users(dataset: Dataset, cache: Path) -> NDArray[np.int64]:
    """The hashes of the users who have windows, sorted; UserError if the windows don't say whose they are."""
    table = files.join(dataset.path, "windows")
    found = [NOBODY]
    for name in versions.table_files(table):
        path = files.fetch(files.join(table, name), cache)
        if "user" not in pq.read_schema(path).names:
            raise UserError(f"{table} doesn't say whose its windows are: run build_sequences again, or encoder.user_weight=0")
        found.append(np.unique(pq.read_table(path, columns=["user"])["user"].to_numpy()))
    return np.unique(np.concatenate(found))


def hash_vocabulary(items: pa.Table) -> str:
    """The SHA-256 of a vocabulary's values: ids, indices and counts, however they are encoded in a file."""
    digest = hashlib.sha256()
    for name in ("item_id", "item_idx", "count"):
        digest.update(json.dumps([name, items[name].to_pylist()]).encode())
    return digest.hexdigest()


def hash_users(users: NDArray[np.int64]) -> str:
    """The SHA-256 of the hashes of a model's users."""
    return hashlib.sha256(users.astype("<i8").tobytes()).hexdigest()


def start_model(folder: str, dataset: Dataset, users: NDArray[np.int64], meta: dict[str, Any]) -> None:
    """Clear a model's folder of an earlier training; write the vocabulary, the users it knows, if any, and its meta.json.

    The exports of the earlier training stay: they are in use until the new one is exported.
    """
    for name in ("meta.json", "checkpoints", "epochs.jsonl", "tensorboard", USERS):
        files.remove(files.join(folder, name))
    sink = io.BytesIO()
    pq.write_table(dataset.items, sink)
    files.write_bytes(files.join(folder, VOCABULARY), sink.getvalue())
    if len(users):
        sink = io.BytesIO()
        np.save(sink, users)
        files.write_bytes(files.join(folder, USERS), sink.getvalue())
    versions.write_meta(folder, meta)
