"""What a training takes from a dataset's version: metadata, vocabulary and item counts."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from seqrec import files, versions
from seqrec.errors import UserError

EXPORTED = ("meta.json", "encoder.onnx", "encoder.onnx.data", "item_matrix.npy", "item_embeddings")


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
    meta = versions.read_meta(path)
    table = files.join(path, "items")
    parts = [name for name in files.names(table) if name.endswith(".parquet")]
    if not parts:
        raise UserError(f"the table {table} is missing: run build_sequences again")
    read = [pq.read_table(files.fetch(files.join(table, name), cache / "items")) for name in parts]
    items = pa.concat_tables(read).sort_by("item_idx")
    size = meta["vocabulary"]["size"]
    if len(items) != size:
        raise UserError(f"{table} has {len(items)} rows, its meta.json says {size}: run build_sequences again")
    if meta["task"] == "test":
        raise UserError(f"{path} was built with task=test, so it has nothing to learn from: build it with another task")
    return Dataset(path=path, meta=meta, items=items)


def start_model(folder: str, dataset: Dataset) -> None:
    """Clear a model's folder of an earlier training and its export, and write the vocabulary."""
    for name in ("checkpoints", "epochs.jsonl", "tensorboard", *EXPORTED):
        files.remove(files.join(folder, name))
    sink = io.BytesIO()
    pq.write_table(dataset.items, sink)
    files.write_bytes(files.join(folder, "vocabulary.parquet"), sink.getvalue())
