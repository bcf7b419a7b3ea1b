"""The lists of a version, read once: how often each item is among the first of them, what made them, and those of some users."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqrec.evaluation.exposure import gini
from seqrec.reporting.table_rows import table_batches, whole_table
from seqrec.serving.sorted_ids import SortedIds

FIRST = 10  # items of a list that are counted
GROUPS = 10  # of the catalogue's items, by popularity

Id = int | str


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The V items of a dataset in the order of their indices, from 2 on: ids and training events."""

    ids: pa.Array
    counts: NDArray[np.int64]

    @classmethod
    def read(cls, dataset: str) -> "Catalogue":
        """The items of a version of a dataset."""
        table = whole_table(f"{dataset}/items", ["item_id", "item_idx", "count"]).sort_by("item_idx").combine_chunks()
        ids = table["item_id"]
        return cls(ids=ids.chunk(0) if ids.num_chunks else pa.array([], ids.type), counts=table["count"].to_numpy())


@dataclass(frozen=True, kw_only=True)
class ListCounts:
    """Of all lists: users, users by source, how often each item (V,) is among the first FIRST, how often an item is unknown.

    `rows` are the whole rows of the users that were asked for.
    """

    users: int
    sources: Counter[str]
    shown: NDArray[np.int64]
    unknown: int
    rows: Mapping[Id, dict[str, Any]]

    @property
    def coverage(self) -> float:
        """The share of the items that are among the first of anybody's list."""
        return float(np.mean(self.shown > 0)) if len(self.shown) else 0.0

    @property
    def gini(self) -> float:
        """The Gini index of how often each item is shown (see `exposure.gini`)."""
        times, items = np.unique(self.shown[self.shown > 0], return_counts=True)
        return gini(times.tolist(), items.tolist(), catalogue=len(self.shown))


def count_lists(table: str, catalogue: Catalogue, *, users: Collection[Id] = ()) -> ListCounts:
    """Count the table recommendations, in one pass."""
    ids, shown = SortedIds.of(catalogue.ids), np.zeros(len(catalogue.ids), np.int64)
    number, unknown, sources = 0, 0, Counter[str]()
    rows: dict[Id, dict[str, Any]] = {}
    for batch in table_batches(table, ["user_id", "items", "source"]):
        number += batch.num_rows
        sources.update(batch.column("source").to_pylist())
        places = ids.find(first_items(batch.column("items"), FIRST))
        unknown += places.null_count
        shown += np.bincount(places.drop_null().to_numpy().astype(np.int64), minlength=len(shown))
        if users:
            wanted = pc.is_in(batch.column("user_id"), value_set=pa.array(list(users), batch.schema.field("user_id").type))
            rows |= {row["user_id"]: row for row in batch.filter(wanted).to_pylist()}
    return ListCounts(users=number, sources=sources, shown=shown, unknown=unknown, rows=rows)


def first_items(lists: pa.ListArray, k: int) -> pa.Array:
    """The ids of the first k entries of each list, list after list.

    >>> entries = pa.array([[{"item_id": 7}, {"item_id": 8}], [], [{"item_id": 9}]])
    >>> first_items(entries, 1).to_pylist()
    [7, 9]
    """
    offsets = lists.offsets.to_numpy()
    start = offsets[0]
    ids = pc.struct_field(lists.values.slice(start, offsets[-1] - start), "item_id")
    lengths = np.diff(offsets)
    within = np.arange(offsets[-1] - start) - np.repeat(offsets[:-1] - start, lengths)
    return ids.filter(pa.array(within < k))


def popularity_groups(catalogue: Catalogue, shown: NDArray[np.int64]) -> list[tuple[float, float]]:
    """The shares of training events and of recommendations that GROUPS groups of items have, the most popular tenth first.

    >>> shares = popularity_groups(Catalogue(ids=pa.array(range(10)), counts=np.arange(10)), np.array([0] * 9 + [4]))
    >>> shares[0], shares[9]
    ((0.2, 1.0), (0.0, 0.0))
    """
    order = np.argsort(-catalogue.counts, kind="stable")
    events, lists = max(1, int(catalogue.counts.sum())), max(1, int(shown.sum()))
    return [
        (float(catalogue.counts[group].sum() / events), float(shown[group].sum() / lists))
        for group in np.array_split(order, min(GROUPS, max(1, len(order))))
    ]
