"""Direct preference optimisation: of two items after a context, the model learns to prefer the one that the user took.

    windows            inputs     chosen  rejected
    0 5 6 7 | 8 | 3    0 5 6 7    8       3             a row of build_preferences: context, chosen, rejected

The loss of a pair is -log σ(β · ((s(c) - s(r)) - (s₀(c) - s₀(r)))), s being the scores of the model, s₀ those of a frozen copy of
the weights that the training began with (Rafailov et al. 2023, arXiv:2305.18290, eq. 7). Theirs has log-probabilities for scores.
Both items of a pair follow the same context, so that the softmax's normaliser is in both and cancels.
"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.indices import MASK, PADDING
from seqrec.models.encoder import Encoder
from seqrec.storage import files, versions
from seqrec.storage.metadata import PreferencesMeta
from seqrec.training.loader import TrainingTable, Windows
from seqrec.training.objective import ItemObjective, Loss, queries_of
from seqrec.training.tasks import ItemBatch
from seqrec.training.training_data import TrainingData

TABLE = "preferences"


def open_preferences(folder: str, data: TrainingData) -> tuple[TrainingTable, str]:
    """The pairs that build_preferences wrote, and their run id; UserError if they are of another dataset."""
    path = versions.resolve(folder)
    meta = PreferencesMeta.read(path)
    if meta.dataset != data.meta.run_id:
        raise UserError(
            f"dpo.path={folder} has pairs of the dataset {meta.dataset}, and data is {data.meta.run_id}, which may hold out what "
            f"they were made of: run build_preferences with data={data.path}"
        )
    if data.meta.task not in ("train_val_test", "train_val"):
        raise UserError(
            f"{data.path} was built with task={data.meta.task}, so nobody says whether preferences make the model better: take a "
            "dataset with validation users"
        )
    table = TrainingTable(
        path=files.join(path, TABLE),
        columns=("context", "chosen", "rejected"),
        longest=meta.max_len + 2,
        rows=counted(meta.counts["pairs"], "pair"),
    )
    return table, meta.run_id


class PreferenceBatch(NamedTuple):
    """Pairs: the chosen items as those to predict at the last position of their contexts, and the rejected ones (B,)."""

    items: ItemBatch
    rejected: Tensor

    @property
    def losses(self) -> float:
        """How many pairs there are."""
        return float(len(self.rejected))

    @property
    def tokens(self) -> int:
        """How many events the model reads of the contexts, without padding."""
        return self.items.tokens

    def parts(self, number: int) -> "list[PreferenceBatch]":
        """The pairs in at most `number` parts of near-equal size, in order, without the columns that only pad."""
        rejected = self.rejected.tensor_split(min(number, len(self.rejected)))
        return [PreferenceBatch(*part) for part in zip(self.items.parts(number), rejected, strict=True)]

    def to(self, device: torch.device) -> "PreferenceBatch":
        """The batch on a device; the copy doesn't wait."""
        return PreferenceBatch(self.items.to(device), self.rejected.to(device, non_blocking=True))


@dataclass(frozen=True, kw_only=True)
class PreferencePairs:
    """A task: pairs after contexts of at most max_len items, at whose end a bidirectional model sees the mask."""

    max_len: int
    masks: bool

    def __call__(self, windows: Windows) -> PreferenceBatch:
        """
        >>> pairs = Windows(torch.tensor([[5, 6, 7, 8, 3]]), torch.tensor([0]), torch.tensor([0]))
        >>> batch = PreferencePairs(max_len=2, masks=False)(pairs)
        >>> batch.items.inputs.tolist(), batch.items.targets.tolist(), batch.rejected.tolist()
        ([[6, 7]], [[0, 8]], [3])
        """
        contexts, chosen, rejected = windows.items[:, :-2], windows.items[:, -2], windows.items[:, -1]
        inputs = contexts[:, -self.max_len :]
        if self.masks:
            inputs = F.pad(inputs, (0, 1), value=MASK)
        targets = torch.full_like(inputs, PADDING)
        targets[:, -1] = chosen
        return PreferenceBatch(ItemBatch(inputs, targets, windows.users, older=contexts[:, : -self.max_len]), rejected)


class PreferenceObjective(nn.Module):
    """From a batch of pairs to their loss: (1 - supervised) of DPO's and `supervised` of the chosen items' as next items.

    Reported beside it are dpo_loss, reward_margin (the mean of β times the margin over the reference) and reward_accuracy (the
    share of pairs whose margin is above 0). The reference has no dropout and no gradient, and doesn't change.
    """

    def __init__(self, items: ItemObjective, *, beta: float, supervised: float) -> None:
        super().__init__()
        self.items = items
        self.reference: Encoder = copy.deepcopy(items.model).requires_grad_(False).eval()
        self.beta = beta
        self.supervised = supervised

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but the reference."""
        super().train(mode)
        self.reference.eval()
        return self

    def forward(self, batch: PreferenceBatch) -> Loss:
        """The loss of a batch of B pairs."""
        items, model, chosen = batch.items, self.items.model, batch.items.targets[:, -1]
        hidden, matrix = queries_of(model, items), model.item_matrix()
        with torch.no_grad():
            reference = _margins(queries_of(self.reference, items), self.reference.item_matrix(), chosen, batch.rejected)
        rewards = self.beta * (_margins(hidden, matrix, chosen, batch.rejected) - reference)  # (B,)
        dpo = -F.logsigmoid(rewards).sum()
        total, extras = dpo, dict[str, Tensor]()
        if self.supervised:
            next_items = self.items.loss_of(hidden, matrix, items)
            total = (1 - self.supervised) * dpo + self.supervised * next_items.sum
            extras |= next_items.extras
        reported = {"dpo_loss": dpo, "reward_margin": rewards.sum(), "reward_accuracy": (rewards > 0).sum()}
        extras |= {name: value.detach() for name, value in reported.items()}
        return self.items.balanced(Loss(total, extras), items)


def _margins(hidden: Tensor, matrix: Tensor, chosen: Tensor, rejected: Tensor) -> Tensor:
    """Queries (B, D), matrix (V+2, D) -> (B,): how much higher each pair's chosen item scores than its rejected one."""
    row = partial(F.embedding, weight=matrix)  # a gather whose gradients are the same bits in each run
    return (hidden * (row(chosen) - row(rejected)).float()).sum(-1)
