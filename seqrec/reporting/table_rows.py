"""The rows of finished tables by Arrow, a batch at a time: a table may be larger than the memory, and on another machine."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seqrec.storage import files, versions

BATCH = 65_536  # rows


def table_batches(path: str, columns: Sequence[str], *, rows: int = BATCH) -> Iterator[pa.RecordBatch]:
    """The batches of a table, in the order of its files; a remote file is copied here, and removed after it is read.

    Raises UserError if the table is absent or unfinished, or if a file is missing, added or cut (see `versions.table_files`).
    """
    for name in versions.table_files(path):
        with tempfile.TemporaryDirectory(prefix="seqrec-report-") as cache:
            part = files.fetch(files.join(path, name), Path(cache))
            with pq.ParquetFile(part) as source:
                yield from source.iter_batches(batch_size=rows, columns=list(columns))


def whole_table(path: str, columns: Sequence[str]) -> pa.Table:
    """Some columns of a table that fits in memory, such as the items of a dataset; UserError as `table_batches` raises it."""
    batches = list(table_batches(path, columns))
    if batches:
        return pa.Table.from_batches(batches)
    return pa.table({name: pa.array([], pa.null()) for name in columns})
