"""Arrow columns as flat lists."""

import numpy as np
import pyarrow as pa

from seqrec.ragged import Ragged

COLUMN = pa.array([[9], [5, 7, 8], [], [3]], pa.list_(pa.int32()))


def test_a_slice_of_a_column_has_its_own_lists() -> None:
    found = Ragged.of_arrow(COLUMN.slice(1, 2))
    assert (found.values.tolist(), found.offsets.tolist()) == ([5, 7, 8], [0, 3, 3])


def test_padding_takes_nothing_from_the_list_before() -> None:
    assert Ragged.of_arrow(COLUMN).left_padded(np.array([3, 2, 1]), 2).tolist() == [[0, 3], [0, 0], [7, 8]]


def test_no_lists() -> None:
    none = Ragged.of_arrow(COLUMN.slice(0, 0))
    assert len(none) == 0
    assert none.take(np.array([], np.int64)).left_padded(np.array([], np.int64), 3).shape == (0, 3)
