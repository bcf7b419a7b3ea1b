"""A model and its loss as one module, so that DDP sees one forward pass."""

import torch
from torch import Tensor, nn

from seqrec.indices import PADDING
from seqrec.models.encoders import Encoder
from seqrec.models.losses import LOSSES, Sampler
from seqrec.models.negatives import OutsideWindows, Popularity, Uniform


class Objective(nn.Module):
    """Windows to the loss summed over their real positions: each item is predicted from those before it.

    Negatives of bce are outside the window, as its authors draw them; those of the other losses are of the whole vocabulary.
    """

    def __init__(self, model: Encoder, *, name: str, options: dict[str, object]) -> None:
        super().__init__()
        self.model = model
        self.loss = LOSSES[name]
        self.options = options
        sampler = options.get("sampler")
        self.sampler = sampler if isinstance(sampler, nn.Module) else None
        self.outside = name == "bce"

    def forward(self, windows: Tensor, users: Tensor) -> Tensor:
        """windows (B, L+1), left-padded, users (B,) -> the sum of the losses of targets that have an item before them."""
        inputs, targets = windows[:, :-1], windows[:, 1:]
        hidden = self.model(*(inputs, users)[: len(self.model.inputs)])  # (B, L, D)
        real = inputs != PADDING
        options = self.options
        if self.outside and self.sampler is not None:
            options = {**options, "sampler": OutsideWindows(self.sampler, windows, real.nonzero()[:, 0])}
        summed: Tensor = self.loss(hidden[real].float(), self.model.item_matrix(), targets[real], **options)
        return summed


def positions(windows: Tensor) -> int:
    """How many losses a batch of windows has.

    >>> positions(torch.tensor([[0, 0, 5, 6], [2, 3, 4, 5]]))
    4
    """
    return int(torch.count_nonzero(windows[:, :-1]))


def loss_options(
    *, name: str, negatives: int, t: float, sampling: str, power: float, log_q: bool, counts: Tensor, bf16: bool
) -> dict[str, object]:
    """The keywords of a loss: its sampler, number of negatives, calibration, correction; counts (V,) are training events."""
    if name == "ce":
        return {"bf16": bf16}
    options: dict[str, object] = {"sampler": build_sampler(sampling, counts=counts, power=power), "negatives": negatives}
    own: dict[str, dict[str, object]] = {"gbce": {"t": t}, "sampled_ce": {"log_q": log_q}}
    return options | own.get(name, {})


def build_sampler(sampling: str, *, counts: Tensor, power: float) -> Sampler:
    """The sampler of that name, uniform or popularity, over as many items as there are counts."""
    return Uniform(vocab_size=len(counts)) if sampling == "uniform" else Popularity(counts=counts, power=power)
