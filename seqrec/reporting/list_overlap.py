"""Two versions of lists beside each other: how much of each user's first items is the same, which items gain and lose places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.reporting.list_counts import FIRST, Id, first_items
from seqrec.reporting.table_rows import table_batches
from seqrec.serving.sorted_ids import SortedIds
from seqrec.user_hashes import hash_ids

MOST_USERS = 500_000  # about so many are compared: a sample by a hash of the id where there are more
SHARES = 4096  # of the hashes, by which the sample is drawn


@dataclass(frozen=True, kw_only=True)
class FirstItems:
    """Users (N,) and the first FIRST items (N, FIRST) of their lists, as codes of `ids`; -1 where a list is shorter."""

    users: pa.Array
    items: NDArray[np.int64]
    ids: pa.Array


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Of the users of both versions: how many of the first items both lists have (N,), and changes of places by item.

    `sampled` is whether users are a sample; `only_now` and `only_before` are users of one version alone.
    """

    users: pa.Array
    common: NDArray[np.int64]
    longest: NDArray[np.int64]  # (N,) the length of the longer list, at most FIRST
    same_first: float
    gains: list[tuple[Id, int]]  # items by how many more users have them among the first, most first
    losses: list[tuple[Id, int]]
    only_now: int
    only_before: int
    sampled: bool

    @property
    def shares(self) -> NDArray[np.float64]:
        """(N,): the share of the first items that are the same; 1 where both lists are empty."""
        shares: NDArray[np.float64] = np.where(self.longest > 0, self.common / np.maximum(self.longest, 1), 1.0)
        return shares

    def changed_most(self, number: int) -> list[Id]:
        """The users whose lists have the least in common."""
        order = np.argsort(self.shares, kind="stable")[:number]
        chosen: list[Id] = self.users.take(pa.array(order)).to_pylist()
        return chosen


def read_first_items(table: str, *, rows: int) -> FirstItems:
    """The first items of the users of a table recommendations, of a sample where its `rows` are more than MOST_USERS."""
    share = min(SHARES, -(-MOST_USERS * SHARES // max(1, rows)))
    users, items, ids = [], [], []
    number = 0
    for batch in table_batches(table, ["user_id", "items"]):
        if share < SHARES:
            batch = batch.filter(pa.array(hash_ids(batch.column("user_id")) % SHARES < share))
        lists = batch.column("items")
        lengths = np.minimum(np.diff(lists.offsets.to_numpy()), FIRST)
        places = np.full((batch.num_rows, FIRST), -1, np.int64)
        places[np.arange(FIRST) < lengths[:, None]] = np.arange(number, number + lengths.sum())
        number += int(lengths.sum())
        users.append(batch.column("user_id"))
        items.append(places)
        ids.append(first_items(lists, FIRST))
    if not users:
        return FirstItems(users=pa.array([], pa.int64()), items=np.zeros((0, FIRST), np.int64), ids=pa.array([], pa.int64()))
    encoded = pa.concat_arrays(ids).dictionary_encode()
    codes, places = encoded.indices.to_numpy(), np.concatenate(items)
    coded = np.where(places >= 0, codes[np.maximum(places, 0)] if len(codes) else -1, -1)
    return FirstItems(users=pa.concat_arrays(users), items=coded, ids=encoded.dictionary)


def overlap(now: FirstItems, before: FirstItems, *, sampled: bool = False, most: int = 8) -> Overlap:
    """The overlap of two versions whose ids are of one type."""
    places = SortedIds.of(before.users).find(now.users)
    both = places.is_valid().to_numpy(zero_copy_only=False)
    ids = pa.concat_arrays([now.ids, before.ids]).dictionary_encode()
    codes = ids.indices.to_numpy()
    new = _recoded(now.items[both], codes[: len(now.ids)])
    old = _recoded(before.items[places.drop_null().to_numpy()], codes[len(now.ids) :])
    common = ((new[:, :, None] == old[:, None, :]) & (new >= 0)[:, :, None]).any(axis=2).sum(axis=1)
    difference = np.bincount(new[new >= 0], minlength=len(ids.dictionary)) - np.bincount(
        old[old >= 0], minlength=len(ids.dictionary)
    )
    names = ids.dictionary.to_pylist()
    moved = sorted(((names[place], int(difference[place])) for place in np.flatnonzero(difference)), key=lambda one: str(one[0]))
    moved.sort(key=lambda one: -abs(one[1]))  # ties stay in the order of the ids
    return Overlap(
        users=now.users.filter(pa.array(both)),
        common=common,
        longest=np.maximum((new >= 0).sum(axis=1), (old >= 0).sum(axis=1)),
        same_first=float(np.mean(new[:, 0] == old[:, 0])) if len(new) else 0.0,
        gains=[one for one in moved if one[1] > 0][:most],
        losses=[one for one in moved if one[1] < 0][:most],
        only_now=int((~both).sum()),
        only_before=len(before.users) - int(both.sum()),
        sampled=sampled,
    )


def _recoded(items: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of one dictionary as those of another; -1 stays."""
    return np.where(items >= 0, codes[np.maximum(items, 0)] if len(codes) else -1, -1)


def rows_of(table: str, users: list[Id]) -> Mapping[Id, dict[str, Any]]:
    """The whole rows of some users, in one pass."""
    wanted, rows = set(users), dict[Id, dict[str, Any]]()
    for batch in table_batches(table, ["user_id", "items", "source"]) if users else ():
        ids = batch.column("user_id").to_pylist()
        there = [place for place, user in enumerate(ids) if user in wanted]
        rows |= {row["user_id"]: row for row in batch.take(pa.array(there, pa.int64())).to_pylist()}
    return rows
