"""A torch encoder as an ONNX graph: `items` int64 (B, L) -> `query` float32 (B, D), both axes dynamic; L is 1 where max_len is.

An encoder with embeddings of users has a further input, `user_idx` int64 (B,).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from seqrec.models.encoder import Encoder
from seqrec.models.onnx_graph import EXTERNAL_BYTES, GraphInput, write_module


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
    """Write an encoder's query, in evaluation mode, to an ONNX file; see `write_module`."""
    length = torch.export.Dim("length", max=max_len) if max_len > 2 else torch.export.Dim.AUTO
    batch = torch.export.Dim("batch")
    example = torch.ones((2, min(max_len, max(2, max_len // 2))), dtype=torch.int64)  # an axis of 1 would be taken as fixed
    inputs = {
        "items": GraphInput("items", example, {0: batch, 1: length}),
        "user_idx": GraphInput("user_idx", torch.zeros(2, dtype=torch.int64), {0: batch}),
    }
    names = query.encoder.inputs
    write_module(query, path, inputs=[inputs[name] for name in names], output="query", opset=opset, external_bytes=external_bytes)
