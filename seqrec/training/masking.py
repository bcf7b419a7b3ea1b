"""BERT4Rec's task: items of a window are hidden and predicted from the items on both sides (Sun et al. 2019, arXiv:1904.06690).

    window       inputs       targets
    0 5 6 7 8    0 5 1 7 8    0 0 6 0 0    some items are replaced by the mask, 1; the others aren't predicted
    0 5 6 7 8    0 5 6 7 1    0 0 0 0 8    one copy of each window has only its last item masked, as a query has (section 3.6)

A window of max_len + 1 items is as long as the history and the mask of a query, so it is taken whole. The positions are drawn by
torch's generator, which is seeded by seed, step and process: a resumed training draws the same, and each epoch draws anew.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from seqrec.indices import FIRST_ITEM, MASK, PADDING
from seqrec.training.loader import Windows
from seqrec.training.tasks import ItemBatch

LEAST_LEFT = 2  # items of a window that is shortened


@dataclass(frozen=True, kw_only=True)
class MaskedItems:
    """A task: masks a share of the items of each window, the share rounded to whole items, at least one.

    masked_share      of a window's items that are predicted
    mask_share        of these that the mask replaces; of the rest half stay, and half become any item of the vocabulary
    most              items that are predicted of a window; None: any number
    shortened_share   of windows of which a random number of the newest items is left, from 2 on
    last_copy         number of the copy of a window of which only the last item is masked; None: there is none
    """

    vocab_size: int
    masked_share: float
    mask_share: float
    most: int | None
    shortened_share: float
    last_copy: int | None

    def __call__(self, windows: Windows) -> ItemBatch:
        """Inputs and targets (B, L); a target is an item that its position's input hides or may hide."""
        items = self._shorten(windows.items)
        predicted, replaced = self._draw_predicted(items), self._draw_inputs(items)
        if self.last_copy is not None and windows.copies is not None:
            only_last = (windows.copies == self.last_copy)[:, None]  # (B, 1)
            newest = torch.arange(items.shape[1]) == items.shape[1] - 1  # (L,)
            predicted = torch.where(only_last, newest, predicted)
            replaced = replaced.masked_fill(only_last, MASK)
        return ItemBatch(torch.where(predicted, replaced, items), items.masked_fill(~predicted, PADDING), windows.users)

    def _shorten(self, items: Tensor) -> Tensor:
        """The windows (B, L), with a random number of the newest items of some of them, left-padded."""
        if not self.shortened_share:
            return items
        lengths = torch.count_nonzero(items, dim=1)  # (B,)
        drawn = LEAST_LEFT + (torch.rand(len(items)) * (lengths - LEAST_LEFT + 1)).long()  # 2 to the window's length
        kept = torch.where(torch.rand(len(items)) < self.shortened_share, drawn, lengths)
        age = torch.arange(items.shape[1] - 1, -1, -1)  # (L,): the newest item's is 0
        return items.masked_fill(age >= kept[:, None], PADDING)

    def _draw_predicted(self, items: Tensor) -> Tensor:
        """Which items of each window are predicted (B, L): every choice of that many has the same probability; no pads."""
        real = items != PADDING
        counts = (real.sum(1) * self.masked_share + 0.5).long().clamp(min=1, max=self.most)  # (B,)
        order = torch.rand(items.shape).masked_fill(~real, 2.0).argsort(1)  # pads last
        return order.argsort(1) < counts[:, None]

    def _draw_inputs(self, items: Tensor) -> Tensor:
        """What each position (B, L) shows if its item is predicted: the mask, the item itself, or any item."""
        if self.mask_share == 1:
            return torch.full_like(items, MASK)
        drawn, stay = torch.rand(items.shape), torch.rand(items.shape) < 0.5
        any_item = torch.randint(FIRST_ITEM, FIRST_ITEM + self.vocab_size, items.shape)
        return torch.where(drawn < self.mask_share, MASK, torch.where(stay, items, any_item))
