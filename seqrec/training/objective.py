"""A model and its loss as one module, because DDP sums the gradients of one module's forward pass."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqrec.indices import FIRST_ITEM, PADDING
from seqrec.models.encoder import Encoder
from seqrec.models.losses import CHUNK_FLOATS, Predictions, Sampler
from seqrec.models.mixture import take_balance
from seqrec.models.negatives import Draw, OutsideWindows
from seqrec.training.tasks import ItemBatch


class Loss(NamedTuple):
    """An objective's result for a batch: the sum that is minimised, and sums by name that are reported beside it.

    Extras are detached scalars, over the same targets as the sum, of the same names in every step.
    """

    sum: Tensor
    extras: dict[str, Tensor]


class LearnedItems(NamedTuple):
    """The items with a training event, T of V: only they count in a loss that leaves out items which nobody had."""

    rows: Tensor  # (T+2,), ascending: padding, mask, and their rows of the matrix
    numbers: Tensor  # (V+2,), the place of each row among `rows`; 0 for an item without an event
    counts: Tensor  # (T,), training events

    @classmethod
    def of(cls, counts: Tensor) -> "LearnedItems | None":
        """Of counts (V,); None where all items have a training event.

        >>> learned = LearnedItems.of(torch.tensor([5, 0, 2]))
        >>> learned.rows.tolist(), learned.numbers.tolist(), learned.counts.tolist()
        ([0, 1, 2, 4], [0, 1, 2, 0, 3], [5, 2])
        """
        if bool((counts > 0).all()):
            return None
        kept = torch.cat([torch.ones(FIRST_ITEM, dtype=torch.bool), counts > 0])
        rows, numbers = kept.nonzero()[:, 0], torch.zeros(len(kept), dtype=torch.int64)
        numbers[rows] = torch.arange(len(rows))
        return cls(rows, numbers, counts[counts > 0])


Extra = Callable[[Predictions, Tensor], Tensor]  # the predictions of a batch, the item matrix (V+2, D) -> a sum over the targets


class ItemObjective(nn.Module):
    """From a batch of items to predict to its loss, summed over its targets by their weights.

    The loss is a function of models.losses, with its keywords bound. A loss with negatives gets the sampler: of the whole
    vocabulary or, where `outside_windows` is set, of the items that aren't in the target's window. Extras are computed without
    gradients. Of a model with a mixture of experts, `balance` times its load-balancing loss is added for each target, which is
    reported as `balance`.

    With `learned` items the loss, the sampler and the extras know these alone, by their numbers: rows that nobody's history
    teaches aren't pushed away as negatives.
    """

    rows: Tensor
    numbers: Tensor

    def __init__(
        self,
        model: Encoder,
        *,
        loss: Callable[..., Tensor],
        sampler: Sampler | None,
        outside_windows: bool = False,
        exclude_seen: bool = False,
        extras: dict[str, Extra] | None = None,
        balance: float = 0.0,
        learned: LearnedItems | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.loss = loss
        self.sampler = sampler
        self.outside_windows = outside_windows
        self.exclude_seen = exclude_seen
        self.extras = extras or {}
        self.balance = balance
        self.learns_some = learned is not None
        if learned is not None:
            self.register_buffer("rows", learned.rows, persistent=False)
            self.register_buffer("numbers", learned.numbers, persistent=False)

    def forward(self, batch: ItemBatch) -> Loss:
        """The loss of a batch; see ItemBatch for the shapes."""
        loss = self.loss_of(queries_of(self.model, batch), self.model.item_matrix(), batch)
        return self.balanced(loss, batch)

    def loss_of(self, hidden: Tensor, matrix: Tensor, batch: ItemBatch) -> Loss:
        """The loss of a batch by the queries of its targets, (N, D), and the item matrix, (V+2, D); not yet balanced."""
        inputs, targets, _, weights, older = batch
        predicted = targets != PADDING
        if self.learns_some:
            matrix, inputs, targets = matrix[self.rows], self.numbers[inputs], self.numbers[targets]
            older = None if older is None else self.numbers[older]
        predictions = Predictions(
            hidden,
            targets[predicted],
            None if weights is None else weights[predicted],
            _items_before(inputs, predicted, older) if self.exclude_seen else None,
        )
        loss = self.loss
        if self.sampler is not None:
            sampler: Draw = self.sampler
            if self.outside_windows:
                windows = torch.cat([inputs, targets], dim=1)  # (B, 2L), each item of a window once or twice
                sampler = OutsideWindows(sampler, windows, predicted.nonzero()[:, 0])
            loss = partial(loss, sampler=sampler)
        with torch.no_grad():
            extras = {name: extra(predictions, matrix) for name, extra in self.extras.items()}
        return Loss(self._of_parts(loss, predictions, matrix), extras)

    def _of_parts(self, loss: Callable[..., Tensor], predictions: Predictions, matrix: Tensor) -> Tensor:
        """The mean of the losses of the model's parts, each of its own queries, whose number they are divided by, and rows."""
        count = len(self.model.parts())
        if count == 1:
            return loss(predictions, matrix)
        queries = (predictions.hidden * count).chunk(count, dim=-1)
        each = [
            loss(predictions._replace(hidden=query.contiguous()), rows.contiguous())
            for query, rows in zip(queries, matrix.chunk(count, dim=-1), strict=True)
        ]
        return torch.stack(each).mean()

    def balanced(self, loss: Loss, batch: ItemBatch) -> Loss:
        """The loss, and for each prediction by its weight the model's load-balancing loss, if it has a mixture of experts."""
        balance = take_balance(self.model, batch.inputs != PADDING)
        if balance is None:
            return loss
        predicted = batch.targets != PADDING
        of_targets = balance * (predicted.sum() if batch.weights is None else batch.weights[predicted].sum())
        return Loss(loss.sum + self.balance * of_targets, {**loss.extras, "balance": of_targets.detach()})


