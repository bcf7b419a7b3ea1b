"""The training rows of samples, encoded once into a Parquet file on this machine, which Petastorm reads in each epoch.

Of the rows of train with a label, a process keeps each `world`-th one, so that all have about as many, whatever the files are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.rankers.samples import Samples
from seqrec.serving.feature_encoding import Encoding
from seqrec.training.processes import Process

GROUP_ROWS = 8192  # of a row group: groups come in another order in each epoch
LABEL = "label"


@dataclass(frozen=True, kw_only=True)
class EncodedFile:
    """A file of encoded rows: a column of float32 for each of the F features, f00000 and so on, and one for the label."""

    path: Path
    rows: int
    features: int

    @property
    def columns(self) -> list[str]:
        """The names of its columns, in order; the label is the last."""
        return [*feature_columns(self.features), LABEL]


def feature_columns(count: int) -> list[str]:
    """
    >>> feature_columns(2)
    ['f00000', 'f00001']
    """
    return [f"f{place:05d}" for place in range(count)]


def write_encoded(
    samples: Samples, encoding: Encoding, process: Process, path: Path, *, label: float | None = None
) -> EncodedFile:
    """Encode this process's rows of train, or those of one label, into a file; memory is that of a batch of samples."""
    columns = [*feature_columns(len(encoding.features)), LABEL]
    schema = pa.schema([pa.field(name, pa.float32(), nullable=False) for name in columns])
    rows, waiting = 0, np.empty((0, len(columns)), np.float32)
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as sink:
        for block in _blocks(samples, encoding, process, label=label):
            waiting = np.concatenate([waiting, block])
            while len(waiting) >= GROUP_ROWS:
                sink.write_table(_table(waiting[:GROUP_ROWS], schema))
                rows, waiting = rows + GROUP_ROWS, waiting[GROUP_ROWS:]
        if len(waiting):
            sink.write_table(_table(waiting, schema))
    return EncodedFile(path=path, rows=rows + len(waiting), features=len(encoding.features))


def sample_features(file: EncodedFile, *, most: int, seed: int) -> NDArray[np.float32]:
    """The features (n, F) of at most `most` rows of the file, drawn without return."""
    places = np.sort(np.random.default_rng(seed).permutation(file.rows)[:most])
    parts, first = [np.empty((0, file.features), np.float32)], 0
    with pq.ParquetFile(file.path) as source:
        for batch in source.iter_batches(GROUP_ROWS, columns=feature_columns(file.features)):
            mine = places[(places >= first) & (places < first + len(batch))] - first
            parts.append(np.column_stack([column.to_numpy()[mine] for column in batch.columns]))
            first += len(batch)
    return np.concatenate(parts)


def _blocks(samples: Samples, encoding: Encoding, process: Process, *, label: float | None) -> Iterator[NDArray[np.float32]]:
    """This process's rows of train, encoded, the label last: (n, F + 1) of each batch."""
    before = 0  # rows of all processes
    for batch in samples.labelled("train", encoding.names):
        wanted = np.arange(len(batch.labels)) if label is None else np.flatnonzero(batch.labels == label)
        mine = wanted[(process.rank - before) % process.world :: process.world]
        before += len(wanted)
        yield np.column_stack([encoding.encode(batch.rows.take(pa.array(mine))), batch.labels[mine]])


def _table(rows: NDArray[np.float32], schema: pa.Schema) -> pa.Table:
    """Rows (n, F + 1) as a table."""
    return pa.table([pa.array(np.ascontiguousarray(column)) for column in rows.T], schema=schema)
