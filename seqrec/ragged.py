"""Lists of item indices as one flat array and offsets: a batch of histories without a Python object for each user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.indices import PADDING


@dataclass(frozen=True)
class Ragged:
    """N lists: list i is values[offsets[i]:offsets[i + 1]]; offsets (N + 1,) start at 0."""

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, lists: list[list[int]]) -> "Ragged":
        """Of Python lists.

        >>> Ragged.of([[5, 7], [], [3]]).offsets.tolist()
        [0, 2, 2, 3]
        """
        offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        return cls(np.array([value for row in lists for value in row], dtype=np.int64), offsets)

    @classmethod
    def of_arrays(cls, lists: Sequence[NDArray[np.integer[Any]]]) -> "Ragged":
        """
        >>> Ragged.of_arrays([np.array([5, 7]), np.array([], dtype=np.int64)]).offsets.tolist()
        [0, 2, 2]
        """
        offsets = np.cumsum([0, *map(len, lists)], dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, dtype=np.int64), *lists]), offsets)

    @classmethod
    def of_arrow(cls, column: pa.ListArray) -> "Ragged":
        """The lists of an Arrow column, a slice of a longer one included; nulls are not expected."""
        offsets = column.offsets.to_numpy().astype(np.int64)
        values = column.values.slice(offsets[0], offsets[-1] - offsets[0]).to_numpy()
        return cls(values.astype(np.int64), offsets - offsets[0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,): how many values each list has."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> NDArray[np.int64]:
        """The number of the list that each value is in, counted from 0.

        >>> Ragged.of([[5, 7], [], [3]]).rows.tolist()
        [0, 0, 2]
        """
        return np.repeat(np.arange(len(self)), self.lengths)

    def where(self, keep: NDArray[np.bool_]) -> "Ragged":
        """The lists with only those values that are marked in `keep`, which has a flag for each value.

        >>> kept = Ragged.of([[5, 7], [9], [3]]).where(np.array([True, False, False, True]))
        >>> kept.values.tolist(), kept.offsets.tolist()
        ([5, 3], [0, 1, 1, 2])
        """
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        return Ragged(self.values[keep], kept_before[self.offsets])

    def take(self, rows: NDArray[np.int64]) -> "Ragged":
        """The lists of the given rows, in their order.

        >>> taken = Ragged.of([[5, 7], [9], [3]]).take(np.array([2, 0]))
        >>> taken.values.tolist(), taken.offsets.tolist()
        ([3, 5, 7], [0, 1, 3])
        """
        lengths = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        positions = np.arange(offsets[-1]) + np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Ragged(self.values[positions], offsets)

    def oldest(self, length: int) -> "Ragged":
        """The first `length` values of each list.

        >>> Ragged.of([[5, 7, 8], [], [3]]).oldest(2).values.tolist()
        [5, 7, 3]
        """
        return self.where(np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths) < length)

    def newest(self, length: int) -> "Ragged":
        """The last `length` values of each list.

        >>> Ragged.of([[5, 7, 8], [], [3]]).newest(2).values.tolist()
        [7, 8, 3]
        """
        return self.where(np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.values)) <= length)

    def newest_once(self) -> "Ragged":
        """The lists, in their order, with only the last occurrence of each value in a list.

        >>> Ragged.of([[5, 7, 5], [5, 5]]).newest_once().values.tolist()
        [7, 5, 5]
        """
        pairs = self.rows * (1 + self.values.max(initial=0)) + self.values
        _, from_the_end = np.unique(pairs[::-1], return_index=True)
        keep = np.zeros(len(pairs), dtype=bool)
        keep[len(pairs) - 1 - from_the_end] = True
        return self.where(keep)

    def with_one_more(self, values: NDArray[np.int64], *, first: bool = False) -> "Ragged":
        """The lists with one of the values (N,) more each, at the end or, if `first`, at the start; a negative one adds nothing.

        >>> longer = Ragged.of([[5, 7], [], [3]]).with_one_more(np.array([9, 8, -1]))
        >>> longer.values.tolist(), longer.offsets.tolist()
        ([5, 7, 9, 8, 3], [0, 3, 4, 5])
        """
        more = values >= 0
        places = (self.offsets[:-1] if first else self.offsets[1:])[more]
        offsets = self.offsets + np.concatenate([[0], np.cumsum(more)])
        return Ragged(np.insert(self.values, places, values[more]), offsets)

    def left_padded(self, rows: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """The last `length` values of the given rows, padded on the left with 0: (len(rows), length).

        >>> Ragged.of([[5, 7, 8], [], [3]]).left_padded(np.array([0, 2]), 2).tolist()
        [[7, 8], [0, 3]]
        """
        if not len(self.values):
            return np.full((len(rows), length), PADDING, dtype=np.int64)
        positions = self.offsets[rows + 1][:, None] + np.arange(-length, 0)  # (B, L)
        padded: NDArray[np.int64] = self.values.take(positions, mode="clip")
        padded[positions < self.offsets[rows][:, None]] = PADDING
        return padded
