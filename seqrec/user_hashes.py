"""Who a user is to a model that has embeddings of users: Spark's xxhash64 of the id, and its place among those trained on."""

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

SEED = 42  # Spark's
UNKNOWN = 0  # the place of a user who wasn't trained on


def hash_ids(ids: pa.Array) -> NDArray[np.int64]:
    """Ids (N,), int64 or string, as `F.xxhash64` hashes them.

    >>> hash_ids(pa.array([7])).tolist(), hash_ids(pa.array(["7"])).tolist()
    ([-2864211556195259663], [-7434725489921472031])
    """
    whole = pa.types.is_integer(ids.type)
    found = [xxhash.xxh64_intdigest(one.to_bytes(8, "little", signed=True) if whole else one, SEED) for one in ids.to_pylist()]
    return np.array(found, dtype=np.uint64).astype(np.int64)


def places(hashes: NDArray[np.int64], known: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places (N,) of hashes among the known ones, which are sorted: from 1, or UNKNOWN.

    >>> places(np.array([30, 10, 20]), np.array([10, 30])).tolist()
    [2, 1, 0]
    """
    if not len(known):
        return np.full(len(hashes), UNKNOWN, dtype=np.int64)
    found = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.where(known[found] == hashes, found + 1, UNKNOWN)
