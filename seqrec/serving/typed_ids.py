"""Ids that a caller gives, as the Python values that a model's tables have."""

from typing import Any

import numpy as np

from seqrec.errors import UserError
from seqrec.serving.extended_sequence import Id

TYPES: dict[str, type[int] | type[str]] = {"bigint": int, "string": str}
BIGINT = range(-(2**63), 2**63)


def typed_value(value: Any, argument: str, *, kind: str, of: str, model: str) -> Id:
    """An id of a user or an item (`of`) of a type, bigint or string; UserError, with the name of the model, for another value.

    >>> import numpy
    >>> typed_value(numpy.int32(7), "user", kind="bigint", of="user", model="sasrec")
    7
    """
    plain = value.item() if isinstance(value, np.generic) else value
    fits = isinstance(plain, TYPES[kind]) and not isinstance(plain, bool)
    if not fits or (isinstance(plain, int) and plain not in BIGINT):
        raise UserError(f"{argument}: {value!r} is no {of} id of the model {model}, whose {of} ids are of type {kind}")
    typed: Id = plain
    return typed
