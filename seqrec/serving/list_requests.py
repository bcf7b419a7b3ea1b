"""The rows of a request for lists, as MLflow's server gives them: a table of pandas, checked and typed.

    instances     item ids, oldest first; [] for a user of whom nothing is known
    k             items of the list                       allow, deny    the only items to recommend, and items never to
    filter_seen   false: the history's items, too         user           whose history it is

All but instances may be missing, in single rows too. Ids are those of the dataset. A zero that pads a history is no item, unless
the model has an item 0. JSON has one kind of numbers, and pandas makes floats of whole numbers beside a gap: floats that are
whole numbers are taken for them.
"""

import difflib
import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from seqrec.errors import UserError
from seqrec.serving.extended_sequence import Id
from seqrec.serving.model_ids import ModelIds

COLUMNS = ("instances", "k", "filter_seen", "allow", "deny", "user")
MOST_ITEMS = 10_000  # of a list, which is held in memory
EXACT = 2**53  # from here on floats skip whole numbers
EXAMPLE = '{"dataframe_records": [{"instances": [ID, ID, …]}]}'

KINDS = {"bigint": "whole numbers", "string": "text"}

Kind = Literal["user", "item"]


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """What one row asks for, as `Recommender.recommend` takes it."""

    history: list[Id]
    k: int
    filter_seen: bool
    allow: list[Id] | None
    deny: list[Id]
    user: Id | None


def read_requests(table: Any, ids: ModelIds, *, top_k: int) -> list[ListRequest]:
    """The rows of a table; UserError, one sentence that names the row and the column, for the first that can't be answered."""
    if not hasattr(table, "to_dict"):
        raise UserError(f"the request is no table: send {EXAMPLE}")
    names = [str(name) for name in table.columns]
    if len(table) and "instances" not in names:
        raise UserError(f"there is no column instances among {reprlib.repr(names)}: send {EXAMPLE}")
    if unknown := [name for name in names if name not in COLUMNS]:
        near = difflib.get_close_matches(unknown[0], COLUMNS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"a row has {', '.join(COLUMNS)}"
        raise UserError(f"there is no column {reprlib.repr(unknown[0])}: {hint}")
    if len(set(names)) < len(names):
        raise UserError(f"a column is there twice among {', '.join(names)}: leave one out")
    requests = []
    for number, row in enumerate(table.to_dict("records"), start=1):
        try:
            requests.append(_request(row, ids, top_k=top_k))
        except UserError as error:
            raise UserError(f"row {number}: {error}") from None
    return requests


def _request(row: dict[str, Any], ids: ModelIds, *, top_k: int) -> ListRequest:
    """One row; UserError if it can't be answered."""
    there = {name: value for name, value in row.items() if not _is_missing(value)}
    if "instances" not in there:
        raise UserError("instances is missing: give a list of item ids, oldest first, or [] for none")
    keep_seen = there.get("filter_seen", True)
    if not isinstance(keep_seen, bool | np.bool_):
        raise UserError(f"filter_seen: {reprlib.repr(keep_seen)} is neither true nor false")
    return ListRequest(
        history=_ids(there["instances"], "instances", ids),
        k=_length(there.get("k", top_k)),
        filter_seen=bool(keep_seen),
        allow=_ids(there["allow"], "allow", ids) if "allow" in there else None,
        deny=_ids(there.get("deny", []), "deny", ids),
        user=_id(there["user"], "user", ids, of="user") if "user" in there else None,
    )


def _is_missing(value: Any) -> bool:
    """Whether a cell is empty: null, or pandas' gap in a column of numbers."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _ids(values: Any, column: str, ids: ModelIds) -> list[Id]:
    """The ids of a list, without the zeros that pad it."""
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise UserError(f"{column}: {reprlib.repr(listed)} is no list: give a list of item ids")
    text = ids.types.item == "string"  # among numbers a zero is an id like others, which the model knows or not
    return [_id(value, column, ids, of="item") for value in listed if not (text and _is_zero(value))]


def _is_zero(value: Any) -> bool:
    """Whether a value is the number 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == 0


def _id(value: Any, column: str, ids: ModelIds, *, of: Kind) -> Id:
    """An id of the type that the model has."""
    if getattr(ids.types, of) == "bigint" and isinstance(value, float) and value.is_integer():
        if abs(value) >= EXACT:
            raise UserError(
                f"{column}: {value:.0f} may have lost digits, as numbers beside a gap become floats: send such rows by themselves"
            )
        value = int(value)
    try:
        if isinstance(value, str):
            value.encode()
        return ids.typed(value, column, of=of)
    except (UserError, UnicodeEncodeError):
        wanted = KINDS[getattr(ids.types, of)]
        raise UserError(
            f"{column}: {reprlib.repr(value)} is no {of} id of the model {ids.model}, whose {of} ids are {wanted}"
        ) from None


def _length(value: Any) -> int:
    """How many items a list is to have."""
    whole = (isinstance(value, int | np.integer) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )
    if not whole or not 1 <= value <= MOST_ITEMS:
        raise UserError(f"k: {reprlib.repr(value)} is no whole number from 1 to {MOST_ITEMS:,}")
    return int(value)
