"""Gradient-boosted trees into an ONNX graph, without zipmap: `features` (N, F) float32 → `score` (N,) float32.

LightGBM compares with thresholds of 64 bits. Rounded to the nearest float32, some would send a row that is equal to them to the
other leaf. Here they are rounded down: for a feature x of float32, x ≤ t holds exactly if x ≤ the largest float32 not above t.
So each row takes the leaves that LightGBM takes, and scores differ only by the rounding of the sum. Missing values go where
LightGBM sends them: the node's default side if the training had missing values there, else where 0 goes.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from seqrec.errors import UserError
from seqrec.serving.ranker import FEATURES, SCORE

TREE_OPSET = 1  # of ai.onnx.ml: the first that has TreeEnsembleRegressor, which every runtime knows


def float_below(threshold: float) -> float:
    """The largest float32 that is not above a threshold.

    >>> float_below(0.1) <= 0.1 < np.nextafter(np.float32(float_below(0.1)), np.float32(1))
    True
    >>> float_below(0.5), float_below(-1e300)
    (0.5, -inf)
    """
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))


@dataclass
class _Nodes:
    """The attributes of ONNX's TreeEnsembleRegressor: a row a node, and a row a leaf."""

    columns: dict[str, Any] = field(default_factory=lambda: defaultdict(list))

    def add_tree(self, number: int, root: dict[str, Any]) -> None:
        """Add a tree of `Booster.dump_model`; its nodes are numbered from the root, 0."""
        waiting, count = [(0, root)], 1
        while waiting:
            node, content = waiting.pop()
            left, right = (count, count + 1) if "split_index" in content else (0, 0)
            self._add_node(number, node, content, left, right)
            if "split_index" in content:
                waiting += [(right, content["right_child"]), (left, content["left_child"])]
                count += 2

    def _add_node(self, tree: int, node: int, content: dict[str, Any], left: int, right: int) -> None:
        """Add a node, or a leaf and its value."""
        splits = "split_index" in content
        if splits and content["decision_type"] != "<=":
            raise ValueError(f"a split of the kind {content['decision_type']} can't be converted")
        row = {
            "nodes_treeids": tree,
            "nodes_nodeids": node,
            "nodes_featureids": content["split_feature"] if splits else 0,
            "nodes_modes": "BRANCH_LEQ" if splits else "LEAF",
            "nodes_values": float_below(content["threshold"]) if splits else 0.0,
            "nodes_truenodeids": left,
            "nodes_falsenodeids": right,
            "nodes_hitrates": 1.0,
            "nodes_missing_value_tracks_true": int(splits and _missing_goes_left(content)),
        }
        if not splits:
            row |= {"target_treeids": tree, "target_nodeids": node, "target_ids": 0, "target_weights": content["leaf_value"]}
        for name, value in row.items():
            self.columns[name].append(value)


def write_tree_graph(trees: list[dict[str, Any]], path: Path, *, features: int, opset: int) -> None:
    """Write trees (`tree_info` of LightGBM's dump_model, objective binary) as ONNX; UserError for an opset that isn't known."""
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise UserError(f"opset={opset}: the onnx package knows opsets up to {newest}: set a lower one")
    nodes = _Nodes()
    for number, tree in enumerate(trees):
        nodes.add_tree(number, tree["tree_structure"])
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        [FEATURES],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        **nodes.columns,
    )
    flat = helper.make_tensor("flat", TensorProto.INT64, [1], [-1])
    graph = helper.make_graph(
        [ensemble, helper.make_node("Reshape", ["sums", "flat"], ["sum"]), helper.make_node("Sigmoid", ["sum"], [SCORE])],
        "ranker",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["N"])],
        [flat],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", TREE_OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets), producer_name="seqrec"
    )
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _missing_goes_left(content: dict[str, Any]) -> bool:
    """Where a missing value goes at a node: LightGBM takes it as 0 where the training had none."""
    return bool(content["default_left"] if content["missing_type"] == "NaN" else content["threshold"] >= 0)
