"""LightGBM's trees as ONNX: the same leaves for every row, at thresholds and for missing values too."""

from pathlib import Path

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.rankers.tree_graph import float_below, write_tree_graph
from seqrec.serving.queries import open_encoder


def trained(*, missing: bool) -> tuple[lightgbm.Booster, NDArray[np.float32]]:
    draw = np.random.default_rng(3)
    features = draw.normal(size=(400, 3)).astype(np.float32)
    if missing:
        features[draw.random((400, 3)) < 0.2] = np.nan
    labels = (np.nan_to_num(features[:, 0], nan=1.0) - np.nan_to_num(features[:, 1], nan=-2.0) > 0.3).astype(np.float32)
    parameters = {"objective": "binary", "num_leaves": 15, "min_data_in_leaf": 3, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(parameters, lightgbm.Dataset(features, labels), num_boost_round=30), features


def thresholds(tree: dict[str, object]) -> list[float]:
    """The thresholds of a tree's nodes."""
    if "split_index" not in tree:
        return []
    children = [tree[side] for side in ("left_child", "right_child")]
    below = [value for child in children if isinstance(child, dict) for value in thresholds(child)]
    return [float(str(tree["threshold"])), *below]


@pytest.mark.parametrize("opset", [9, 18])
@pytest.mark.parametrize("missing", [False, True])
def test_each_row_takes_lightgbms_leaves(tmp_path: Path, opset: int, missing: bool) -> None:
    booster, features = trained(missing=missing)
    trees = booster.dump_model()["tree_info"]
    cuts = np.array([value for tree in trees for value in thresholds(tree["tree_structure"])])
    near = np.float32(cuts)
    edges = np.concatenate([near, np.nextafter(near, np.float32(9)), np.nextafter(near, np.float32(-9))])
    rows = np.concatenate([features, np.stack([edges] * 3, axis=1), np.full((1, 3), np.nan), [[np.nan, 0, 1]]]).astype(np.float32)
    write_tree_graph(trees, tmp_path / "trees.onnx", features=3, opset=opset)
    (scores,) = open_encoder(str(tmp_path / "trees.onnx"), 1).run(["score"], {"features": rows})
    assert scores.shape == (len(rows),)
    np.testing.assert_allclose(scores, np.asarray(booster.predict(rows)), atol=1e-6)


def test_a_threshold_is_rounded_down() -> None:
    for threshold in np.random.default_rng(0).normal(size=200):
        below = np.float32(float_below(threshold))
        assert float(below) <= threshold < float(np.nextafter(below, np.float32(np.inf)))


def test_an_opset_that_onnx_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="opset=99: the onnx package knows opsets up to"):
        write_tree_graph([], tmp_path / "trees.onnx", features=3, opset=99)
