"""Lists for the column function `udf.recommend_udf`: pandas' Series of lists in, DataFrames of lists out.

Spark gives a column of lists as an array for each row, and takes one back as a Python list for each row, whose items it reads one
by one: so these lists are made in bulk, and an id that is a string is the same object in all of them.
"""

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.scoring.encoded_users import Encoded
from seqrec.scoring.lists import Chooser, ListTask
from seqrec.user_hashes import hash_ids

USAGE = "recommend(items, seen) or recommend(items, seen, user_id)"


def recommend_series(batches: Iterator[tuple[pd.Series, ...]], *, task: ListTask, user_type: str) -> Iterator[pd.DataFrame]:
    """item_id and score (lists of one length), source and, if asked, embedding, of batches of items, seen and maybe user_id.

    A null list is an empty one. Raises UserError for another number of columns, and for columns of another type.
    """
    chooser = Chooser.of(task)
    ids = np.array(chooser.model.ids.to_pylist(), dtype=object)
    for columns in batches:
        if len(columns) not in (2, 3):
            raise UserError(f"{len(columns)} columns are given: the function is called as {USAGE}")
        histories, seen = _read_lists(columns[0], "items"), _read_lists(columns[1], "seen")
        hashes = np.zeros(len(histories), np.int64)
        if len(columns) == 3:
            ids_of_users = _read_users(columns[2], user_type)
            hashes = hashes if chooser.model.users is None else hash_ids(ids_of_users)
        users = Encoded.of(chooser.model, histories, seen, hashes, batch_users=task.sizes.users)
        items, scores = chooser.best(users)
        lengths = np.count_nonzero(items >= FIRST_ITEM, axis=1)
        listed = ids.take(items - FIRST_ITEM, mode="clip")
        lists = {"item_id": _cut(listed, lengths), "score": _cut_floats(scores, lengths), "source": users.sources}
        if task.embeddings:
            embeddings = dict(zip(users.warm.tolist(), users.queries.tolist(), strict=True))
            lists["embedding"] = [embeddings.get(row) for row in range(len(histories))]
        yield pd.DataFrame(lists)


def _read_lists(column: pd.Series, name: str) -> Ragged:
    """The lists of a column of arrays of whole numbers; UserError for any other column."""
    rows = [np.zeros(0, np.int64) if row is None else row for row in column]
    for row in rows:
        if not isinstance(row, np.ndarray) or row.dtype.kind not in "iu":
            shown = f"a value of {name} is {np.array2string(row, threshold=3) if isinstance(row, np.ndarray) else repr(row):.60}"
            wanted = "an array of whole numbers without nulls, the item_idx of items, as items and seen of the table sequences"
            raise UserError(f"{shown}: {name} has to be {wanted}")
    return Ragged.of_arrays(rows)


def _read_users(column: pd.Series, user_type: str) -> pa.Array:
    """The ids (N,) of users; UserError unless they are of the type of the model's users, without nulls."""
    users = pa.Array.from_pandas(column)
    fits = pa.types.is_integer(users.type) if user_type == "bigint" else pa.types.is_string(users.type)
    if not fits or users.null_count:
        found = f"{users.type}{' with nulls' if users.null_count else ''}"
        raise UserError(f"user_id is a column of {found}: the model's users are {user_type}, without nulls")
    return users


def _cut(rows: NDArray[Any], lengths: NDArray[np.int64]) -> list[list[Any]]:
    """The rows (N, K) as lists of the given lengths (N,)."""
    lists: list[list[Any]] = rows.tolist()
    for row in np.flatnonzero(lengths < rows.shape[1]).tolist():
        del lists[row][lengths[row] :]
    return lists


def _cut_floats(rows: NDArray[np.float32], lengths: NDArray[np.int64]) -> list["array[float]"]:
    """The rows (N, K) as arrays of the given lengths (N,), of which Spark makes lists, and so the floats, one after another."""
    values, width = array("f", rows.tobytes()), rows.shape[1]
    return [values[row * width : row * width + length] for row, length in enumerate(lengths.tolist())]
