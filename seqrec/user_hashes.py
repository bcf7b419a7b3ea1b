"""How a model with embeddings of users identifies a user: by Spark's xxhash64 of the id.

The hashes of the users it was trained on are sorted in users.npy; a user's position there, counted from 1, is the row of the
user's embedding. Row 0 stands for everybody else.
"""

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

SEED = 42  # Spark's
UNKNOWN = 0  # the row of a user who wasn't trained on


def hash_ids(ids: pa.Array) -> NDArray[np.int64]:
    """Ids (N,), int64 or string, as `F.xxhash64` hashes them.

    >>> hash_ids(pa.array([7])).tolist(), hash_ids(pa.array(["7"])).tolist()
    ([-2864211556195259663], [-7434725489921472031])
    """
    whole = pa.types.is_integer(ids.type)
    encoded = (user.to_bytes(8, "little", signed=True) if whole else user for user in ids.to_pylist())
    return np.array([xxhash.xxh64_intdigest(user, SEED) for user in encoded], dtype=np.uint64).astype(np.int64)


def user_rows(hashes: NDArray[np.int64], trained: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows (N,) of users by their hashes: from 1 for those among the trained ones, which are sorted, else UNKNOWN.

    >>> user_rows(np.array([30, 10, 20]), np.array([10, 30])).tolist()
    [2, 1, 0]
    """
    if not len(trained):
        return np.full(len(hashes), UNKNOWN, dtype=np.int64)
    nearest = np.minimum(np.searchsorted(trained, hashes), len(trained) - 1)
    return np.where(trained[nearest] == hashes, nearest + 1, UNKNOWN)
