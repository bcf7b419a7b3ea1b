"""A logistic regression as an ONNX graph: `features` (N, F) float32 → `score` (N,) float32, with the terms of numbers inside."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from seqrec.rankers.logistic import LogisticModel
from seqrec.rankers.number_terms import LARGEST
from seqrec.serving.ranker import FEATURES, SCORE


def write_logistic_graph(model: LogisticModel, path: Path, *, opset: int) -> None:
    """Write the model; each node is a step of `NumberTerms.expand`, in its order."""
    terms = model.terms
    rows = {"lowest": terms.lowest, "mean": terms.mean, "deviation": terms.deviation}
    rows |= {"log_mean": terms.log_mean, "log_deviation": terms.log_deviation}
    constants: dict[str, NDArray[np.generic]] = {name: row[None] for name, row in rows.items()}  # (1, F)
    numbers = {"zero": 0.0, "one": 1.0, "most": float(LARGEST), "least": -float(LARGEST), "intercept": model.intercept}
    constants |= {name: np.array(value, np.float32) for name, value in numbers.items()}
    constants |= {
        "weights": model.weights.astype(np.float32)[:, None],
        "flat": np.array([-1], np.int64),
    }
    graph = helper.make_graph(
        _term_nodes() + _score_nodes(),
        "ranker",
        [helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["N", len(terms.mean)])],
        [helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    written = helper.make_model(
        graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets), producer_name="seqrec"
    )
    onnx.checker.check_model(written)
    path.write_bytes(written.SerializeToString())


def _term_nodes() -> list[NodeProto]:
    """From `features` to the three groups of terms: values, logarithms and missing."""
    return [
        helper.make_node("IsNaN", [FEATURES], ["is_missing"]),
        helper.make_node("Where", ["is_missing", "mean", FEATURES], ["filled"]),
        *_standardised("filled", "mean", "deviation", "values"),
        helper.make_node("Sub", ["filled", "lowest"], ["distance"]),
        helper.make_node("Max", ["distance", "zero"], ["above"]),
        helper.make_node("Add", ["above", "one"], ["from_one"]),
        helper.make_node("Log", ["from_one"], ["logarithm"]),
        *_standardised("logarithm", "log_mean", "log_deviation", "bounded_logarithms"),
        helper.make_node("Where", ["is_missing", "zero", "bounded_logarithms"], ["logarithms"]),
        helper.make_node("Cast", ["is_missing"], ["missing"], to=TensorProto.FLOAT),
    ]


def _standardised(values: str, mean: str, deviation: str, output: str) -> list[NodeProto]:
    """Values less their mean, in standard deviations, at most LARGEST."""
    return [
        helper.make_node("Sub", [values, mean], [f"{output}_centred"]),
        helper.make_node("Div", [f"{output}_centred", deviation], [f"{output}_scaled"]),
        helper.make_node("Max", [f"{output}_scaled", "least"], [f"{output}_from_below"]),
        helper.make_node("Min", [f"{output}_from_below", "most"], [output]),
    ]


def _score_nodes() -> list[NodeProto]:
    """From the terms to `score`."""
    return [
        helper.make_node("Concat", ["values", "logarithms", "missing"], ["terms"], axis=1),
        helper.make_node("MatMul", ["terms", "weights"], ["products"]),
        helper.make_node("Add", ["products", "intercept"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["probability"]),
        helper.make_node("Reshape", ["probability", "flat"], [SCORE]),
    ]
