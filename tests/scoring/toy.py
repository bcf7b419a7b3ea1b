"""A hand-made exported model: its query is the sum of the history's embeddings."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from seqrec.serving import sealed


def write_model(
    folder: Path,
    matrix: NDArray[np.float32],
    ids: list[Any],
    counts: list[int],
    *,
    max_len: int = 4,
    run_id: str = "r1",
    name: str = "toy",
    before: NDArray[np.float32] | None = None,
) -> None:
    """Write an exported model with the given item matrix (V + 2, D), the ids and the training counts of its V items.

    With `before`, the query for the item before a history is the sum of these embeddings (V + 2, D); without, there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(sum_of_embeddings(matrix), folder / sealed.ENCODER)
    backwards = [] if before is None else [sealed.BACKWARDS]
    if before is not None:
        onnx.save(sum_of_embeddings(before), folder / sealed.BACKWARDS)
    np.save(folder / sealed.MATRIX, matrix)
    item_idx = pa.array(range(2, len(ids) + 2), pa.int32())
    kind = pa.int64() if isinstance(ids[0], int) else pa.string()
    columns = {"item_id": pa.array(ids, kind), "item_idx": item_idx, "count": pa.array(counts, pa.int64())}
    pq.write_table(pa.table(columns), folder / sealed.VOCABULARY)
    step = {"size": len(ids), "hash": f"hash-{len(ids)}"}
    meta = {
        "run_id": run_id,
        "name": name,
        "dataset": "20250101T000000Z-0001",
        "id_types": {"user": "bigint", "item": "bigint" if kind == pa.int64() else "string"},
        "vocabulary": {**step, "lineage": [step]},
        "max_len": max_len,
        "dim": matrix.shape[1],
        "vocab_size": len(ids),
    }
    names = [sealed.ENCODER, sealed.MATRIX, sealed.VOCABULARY, *backwards]
    sealed.seal(str(folder), meta, source=folder, names=names)


def sum_of_embeddings(matrix: NDArray[np.float32]) -> onnx.ModelProto:
    """The graph items (B, L) -> query (B, D)."""
    nodes = [
        helper.make_node("Gather", ["embeddings", "items"], ["embedded"]),
        helper.make_node("ReduceSum", ["embedded", "axis"], ["query"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("items", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("query", TensorProto.FLOAT, ["batch", matrix.shape[1]])],
        [numpy_helper.from_array(matrix, "embeddings"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
