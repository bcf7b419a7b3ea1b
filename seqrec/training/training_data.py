"""What a training reads of a dataset's version, without Spark: meta.json, the vocabulary, and the users of the windows."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.storage.metadata import DatasetMeta


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """A version of a dataset, resolved once."""

    path: str
    meta: DatasetMeta
    items: pa.Table  # item_id, item_idx, count, by item_idx; and `vector`, whether an item has one, where there are vectors

    @property
    def counts(self) -> torch.Tensor:
        """(V,) training events of each item."""
        return torch.from_numpy(self.items["count"].to_numpy().copy())

    def with_vectors(self, known: NDArray[np.bool_]) -> "TrainingData":
        """The data, whose items say which of them (V,) have a vector.

        What Spark noted of the columns goes: a table with these notes is read by Spark without any column that they lack.
        """
        return replace(self, items=self.items.append_column("vector", pa.array(known)).replace_schema_metadata(None))

    def table(self, name: str) -> str:
        """The path of a table."""
        return files.join(self.path, name)


def open_training_data(folder: str, cache: Path) -> TrainingData:
    """Read a dataset's meta.json and vocabulary; UserError if they don't agree or there is nothing to learn from."""
    path = versions.resolve(folder)
    meta = DatasetMeta.read(path)
    table = files.join(path, "items")
    parts = [pq.read_table(part) for part in versions.fetch_table(table, cache / "items")]
    items = pa.concat_tables(parts).sort_by("item_idx")
    if len(items) != meta.vocabulary.size:
        raise UserError(f"{table} has {len(items)} rows, its meta.json says {meta.vocabulary.size}: run build_sequences again")
    if meta.task == "test":
        raise UserError(f"{path} was built with task=test, so it has nothing to learn from: build it with another task")
    return TrainingData(path=path, meta=meta, items=items)


def read_user_hashes(data: TrainingData, cache: Path) -> NDArray[np.int64]:
    """The hashes of the users who have windows, sorted; UserError if the windows don't say whose they are."""
    table = data.table("windows")
    hashes = [np.zeros(0, dtype=np.int64)]
    for part in versions.fetch_table(table, cache):
        if "user" not in pq.read_schema(part).names:
            raise UserError(f"{table} doesn't say whose its windows are: run build_sequences again, or encoder.user_weight=0")
        hashes.append(np.unique(pq.read_table(part, columns=["user"])["user"].to_numpy()))
    return np.unique(np.concatenate(hashes))
