"""The product of queries and items, against double precision, and bit by bit in batches of all sizes."""

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from seqrec.serving.product import GRAPH, PAIRS_GRAPH, product, products

TRANSPOSED = helper.make_node("Transpose", ["r"], ["t"], perm=[0, 2, 1])


@pytest.mark.parametrize(
    ("nodes", "axes", "graph"),
    [
        ([helper.make_node("Gemm", ["q", "m"], ["s"], transB=1)], {"q": "bd", "m": "nd", "s": "bn"}, GRAPH),
        ([TRANSPOSED, helper.make_node("MatMul", ["l", "t"], ["s"])], {"l": "bkd", "r": "bnd", "s": "bkn"}, PAIRS_GRAPH),
    ],
)
def test_the_graphs_are_what_the_comments_say(nodes: list[NodeProto], axes: dict[str, str], graph: bytes) -> None:
    *inputs, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in axes.items())
    written = helper.make_graph(nodes, "s", inputs, [output])
    made = helper.make_model(written, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    assert made.SerializeToString() == graph


def test_products_of_pairs_are_those_of_each_pair() -> None:
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((7, size, 16)).astype(np.float32) for size in (5, 9))
    together = products(left, right)
    for pair in range(7):
        expected = left[pair].astype(np.float64) @ right[pair].astype(np.float64).T
        np.testing.assert_allclose(together[pair], expected, rtol=1e-4, atol=1e-5)
        assert (products(left[pair : pair + 1], right[pair : pair + 1])[0] == together[pair]).all()


@pytest.mark.parametrize("width", [1, 8, 50, 64, 65])
@pytest.mark.parametrize("items", [1, 3, 64, 302])
def test_a_row_has_the_same_scores_wherever_it_stands(width: int, items: int) -> None:
    random = np.random.default_rng(width)
    rows = random.standard_normal((items, width)).astype(np.float32)
    query = random.standard_normal(width).astype(np.float32)
    alone = product(np.stack([query, query]), rows)[0]
    np.testing.assert_allclose(alone, rows.astype(np.float64) @ query.astype(np.float64), rtol=1e-4, atol=1e-5)
    for users in (2, 3, 7, 24, 100, 256):
        queries = random.standard_normal((users, width)).astype(np.float32)
        places = random.permutation(users)[:20]
        queries[places] = query
        assert (product(queries, rows)[places] == alone).all()
