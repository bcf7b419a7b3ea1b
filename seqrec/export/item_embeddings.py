"""The table item_embeddings, written without Spark: the rows of the item matrix with the items' ids."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM

GROUP_ROWS = 65536  # item embeddings in a row group


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
