"""Wide & Deep (Cheng et al. 2016, arXiv:1606.07792) over encoded features: a row of float32 in, the logit of its label out.

    features (N, F)   discrete columns hold codes from 0 (0: none, or unknown), continuous ones numbers, NaN where there is none
    wide              a weight for each code, and for each bucket of each cross of discrete columns: it remembers combinations
    deep              an embedding for each code, beside the normalised numbers, through ReLU layers: it generalises
    logit             wide + deep + bias, trained jointly (equation 3)

All of it is tensor arithmetic, so the exported graph takes the same rows: normalisation and crosses are inside.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from seqrec.models.dropout import Dropout

PRIME = 2**31 - 1  # of the hash: multipliers are below it, codes below 2^24, so the sum over 2^8 columns fits 64 bits
CROSS_SEED = 1979  # of the multipliers
QUANTILES = 64  # into which the values of a continuous column are divided


class WideDeep(nn.Module):
    """The network. `codes` says of each column how many codes it has, that of unknown values included; 0 for a continuous one.

    crosses         discrete columns by their place, a tuple for each cross, hashed together to `cross_buckets` buckets
    use_wide        False: neither weights of codes nor crosses
    embedding_size  numbers of a code's embedding
    hidden_units    widths of the ReLU layers
    dropout         share of each layer's values that are dropped in training
    """

    firsts: Tensor

    def __init__(
        self,
        *,
        codes: Sequence[int],
        crosses: Sequence[Sequence[int]],
        cross_buckets: int,
        use_wide: bool,
        embedding_size: int,
        hidden_units: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        discrete = [place for place, count in enumerate(codes) if count]
        self.discrete, self.continuous = discrete, [place for place, count in enumerate(codes) if not count]
        total = sum(codes)
        firsts = np.cumsum([0, *(codes[place] for place in discrete)])[:-1]
        self.register_buffer("firsts", torch.tensor(firsts, dtype=torch.int64), persistent=False)
        self.embeddings = nn.Embedding(total, embedding_size) if discrete else None
        self.quantiles = QuantileRanks(len(self.continuous)) if self.continuous else None
        widths = [len(discrete) * embedding_size + 2 * len(self.continuous), *hidden_units]
        layers = [layer for pair in pairwise(widths) for layer in _layer(*pair, dropout)]
        self.deep = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
        self.code_weights = nn.Embedding(total, 1) if use_wide and discrete else None
        self.crosses = HashedCrosses(crosses, buckets=cross_buckets) if use_wide and crosses else None
        if self.embeddings is not None:
            nn.init.normal_(self.embeddings.weight, std=0.05)
            with torch.no_grad():  # a column without unknown values in training learns nothing of code 0
                self.embeddings.weight[self.firsts] = 0
        if self.code_weights is not None:
            nn.init.zeros_(self.code_weights.weight)

    def forward(self, features: Tensor) -> Tensor:
        """features (N, F) -> logits (N,)"""
        codes = features[:, self.discrete].to(torch.int64) + self.firsts  # (N, C), rows of the tables of codes
        parts = []
        if self.embeddings is not None:
            parts.append(self.embeddings(codes).flatten(1))
        if self.quantiles is not None:
            parts.append(self.quantiles(features[:, self.continuous]))
        logits: Tensor = self.deep(torch.cat(parts, dim=1))[:, 0]
        if self.code_weights is not None:
            logits = logits + self.code_weights(codes).sum((1, 2))
        if self.crosses is not None:
            logits = logits + self.crosses(features)
        return logits


class QuantileRanks(nn.Module):
    """Each number as its place among quantiles, from 0 to 1 (section 4.1), and beside these, 1 for each number that is missing.

    A missing number is in the middle. What lies outside of all that was seen counts as the smallest or the largest.
    """

    boundaries: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("boundaries", torch.zeros(columns, QUANTILES - 1))  # ascending in a row

    def fit(self, rows: Tensor) -> None:
        """Take the quantiles of rows (N, C); a column without any number keeps its boundaries at 0."""
        steps = torch.arange(1, QUANTILES, dtype=torch.float64) / QUANTILES
        for column, boundaries in zip(rows.double().T, self.boundaries, strict=True):
            numbers = column[~column.isnan()]
            if len(numbers):
                ranks = (steps * len(numbers)).long().clamp(max=len(numbers) - 1)
                boundaries.copy_(numbers.sort().values[ranks])

    def forward(self, numbers: Tensor) -> Tensor:
        """numbers (N, C) -> (N, 2C): places among the quantiles, then whether each is missing"""
        missing = torch.isnan(numbers)
        places = (numbers[..., None] >= self.boundaries).to(torch.float32).mean(-1)  # (N, C, Q-1) -> (N, C)
        return torch.cat([places.masked_fill(missing, 0.5), missing.to(torch.float32)], dim=1)


class HashedCrosses(nn.Module):
    """The summed weights of a row's crosses: each is a combination of codes, hashed to a bucket.

    The hash is ((a1 c1 + a2 c2 + …) mod p) mod buckets with drawn multipliers (Carter and Wegman 1979), by which two combinations
    meet in a bucket about as often as if buckets were drawn. The multipliers stay with the weights.
    """

    multipliers: Tensor

    def __init__(self, crosses: Sequence[Sequence[int]], *, buckets: int) -> None:
        super().__init__()
        self.columns = [list(columns) for columns in crosses]
        self.buckets = buckets
        rng, longest = np.random.default_rng(CROSS_SEED), max(map(len, crosses))
        self.register_buffer("multipliers", torch.from_numpy(rng.integers(1, PRIME, (len(crosses), longest))))
        self.weights = nn.Embedding(len(crosses) * buckets, 1)
        nn.init.zeros_(self.weights.weight)

    def hashed(self, features: Tensor) -> Tensor:
        """features (N, F) -> buckets (N, K) of the K crosses, each cross with buckets of its own"""
        sums = [
            ((features[:, columns].to(torch.int64) + 1) * multipliers[: len(columns)]).sum(1)  # (N, k) -> (N,)
            for columns, multipliers in zip(self.columns, self.multipliers, strict=True)
        ]
        firsts = torch.arange(len(sums), device=features.device) * self.buckets
        return torch.stack(sums, dim=1) % PRIME % self.buckets + firsts

    def forward(self, features: Tensor) -> Tensor:
        """features (N, F) -> (N,)"""
        weights: Tensor = self.weights(self.hashed(features)).sum((1, 2))
        return weights


def _layer(wide: int, narrow: int, dropout: float) -> list[nn.Module]:
    """A hidden layer."""
    return [nn.Linear(wide, narrow), nn.ReLU(), Dropout(dropout)]


class Probability(nn.Module):
    """What a ranker's graph computes: the probability of the label, as a module's forward."""

    def __init__(self, network: WideDeep) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """features (N, F) -> score (N,): the logistic function of the logit"""
        return torch.sigmoid(self.network(*inputs))
