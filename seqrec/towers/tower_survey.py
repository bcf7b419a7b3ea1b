"""Passes over matching_samples before a training: the encodings, how often each item is met, and the held-out events.

Memory is that of the distinct categories, of the validated events, and of the histories of their users.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.rankers.samples import SPLIT, USER, Samples
from seqrec.rankers.survey import CategoryCounts
from seqrec.serving.feature_encoding import EncodedColumn, Encoding, category_values, is_list
from seqrec.towers.matching_inputs import MatchingInputs
from seqrec.user_hashes import hash_ids

ITEM = "item_id"
MOST_NUMBERED = 2**24 - 1  # items that get a number of their own: float32, in which rows are encoded, holds no more
MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads hashes by a seed: the multiplier of Knuth's multiplicative hashing, for 64 bits


@dataclass(frozen=True, kw_only=True)
class HeldOutEvents:
    """N events of the split valid: the columns of their users as of then, their items, and the items that their users had."""

    rows: pa.Table  # N rows of the features of users
    targets: pa.Array  # (N,) ids of items
    users: NDArray[np.int64]  # (N,) hashes of the users
    had: pa.Table  # user (hash) and item_id of the training events of these users


@dataclass(frozen=True, kw_only=True)
class TowerSurvey:
    """What a pass over the samples finds.

    item_numbers  which item each row is of: a column that is encoded beside the features
    log_q         (V + 1,) by these numbers: the log of an item's share of all training rows, positive or negative
    positives     training rows of label 1, of which each is a user's event; `negatives` those of label 0
    """

    users: Encoding
    items: Encoding
    item_numbers: EncodedColumn
    log_q: NDArray[np.float32]
    positives: int
    negatives: int
    held_out: HeldOutEvents


@dataclass
class _ColumnCounts:
    """The categories of the columns of a tower, and the longest of its lists."""

    columns: Sequence[str]
    discrete: frozenset[str]
    categories: dict[str, CategoryCounts] = field(default_factory=lambda: defaultdict(CategoryCounts))
    widths: dict[str, int] = field(default_factory=dict)

    def add(self, rows: pa.RecordBatch) -> None:
        """Count the rows of a batch."""
        for name in self.columns:
            column = rows.column(name)
            if is_list(column.type):
                self.widths[name] = max(self.widths.get(name, 0), pc.max(pc.list_value_length(column)).as_py() or 0)
                column = column.flatten()
            if name in self.discrete:
                self.categories[name].add(category_values(column, name=name))

    def encoding(self, genres: Sequence[str], *, max_categories: int) -> Encoding:
        """How the columns become features; those whose lists are all empty are left out."""
        kept = [name for name in self.columns if self.widths.get(name, 1)]
        return Encoding(columns=tuple(self._encoded(name, genres, max_categories) for name in kept))

    def _encoded(self, name: str, genres: Sequence[str], most: int) -> EncodedColumn:
        """How a column becomes features."""
        width = self.widths.get(name)
        parts = () if width is None else tuple(str(place) for place in range(width))
        if name in self.discrete:
            categories = self.categories[name].most_frequent(most)
            return EncodedColumn(name=name, kind="discrete" if width is None else "list", categories=categories, parts=parts)
        if width is None:
            return EncodedColumn(name=name, kind="continuous")
        return EncodedColumn(name=name, kind="shares", parts=tuple(genres) if len(genres) == width else parts)


def survey_matching(inputs: MatchingInputs, *, max_categories: int, valid_users: int | None, seed: int) -> TowerSurvey:
    """Read the columns of all rows; of the held-out events, those of at most `valid_users` users, a seeded sample.

    Raises UserError if train has no positive, or valid none.
    """
    samples, discrete = inputs.samples, frozenset(inputs.samples.schema.discrete)
    users, items = (_ColumnCounts(columns, discrete) for columns in (inputs.user_columns, inputs.item_columns))
    numbers, held_out, rows = CategoryCounts(), _Sample(valid_users, seed), [0, 0]
    for batch in samples.batches(list(dict.fromkeys([USER, ITEM, *inputs.user_columns, *inputs.item_columns]))):
        labels = samples.label.values(batch.column(samples.label.name), path=samples.place)
        splits = batch.column(SPLIT).fill_null("").to_numpy(zero_copy_only=False)
        train = batch.filter(pa.array((splits == "train") & ~np.isnan(labels)))
        positive = batch.filter(pa.array((splits == "train") & (labels == 1)))
        rows[0] += len(train) - len(positive)
        rows[1] += len(positive)
        users.add(positive)
        items.add(train)
        numbers.add(category_values(train.column(ITEM), name=ITEM))
        held_out.add(batch.filter(pa.array((splits == "valid") & (labels == 1))))
    if not rows[1]:
        raise UserError(f"{samples.place} has no training event: build the features on a dataset that has some")
    counted = numbers.by_frequency(MOST_NUMBERED)
    return TowerSurvey(
        users=users.encoding(samples.schema.genres, max_categories=max_categories),
        items=items.encoding(samples.schema.genres, max_categories=max_categories),
        item_numbers=EncodedColumn(name=ITEM, kind="discrete", categories=pa.concat_arrays(counted["category"].chunks)),
        log_q=_log_shares(counted["rows"].to_numpy(), sum(rows)),
        positives=rows[1],
        negatives=rows[0],
        held_out=_with_history(samples, held_out.rows(samples)),
    )


@dataclass
class _Sample:
    """The held-out events of the users whose hashes come first in a seeded order; None for those of all users."""

    users: int | None
    seed: int
    parts: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the rows in, and let those go that can't be in the sample any more."""
        if not len(rows):
            return
        spread = (hash_ids(rows.column(USER)).astype(np.uint64) ^ np.uint64(self.seed)) * MIX
        spread ^= spread >> np.uint64(32)
        self.parts.append(pa.Table.from_batches([rows]).append_column("_order", pa.array(spread)))
        if self.users is not None and sum(map(len, self.parts)) > 2 * self.users:
            self.parts = [self._first()]

    def rows(self, samples: Samples) -> pa.Table:
        """The sample; UserError if there is no held-out event."""
        if not self.parts:
            raise UserError(
                f"{samples.place} has no event of split valid, so there is nothing to choose the best towers by: build the "
                "dataset with a task that holds users' items out for valid"
            )
        return self._first().drop_columns(["_order"])

    def _first(self) -> pa.Table:
        """The rows of the first users."""
        rows = pa.concat_tables(self.parts).sort_by([("_order", "ascending"), (ITEM, "ascending")])
        if self.users is None:
            return rows
        order = rows["_order"].to_numpy()
        return rows.slice(0, int(np.searchsorted(order, np.unique(order)[: self.users][-1], side="right")))


def _with_history(samples: Samples, rows: pa.Table) -> HeldOutEvents:
    """Held-out events with the training events of their users."""
    hashes, parts = hash_ids(rows[USER].combine_chunks()), []
    ids = pc.unique(rows[USER].combine_chunks())
    for batch in samples.labelled("train", [USER, ITEM]):
        theirs = pc.is_in(batch.rows.column(USER), value_set=ids).to_numpy(zero_copy_only=False) & (batch.labels == 1)
        mine = batch.rows.filter(pa.array(theirs))
        parts.append(pa.table({"user": pa.array(hash_ids(mine.column(USER))), ITEM: mine.column(ITEM)}))
    return HeldOutEvents(rows=rows, targets=rows[ITEM].combine_chunks(), users=hashes, had=pa.concat_tables(parts))


def _log_shares(rows: NDArray[np.int64], total: int) -> NDArray[np.float32]:
    """log_q by number: that of number 0 is of all items that have no number, as there are too many.

    >>> np.exp(_log_shares(np.array([4, 2]), 8)).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    shares = np.concatenate([[total - rows.sum()], rows]) / total
    logs: NDArray[np.float32] = np.log(np.maximum(shares, 1 / total)).astype(np.float32)
    return logs
