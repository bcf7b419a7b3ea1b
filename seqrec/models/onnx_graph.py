"""A torch module as an ONNX graph, in evaluation mode, with inputs of dynamic sizes. ONNX Runtime isn't needed for it."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

EXTERNAL_BYTES = 1 << 30  # more weights go to a file beside the graph, as a protobuf holds at most 2 GB


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph: its name, an example, and which of the example's axes are dynamic."""

    name: str
    example: Tensor
    axes: dict[int, Any]


def write_module(
    module: nn.Module, path: Path, *, inputs: Sequence[GraphInput], output: str, opset: int, external_bytes: int = EXTERNAL_BYTES
) -> None:
    """Write a module's forward, which takes `*inputs`, to an ONNX file; above `external_bytes` its weights go to PATH.data.

    The exporter's stack traces are left out, so the file names no folder of this machine.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                tuple(part.example for part in inputs),
                input_names=[part.name for part in inputs],
                output_names=[output],
                opset_version=opset,
                dynamic_shapes=(tuple(part.axes for part in inputs),),
                dynamo=True,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    _strip(program.model)
    size = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
    program.save(str(path), external_data=size > external_bytes)


def _strip(model: Any) -> None:
    """Remove what the exporter notes beside the graph; all names of nodes, inputs and weights stay."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()
