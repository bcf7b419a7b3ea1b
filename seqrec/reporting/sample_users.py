"""Users to show: their latest items, in original ids, by the dataset that their lists were made from."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.reporting.list_counts import Catalogue, Id
from seqrec.reporting.table_rows import table_batches


@dataclass(frozen=True, kw_only=True)
class History:
    """How many items the dataset keeps of a user, the newest max_history at most, and the latest of them, the latest first."""

    length: int
    latest: tuple[Id, ...]


def spread_users(table: str, number: int, *, among: pa.Array | None = None) -> list[Id]:
    """Users whose histories are from short to long, of the first batch of rows of a table with user_id and items.

    `among` are the users (N,) that may be chosen; the first batch that has one of them is taken.
    """
    batches = table_batches(table, ["user_id", "items"])
    if among is not None:
        batches = (batch.filter(_is_in(batch.column("user_id"), among)) for batch in batches)
    batch = next((batch for batch in batches if batch.num_rows), None)
    if batch is None:
        return []
    lengths = pc.list_value_length(batch.column("items")).to_numpy(zero_copy_only=False)
    order = np.argsort(lengths, kind="stable")
    places = np.unique(np.linspace(0, len(order) - 1, min(number, len(order))).round().astype(int))
    chosen: list[Id] = batch.column("user_id").take(pa.array(order[places])).to_pylist()
    return chosen


def typed_users(given: Sequence[Id], kind: str) -> list[Id]:
    """Users that settings name, in the type of the ids, bigint or string; UserError for a text that is no integer of 64 bits.

    >>> typed_users(["7", 8], "bigint"), typed_users([7], "string")
    ([7, 8], ['7'])
    """
    if kind == "string":
        return [str(user) for user in given]
    return [_whole(user) for user in given]


def _whole(user: Id) -> int:
    """An id as the integer that it is."""
    with suppress(ValueError):
        if -(2**63) <= (number := int(user)) < 2**63:
            return number
    raise UserError(f"users: {user!r} is no id of this dataset, whose users are whole numbers of 64 bits")


def read_histories(table: str, users: Collection[Id], catalogue: Catalogue, *, number: int) -> dict[Id, History]:
    """The histories of users, in one pass over a table with user_id and items."""
    found: dict[Id, History] = {}
    for batch in table_batches(table, ["user_id", "items"]) if users else ():
        wanted = _is_in(batch.column("user_id"), pa.array(list(users), batch.schema.field("user_id").type))
        for row in batch.filter(wanted).to_pylist():
            places = [index - FIRST_ITEM for index in reversed(row["items"][-number:])]
            latest = tuple(catalogue.ids[place].as_py() for place in places if 0 <= place < len(catalogue.ids))
            found[row["user_id"]] = History(length=len(row["items"]), latest=latest)
    return found


def _is_in(users: pa.Array, those: pa.Array) -> pa.Array:
    """Which users (N,) are among those."""
    return pc.is_in(users, value_set=those.cast(users.type))


def first_users(lists: str) -> pa.Array:
    """The users of the first batch of rows of a table recommendations."""
    batch = next((batch for batch in table_batches(lists, ["user_id"]) if batch.num_rows), None)
    return pa.array([], pa.int64()) if batch is None else batch.column("user_id")
