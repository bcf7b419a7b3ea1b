"""Dropout that is cheap on the CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout whose rate is rounded to 1/256: on the CPU a random byte an element is 8 times cheaper than bernoulli.

    A rate between 0 and 1 is never rounded to 0 or 1.

    >>> [Dropout(rate).threshold for rate in (0.0, 0.001, 0.25, 0.999)]
    [0, 1, 64, 255]
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = min(255, max(1, round(rate * 256))) if rate else 0

    def forward(self, x: Tensor) -> Tensor:
        """x with a random share of its values set to 0, and the others enlarged so that the mean stays."""
        if not self.training or self.threshold == 0:
            return x
        if x.device.type == "cuda":
            return F.dropout(x, self.threshold / 256)
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * keep.to(x.dtype).mul_(256 / (256 - self.threshold))
