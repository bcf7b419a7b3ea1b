"""The product of queries and items, against double precision, and bit by bit in batches of all sizes."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from seqrec.serving.product import GRAPH, product


def test_the_graph_is_what_the_comment_says() -> None:
    axes = {"q": ["b", "d"], "m": ["n", "d"], "s": ["b", "n"]}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in axes.items()}
    node = helper.make_node("Gemm", ["q", "m"], ["s"], transB=1)
    graph = helper.make_graph([node], "s", [values["q"], values["m"]], [values["s"]])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    assert made.SerializeToString() == GRAPH


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
