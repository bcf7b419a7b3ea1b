"""How much memory the training of an encoder needs, estimated before it starts; `network_memory` has that of other networks.

The model is built on torch's meta device, where tensors have shapes and no values, and a full batch is sent through it. A hook
counts the tensors that autograd keeps for the backward pass, whatever the model's parts are. That takes less than 0.1 s.

The estimate is of the tensors that live at once. The allocator keeps more: on two CPU cores a process grew by 0.37 GiB where 0.29
are estimated (SASRec, 64 windows of 200 items), by 1.13 where 0.79 are (128 windows, dim 128), by 0.51 where 0.27 are (SimpleX,
512 windows of 200) and by 0.80 where 0.87 are (SimpleX, 400,000 items). So a training close to the limit may still not fit.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from seqrec.command.free_memory import free_memory
from seqrec.errors import UserError
from seqrec.models.encoder import Encoder
from seqrec.models.losses import CHUNK_FLOATS

FLOAT = 4  # bytes
PASSING = 4  # tensors of the queries' shape that live between two layers: gradients, and the queries of the targets

T = TypeVar("T")


def available_gb(device: torch.device) -> float:
    """Free memory of the device, in GiB."""
    return (torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()) / 2**30


def estimate_gb(build: Callable[[], Encoder], *, windows: int, length: int, states: int, copies: int = 0) -> float:
    """The memory that a step needs, in GiB, for a batch of `windows` windows that all have the greatest length.

    That is the weights, and `copies` of them; the gradients and the optimiser's `states` numbers of those that aren't frozen; the
    tensors that autograd keeps of the model's forward pass; and for the loss two copies of the item matrix's gradient and three
    chunks of scores.
    """
    with torch.device("meta"):
        model = build()
        items = torch.ones((windows, length), dtype=torch.int64)
        users = torch.ones(windows, dtype=torch.int64)
        hidden: Tensor
        (hidden, matrix), kept = kept_bytes(model, lambda: (model(*(items, users)[: len(model.inputs)]), model.item_matrix()))
    weights = sum(weight.numel() for weight in model.parameters())
    learned = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    shared = any(matrix is weight for weight in model.parameters())
    matrices = 2 if shared else 4  # a matrix that is computed, and its gradient
    floats = (
        weights * (1 + copies) + learned * (1 + states) + matrices * matrix.numel() + PASSING * hidden.numel() + 3 * CHUNK_FLOATS
    )
    return (FLOAT * floats + kept) / 2**30


def kept_bytes(model: nn.Module, forward: Callable[[], T]) -> tuple[T, int]:
    """What a forward pass returns, and the bytes that autograd keeps of it, without the model's weights themselves."""
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage  # kept alive, so that no other storage gets its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        returned = forward()
    weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
    return returned, sum(storage.nbytes() for number, storage in storages.items() if number not in weights)


def require_memory(needed_gb: float, limit_gb: float, *, advice: str, key: str = "memory_gb") -> None:
    """Raise UserError, with the estimate, if a training can't fit; `key` is the setting of the limit."""
    if needed_gb > limit_gb:
        raise UserError(
            f"this training needs about {needed_gb:.1f} GiB, {limit_gb:.1f} GiB are free: lower {advice}; "
            f"or set {key} if you know better"
        )
