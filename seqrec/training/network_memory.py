"""How much memory the training of a network over features needs, estimated before it starts, as `memory` does for an encoder.

The network and its loss go over a full batch on torch's meta device, then a block of the validation does. A hook counts the bytes
that autograd keeps, and a mode that sees each operation finds the largest tensor on the way, of which two live at once. That
takes 0.2 s. On two CPU cores a process grew by 0.29 GiB where 0.29 are estimated (towers of 100,000 users and 20,000 items, 2,048
users by 8,192 items), and by 0.20 where 0.23 are (Wide & Deep, 8,192 rows of 45 features).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from seqrec.settings.training import Optimizer
from seqrec.training.memory import FLOAT, kept_bytes
from seqrec.training.optimizer import STATES

LIVING = 2  # tensors as large as the largest that live at once, beside those that autograd keeps


@dataclass(frozen=True, kw_only=True)
class NetworkPasses:
    """What goes through a network, by functions that make their tensors on torch's default device.

    build    the network
    learn    the loss of a full batch
    judge    the largest block of a validation; it returns what the validation holds of all blocks
    """

    build: Callable[[], nn.Module]
    learn: Callable[[Any], torch.Tensor]
    judge: Callable[[Any], torch.Tensor]


def estimate_network_gb(passes: NetworkPasses, optimizer: Optimizer) -> float:
    """The memory that a step or a validation needs, whichever needs more, in GiB.

    That is the weights, their gradients, the optimiser's numbers and the average's, and of a step what autograd keeps, of a
    validation what it holds; with LIVING tensors as large as the largest of that pass.
    """
    with torch.device("meta"):
        network = passes.build().to("meta")  # what isn't made by torch, such as multipliers of crosses, comes from the CPU
        with LargestTensor() as step:
            _, kept = kept_bytes(network, lambda: passes.learn(network))
        with torch.no_grad(), LargestTensor() as validation:
            held = passes.judge(network).untyped_storage().nbytes()
    weights = sum(weight.numel() for weight in network.parameters())
    copies: int = 2 + STATES[optimizer.name] + (optimizer.ema_decay is not None)
    passing: int = max(kept + LIVING * step.bytes, held + LIVING * validation.bytes)
    return (FLOAT * weights * copies + passing) / 2**30


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's has no types
    """Within it, `bytes` grows to those of the largest tensor that an operation returned; views count as what they show."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        shown = (tensor.numel() * tensor.element_size() for tensor in tree_leaves(returned) if isinstance(tensor, torch.Tensor))
        self.bytes = max(self.bytes, *shown, 0)
        return returned
