"""Ids in order, once, so that a few of them are found without a pass over all: Arrow's `index_in` hashes all at each call.

SortedIds.of(ids).find(wanted)      the places of the wanted ids among ids
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class SortedIds:
    """Ids (I,) in ascending order, without nulls, and the place (I,) that each had before."""

    ids: pa.Array
    places: pa.Array

    @classmethod
    def of(cls, ids: pa.Array) -> "SortedIds":
        """Of ids in any order; nothing finds a null, and of equal ids the first is found."""
        order = pc.sort_indices(ids).slice(0, len(ids) - ids.null_count)  # nulls come last
        return cls(ids.take(order), order)

    def find(self, wanted: pa.Array) -> pa.Array:
        """The places of N wanted ids (N,); null for one that isn't there, and for a null.

        A binary search of each distinct id, in log2(I) steps of all of them at once.

        >>> SortedIds.of(pa.array(["b", "a"])).find(pa.array(["a", "c", None, "b"])).to_pylist()
        [1, None, None, 0]
        """
        if not len(self.ids):
            return pa.nulls(len(wanted), self.places.type)
        encoded = wanted.dictionary_encode()
        distinct = encoded.dictionary
        lower = np.zeros(len(distinct), np.int64)  # how many ids are below each wanted one
        for bit in reversed(range(len(self.ids).bit_length())):
            further = lower + (1 << bit)
            last = self.ids.take(pa.array(np.minimum(further, len(self.ids)) - 1))
            below = pc.less(last, distinct).to_numpy(zero_copy_only=False)
            lower = np.where(below & (further <= len(self.ids)), further, lower)
        at = pa.array(np.minimum(lower, len(self.ids) - 1))
        there = pc.equal(self.ids.take(at), distinct)
        found = pc.if_else(there, self.places.take(at), pa.scalar(None, self.places.type))
        return found.take(encoded.indices)
