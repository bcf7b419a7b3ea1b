"""Products of float32 matrices on ONNX Runtime: scores of queries and items, and of many pairs of small matrices.

A row's scores are the same bit by bit wherever it stands in a batch of two rows or more, so lists don't depend on the
partitioning. numpy's OpenBLAS doesn't promise that: its kernels for AVX2 round rows 6 to 11 of every 12 differently from the
others. ONNX Runtime also takes half the time: 7 ms against 14 ms for 256 queries of width 64 and 16,384 items, on one core of an
AMD EPYC. On a Xeon that OpenBLAS 0.3.23 doesn't know it takes a sixth: 7 µs against 44 µs for 100 rows by 60 of width 64.
"""

import os
from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray

# The ONNX graph s = q · mᵀ (Gemm with transB=1, opset 18, free axes), as onnx.helper writes it; a test builds it again.
GRAPH = (
    b'\x08\x08:h\n\x1e\n\x01q\n\x01m\x12\x01s"\x04Gemm*\r\n\x06transB\x18\x01\xa0\x01\x02\x12\x01s'
    b"Z\x15\n\x01q\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01b\n\x03\x12\x01dZ\x15\n\x01m\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01n"
    b"\n\x03\x12\x01db\x15\n\x01s\x12\x10\n\x0e\x08\x01\x12\n\n\x03\x12\x01b\n\x03\x12\x01nB\x04\n\x00\x10\x12"
)


# The graph s = l · rᵀ of each pair of matrices (Transpose with perm=[0, 2, 1], MatMul).
PAIRS_GRAPH = (
    b'\x08\x08:\x8e\x01\n"\n\x01r\x12\x01t"\tTranspose*\x0f\n\x04pe'
    b'rm@\x00@\x02@\x01\xa0\x01\x07\n\x11\n\x01l\n\x01t\x12\x01s"\x06MatMul'
    b"\x12\x01sZ\x1a\n\x01l\x12\x15\n\x13\x08\x01\x12\x0f\n\x03\x12\x01b\n\x03\x12\x01k\n\x03\x12\x01"
    b"dZ\x1a\n\x01r\x12\x15\n\x13\x08\x01\x12\x0f\n\x03\x12\x01b\n\x03\x12\x01n\n\x03\x12\x01db"
    b"\x1a\n\x01s\x12\x15\n\x13\x08\x01\x12\x0f\n\x03\x12\x01b\n\x03\x12\x01k\n\x03\x12\x01nB\x04\n"
    b"\x00\x10\x12"
)


def product(queries: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """queries (B, D) and rows of an item matrix (N, D) -> scores (B, N).

    One thread, or OMP_NUM_THREADS of them, which Spark sets to the cores of a task.

    >>> product(np.array([[1.0, 2.0]], np.float32), np.array([[3.0, 4.0], [5.0, 6.0]], np.float32)).tolist()
    [[11.0, 17.0]]
    """
    (scores,) = _session(GRAPH, _threads()).run(None, {"q": queries, "m": rows})
    return np.asarray(scores)


def products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """The products (B, K, L) of B pairs of matrices, (K, D) and (L, D) each; as many threads as `product` takes.

    >>> products(np.array([[[1.0, 2.0]]], np.float32), np.array([[[3.0, 4.0], [5.0, 6.0]]], np.float32)).tolist()
    [[[11.0, 17.0]]]
    """
    (scores,) = _session(PAIRS_GRAPH, _threads()).run(None, {"l": left, "r": right})
    return np.asarray(scores)


def _threads() -> int:
    """OMP_NUM_THREADS, else 1."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    return int(threads) if threads.isdecimal() else 1


@cache
def _session(graph: bytes, threads: int) -> onnxruntime.InferenceSession:
    """The session of a graph, one for each number of threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
