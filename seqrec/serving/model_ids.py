"""The ids of a model's items and users as code gives them: checked, typed, and found among the items that the model knows."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.serving.extended_sequence import Id
from seqrec.serving.typed_ids import typed_value
from seqrec.storage.metadata import IdTypes


@dataclass(frozen=True)
class ModelIds:
    """The ids (V,) of a model's items, the types of its ids, and its name for messages."""

    items: pa.Array
    types: IdTypes
    model: str

    @cached_property
    def index(self) -> dict[Id, int]:
        """The item index of each id."""
        return {item_id: index for index, item_id in enumerate(self.items.to_pylist(), start=FIRST_ITEM)}

    def typed(self, value: Any, argument: str, *, of: Literal["user", "item"] = "item") -> Id:
        """The id as a Python value; UserError if it isn't of the type of the model's ids of users or items."""
        return typed_value(value, argument, kind=getattr(self.types, of), of=of, model=self.model)

    def typed_items(self, ids: Iterable[Id], argument: str) -> list[Id]:
        """The ids of items as Python values."""
        if isinstance(ids, str | bytes):
            raise UserError(f"{argument}={ids!r} is one id: give a list of ids, such as [{ids!r}]")
        return [self.typed(item_id, argument) for item_id in ids]

    def indices(self, ids: Iterable[Id], argument: str) -> list[int]:
        """The item indices of the ids that the model knows."""
        return [self.index[item_id] for item_id in self.typed_items(ids, argument) if item_id in self.index]

    def marks(self, ids: Iterable[Id], argument: str) -> NDArray[np.bool_]:
        """True (V + 2,) at the indices of the ids that the model knows."""
        marks = np.zeros(FIRST_ITEM + len(self.items), dtype=bool)
        marks[self.indices(ids, argument)] = True
        return marks
