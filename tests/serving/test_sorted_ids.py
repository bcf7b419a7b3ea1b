"""Ids that are found by a binary search, against Arrow's own search; what holds them doesn't search otherwise."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from seqrec.serving.candidate_rows import ItemFeatures
from seqrec.serving.feature_encoding import EncodedColumn
from seqrec.serving.sorted_ids import SortedIds


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
@pytest.mark.parametrize("number", [0, 1, 2, 7, 8, 9, 100])
def test_places_are_those_of_a_search_through_all(number: int, kind: pa.DataType) -> None:
    draw = np.random.default_rng(number)
    ids = pa.array(draw.permutation(2 * number)[:number] * 7 - 30).cast(kind)
    absent = pa.array([-1000, 10**9, 3, None]).cast(kind)
    wanted = pa.concat_arrays([ids, absent, ids.take(pa.array(draw.integers(0, max(number, 1), number)))])
    expected = pc.index_in(wanted, value_set=ids, skip_nulls=True)
    assert SortedIds.of(ids).find(wanted).to_pylist() == expected.to_pylist()


def test_words_of_several_bytes_and_nulls_among_the_ids() -> None:
    ids = pa.array(["ü", "z", None, "a", "", "日本", "a\0"])
    wanted = pa.array(["日本", "", None, "ü", "a\0", "b", "a"])
    assert SortedIds.of(ids).find(wanted).to_pylist() == [5, 4, None, 0, 6, None, 3]


def test_a_catalogue_is_hashed_by_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def hashed(*_: Any, **__: Any) -> Any:
        raise AssertionError("all ids were hashed")

    monkeypatch.setattr(pc, "index_in", hashed)
    monkeypatch.setattr(pc, "is_in", hashed)
    features = ItemFeatures.of(pa.table({"item_id": ["b", "a"], "year": [1991, 1992]}))
    assert features.take(pa.array(["a", "c", "b"]))["year"].to_pylist() == [1992, None, 1991]
    column = EncodedColumn(name="genre", kind="discrete", categories=pa.array(["Drama", "Crime"]))
    assert column.encode(pa.array(["Crime", None, "Drama", "War"]))[:, 0].tolist() == [2, 0, 1, 0]
