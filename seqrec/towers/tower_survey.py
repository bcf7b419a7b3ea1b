"""A pass over matching_samples before a training: the encodings, how often each item is met, and the held-out events.

Memory is that of the distinct categories, of the validated events, and of what their users had before.
"""

import logging
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.rankers.samples import SPLIT, USER, Samples
from seqrec.rankers.survey import CategoryCounts
from seqrec.serving.feature_encoding import EncodedColumn, Encoding, category_values, is_list
from seqrec.storage import files, versions
from seqrec.towers.matching_inputs import MatchingInputs
from seqrec.user_hashes import hash_ids

ITEM, POSITION = "item_id", "position"
MOST_NUMBERED = 2**24 - 1  # items that get a number of their own: float32, in which rows are encoded, holds no more
MIX = np.uint64(0x9E3779B97F4A7C15)  # spreads hashes by a seed: the multiplier of Knuth's multiplicative hashing, for 64 bits

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class HeldOutEvents:
    """N events of the split valid, the events of a user in their order.

    rows  user_id, item_id, position, and the features of users as of the event
    seen  N lists of item_idx: what the user had before the first of them
    """

    rows: pa.Table
    seen: Ragged

    @property
    def users(self) -> pa.Array:
        """(N,) ids of users."""
        return self.rows[USER].combine_chunks()

    @property
    def targets(self) -> pa.Array:
        """(N,) ids of items."""
        return self.rows[ITEM].combine_chunks()


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
    """The categories of the columns of a tower, which a key of the settings names, and the longest of its lists."""

    key: str
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
        """How the columns become features; those whose lists are all empty are left out, and named on the screen.

        Raises UserError if none is left.
        """
        empty = [name for name in self.columns if not self.widths.get(name, 1)]
        kept = [name for name in self.columns if name not in empty]
        if not kept:
            raise UserError(f"{self.key}: the lists of {', '.join(empty)} are empty in all training rows: name other columns")
        if empty:
            log.info("%s: columns left out, as their lists are empty: %s", self.key, ", ".join(empty))
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


@dataclass
class _SampleCounts:
    """What is counted of the training rows; `rows` are those of label 0 and of label 1."""

    users: _ColumnCounts
    items: _ColumnCounts
    numbers: CategoryCounts = field(default_factory=CategoryCounts)
    rows: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, train: pa.RecordBatch, positive: pa.RecordBatch) -> None:
        """Count the training rows of a batch; those of label 1 are passed again."""
        self.rows[0] += len(train) - len(positive)
        self.rows[1] += len(positive)
        self.users.add(positive)
        self.items.add(train)
        self.numbers.add(category_values(train.column(ITEM), name=ITEM))


def survey_matching(
    inputs: MatchingInputs, *, data: str, max_categories: int, validates: bool, valid_users: int | None, seed: int
) -> TowerSurvey:
    """Read the columns of all rows; of the held-out events, if it `validates`, those of at most `valid_users`, a seeded sample.

    `data` is the dataset's version, whose table valid says what these users had. Without events to validate with, they are
    empty. Raises UserError if train has no positive, or if no column of a tower holds anything.
    """
    samples, discrete = inputs.samples, frozenset(inputs.samples.schema.discrete)
    counts = _SampleCounts(
        users=_ColumnCounts("features.user_columns", inputs.user_columns, discrete),
        items=_ColumnCounts("features.item_columns", inputs.item_columns, discrete),
    )
    held_out = _Sample(valid_users if validates else 0, seed, list(dict.fromkeys([USER, ITEM, POSITION, *inputs.user_columns])))
    for batch in samples.batches(list(dict.fromkeys([*held_out.columns, *inputs.item_columns]))):
        labels = samples.label.values(batch.column(samples.label.name), path=samples.place)
        splits = batch.column(SPLIT).fill_null("").to_numpy(zero_copy_only=False)
        trained, positive = (splits == "train") & ~np.isnan(labels), labels == 1
        counts.add(batch.filter(pa.array(trained)), batch.filter(pa.array(trained & positive)))
        held_out.add(batch.filter(pa.array((splits == "valid") & positive)))
    if not counts.rows[1]:
        raise UserError(f"{samples.place} has no training event: build the features on a dataset that has some")
    rows, counted = held_out.rows(samples), counts.numbers.by_frequency(MOST_NUMBERED)
    return TowerSurvey(
        users=counts.users.encoding(samples.schema.genres, max_categories=max_categories),
        items=counts.items.encoding(samples.schema.genres, max_categories=max_categories),
        item_numbers=EncodedColumn(name=ITEM, kind="discrete", categories=pa.concat_arrays(counted["category"].chunks)),
        log_q=_log_shares(counted["rows"].to_numpy(), sum(counts.rows)),
        positives=counts.rows[1],
        negatives=counts.rows[0],
        held_out=HeldOutEvents(rows=rows, seen=_read_seen(data, rows[USER].combine_chunks())),
    )


@dataclass
class _Sample:
    """Some columns of the held-out events of the users whose hashes come first in a seeded order; None for those of all users."""

    users: int | None
    seed: int
    columns: list[str]
    parts: list[pa.Table] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the rows in, and let those go that can't be in the sample any more."""
        if not len(rows) or self.users == 0:
            return
        spread = (hash_ids(rows.column(USER)).astype(np.uint64) ^ np.uint64(self.seed)) * MIX
        spread ^= spread >> np.uint64(32)
        self.parts.append(pa.Table.from_batches([rows.select(self.columns)]).append_column("_order", pa.array(spread)))
        if self.users is not None and sum(map(len, self.parts)) > 2 * self.users:
            self.parts = [self._first()]

    def rows(self, samples: Samples) -> pa.Table:
        """The sample, which may be empty, with the events of a user in their order."""
        if not self.parts:
            return pa.schema([samples.arrow.field(name) for name in self.columns]).empty_table()
        return self._first().drop_columns(["_order"])

    def _first(self) -> pa.Table:
        """The rows of the first users."""
        rows = pa.concat_tables(self.parts).sort_by([(name, "ascending") for name in ("_order", USER, POSITION)])
        if self.users is None:
            return rows
        order = rows["_order"].to_numpy()
        return rows.slice(0, int(np.searchsorted(order, np.unique(order)[: self.users][-1], side="right")))


def _read_seen(data: str, users: pa.Array) -> Ragged:
    """The `seen` of users (N,) in the table valid of a dataset's version, N lists; empty for a user whom it lacks."""
    if not len(users):
        return Ragged.of([])
    wanted = pc.unique(users)
    with tempfile.TemporaryDirectory(prefix="seqrec-valid-") as cache:
        tables = [
            pq.read_table(part, columns=[USER, "seen"]) for part in versions.fetch_table(files.join(data, "valid"), Path(cache))
        ]
    if not tables:
        return Ragged.of([[] for _ in users])
    seen = pa.concat_tables(table.filter(pc.is_in(table[USER], value_set=wanted)) for table in tables)
    places = pc.index_in(users, value_set=seen[USER].combine_chunks())
    return Ragged.of_arrow(seen["seen"].combine_chunks().take(places))


def _log_shares(rows: NDArray[np.int64], total: int) -> NDArray[np.float32]:
    """log_q by number: that of number 0 is of all items that have no number, as there are too many.

    >>> np.exp(_log_shares(np.array([4, 2]), 8)).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    shares = np.concatenate([[total - rows.sum()], rows]) / total
    logs: NDArray[np.float32] = np.log(np.maximum(shares, 1 / total)).astype(np.float32)
    return logs