def reference_weights(objective: nn.Module, model: Encoder) -> dict[str, Tensor]:
    """The weights of a model's objective that aren't the model's, by their names: what it keeps from the training's start on."""
    of_model = {id(weight) for weight in model.state_dict(keep_vars=True).values()}
    weights = objective.state_dict(keep_vars=True)
    return {name: weight.detach() for name, weight in weights.items() if id(weight) not in of_model}


def queries_of(model: Encoder, batch: ItemBatch) -> Tensor:
    """The model's queries of a batch's N targets, in their order: (N, D) float32."""
    queries: Tensor = model(*(batch.inputs, batch.users)[: len(model.inputs)])  # (B, L, D)
    return queries[batch.targets != PADDING].float()


def count_hits(predictions: Predictions, matrix: Tensor) -> Tensor:
    """The sum of the weights of the predictions whose target has the highest score of all items.

    >>> matrix = torch.tensor([[9.0], [9.0], [0.0], [1.0], [2.0]])
    >>> count_hits(Predictions(torch.ones(3, 1), torch.tensor([3, 4, 2])), matrix).item()
    1.0
    """
    hidden, targets, weights, _ = predictions
    items = matrix[FIRST_ITEM:]
    size = max(1, CHUNK_FLOATS // len(items))
    best = [(hidden[start : start + size] @ items.T).argmax(-1) for start in range(0, len(hidden), size)]  # of (n, V) scores
    hits = (torch.cat(best) + FIRST_ITEM == targets).float()
    counted: Tensor = hits if weights is None else hits * weights
    return counted.sum()


def _items_before(inputs: Tensor, predicted: Tensor, older: Tensor | None) -> Tensor:
    """inputs (B, L), predicted (B, L) with N flags -> (N, O + L): what is before each predicted position, PADDING elsewhere.

    That is the window's older items (B, O), if they are known, and its own up to the position.

    >>> inputs, predicted = torch.tensor([[0, 5, 6], [7, 8, 9]]), torch.tensor([[False, False, True], [True, True, False]])
    >>> _items_before(inputs, predicted, None).tolist()
    [[0, 5, 6], [7, 0, 0], [7, 8, 0]]
    >>> _items_before(inputs, predicted, torch.tensor([[0, 0], [0, 4]])).tolist()
    [[0, 0, 0, 5, 6], [0, 4, 7, 0, 0], [0, 4, 7, 8, 0]]
    """
    window, place = predicted.nonzero(as_tuple=True)
    later = torch.arange(inputs.shape[1], device=inputs.device) > place[:, None]  # (N, L)
    own = inputs[window].masked_fill(later, PADDING)
    return own if older is None else torch.cat([older[window], own], dim=1)
