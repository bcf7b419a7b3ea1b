"""What an optimiser keeps of each weight, such as Adam's two moments, carried into the training that begins from a checkpoint."""

from typing import Any

import torch
from torch import Tensor, nn

from seqrec.training.checkpoint import Checkpoint
from seqrec.training.kept_weights import KeptWeights


def carry_moments(optimizer: torch.optim.Optimizer, kept: KeptWeights, start: Checkpoint) -> None:
    """Give the optimiser the state of the weights that are kept; rows that begin anew have zeros, other weights have none.

    The rate's schedule is the new training's; the number of steps that Adam corrects its moments by goes on.
    """
    assert start.optimizer is not None
    before, now = dict(kept.old.named_parameters()), dict(kept.new.named_parameters())
    numbers = {name: number for number, name in enumerate(_in_groups(kept.old))}
    carried: dict[int, Any] = {}
    for number, name in enumerate(_in_groups(kept.new)):
        source = kept.sources.get(name)
        state = None if source is None else start.optimizer["state"].get(numbers.get(source.name))
        if source is None or state is None:
            continue
        carried[number] = {}
        for key, value in state.items():
            if isinstance(value, Tensor) and value.shape == before[source.name].shape and value.dim():
                grown = torch.zeros(now[name].shape, dtype=value.dtype)
                source.copy(value, grown)
                carried[number][key] = grown
            else:
                carried[number][key] = value
    optimizer.load_state_dict({"state": carried, "param_groups": optimizer.state_dict()["param_groups"]})


def _in_groups(model: nn.Module) -> list[str]:
    """The names of a model's weights in the order in which its optimiser numbers them: see `optimizer.build_optimizer`."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    return [name for name, weight in named if weight.dim() > 1] + [name for name, weight in named if weight.dim() <= 1]
