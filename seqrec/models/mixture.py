"""A feed-forward part of several experts, of which a router chooses a few for each position."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.models.feed_forward import PlainMLP
from seqrec.models.shape import Shape


class Routing(NamedTuple):
    """How the positions of a batch were spread over E experts, K of them for each position."""

    probabilities: Tensor  # (B, L, E), of the router
    chosen: Tensor  # (B, L, K), experts


class MixtureMLP(nn.Module):
    """K of E plain layers for each position, weighted by the router's softmax.

    With K = 1 the weight is the probability itself (Fedus et al. 2021, arXiv:2101.03961, eq. 2), else the K probabilities are
    enlarged to the sum 1 (Lepikhin et al. 2020, arXiv:2006.16668, algorithm 1). Capacity is unlimited: an expert computes every
    position that chose it, none is dropped, so a position's result never depends on the others of its batch.

    Training computes the chosen experts alone. Otherwise, and in an exported graph, all E are computed and the others weighted 0.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        assert shape.experts is not None
        assert shape.experts_active is not None
        self.active = shape.experts_active
        self.router = nn.Linear(shape.dim, shape.experts, bias=False)
        self.experts = nn.ModuleList(PlainMLP(shape) for _ in range(shape.experts))
        self.routing: Routing | None = None  # of the last forward pass in training

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, D) -> (B, L, D)"""
        probabilities = self.router(x).float().softmax(-1)  # (B, L, E)
        weights, chosen = probabilities.topk(self.active, dim=-1)  # (B, L, K)
        if self.active > 1:
            weights = weights / weights.sum(-1, keepdim=True)
        if self.training:
            self.routing = Routing(probabilities, chosen)
            return self._chosen(x.flatten(0, 1), weights.flatten(0, 1), chosen.flatten(0, 1)).view(x.shape)
        gates = torch.zeros_like(probabilities).scatter(2, chosen, weights)  # (B, L, E)
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)  # (B, L, E, D)
        return (gates[..., None] * outputs).sum(2)

    def take_balance(self, real: Tensor) -> Tensor:
        """The load-balancing loss of the last forward pass, over the positions that `real` (B, L) marks; it can be taken once.

        E · Σ f·P over the experts, f being an expert's share of the choices and P its mean probability (Fedus et al. 2021, eq. 4
        to 6, and Lepikhin et al. 2020, section 2.2). It is 1 if all experts are chosen alike, and E if one alone is.
        """
        assert self.routing is not None
        probabilities, chosen = self.routing.probabilities[real], self.routing.chosen[real]  # (N, E), (N, K)
        self.routing = None
        experts = probabilities.shape[-1]
        shares = F.one_hot(chosen, experts).float().mean((0, 1))  # (E,)
        return experts * (shares * probabilities.mean(0)).sum()

    def _chosen(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """x (N, D), weights and experts of each position (N, K) -> (N, D): each expert computes the positions that chose it.

        Gathers are embeddings, whose gradients are the same bits in each run.
        """
        order = chosen.flatten().argsort(stable=True)  # (N · K,), by expert
        parts = torch.split(F.embedding(order // self.active, x), self._loads(chosen))
        outputs = torch.cat([expert(part) for expert, part in zip(self.experts, parts, strict=True)])  # (N · K, D)
        of_positions = F.embedding(order.argsort(), outputs).view(*chosen.shape, -1)  # (N, K, D)
        return (weights[..., None] * of_positions).sum(1)

    def _loads(self, chosen: Tensor) -> list[int]:
        """How many choices each expert has; on the meta device, which has no values, they are as even as can be."""
        experts = len(self.experts)
        if chosen.device.type == "meta":
            return [len(part) for part in torch.empty(chosen.numel()).tensor_split(experts)]
        loads: list[int] = torch.bincount(chosen.flatten(), minlength=experts).tolist()
        return loads


def take_balance(model: nn.Module, real: Tensor) -> Tensor | None:
    """The mean over a model's mixtures of MixtureMLP.take_balance; None for a model without any."""
    losses = [module.take_balance(real) for module in model.modules() if isinstance(module, MixtureMLP)]
    return torch.stack(losses).mean() if losses else None
