"""A torch encoder as an ONNX graph: `items` int64 (B, L) -> `query` float32 (B, D), both axes dynamic.

An encoder with embeddings of users has a further input, `user_idx` int64 (B,).
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqrec.models.encoder import Encoder

EXTERNAL_BYTES = 1 << 30  # more weights go to a file beside the graph, as a protobuf holds at most 2 GB


class Query(nn.Module):
    """What the graph computes: the encoder's query, or that for the item before a history, as a module's forward."""

    def __init__(self, encoder: Encoder, *, backwards: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.backwards = backwards

    def forward(self, *inputs: Tensor) -> Tensor:
        """items (B, L), and user_idx (B,) where the encoder takes it -> query (B, D)"""
        return self.encoder.query_before(*inputs) if self.backwards else self.encoder.query(*inputs)


def write_graph(query: Query, path: Path, *, max_len: int, opset: int, external_bytes: int = EXTERNAL_BYTES) -> None:
    """Write an encoder's query, in evaluation mode, to an ONNX file; above `external_bytes` its weights go to PATH.data.

    The exporter's stack traces are left out, so the file names no folder of this machine.
    """
    length = torch.export.Dim("length", max=max_len) if max_len > 2 else torch.export.Dim.AUTO
    batch = torch.export.Dim("batch")
    encoder = query.encoder
    examples = {"items": torch.ones((2, max(2, max_len // 2)), dtype=torch.int64), "user_idx": torch.zeros(2, dtype=torch.int64)}
    axes = {"items": {0: batch, 1: length}, "user_idx": {0: batch}}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                query.eval(),
                tuple(examples[name] for name in encoder.inputs),
                input_names=list(encoder.inputs),
                output_names=["query"],
                opset_version=opset,
                dynamic_shapes=(tuple(axes[name] for name in encoder.inputs),),
                dynamo=True,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    _strip(program.model)
    size = sum(parameter.numel() * parameter.element_size() for parameter in encoder.parameters())
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
