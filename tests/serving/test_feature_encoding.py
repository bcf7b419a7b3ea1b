"""Columns into features: codes, missing values, shares, and columns that aren't as in the training."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.serving.feature_encoding import EncodedColumn, Encoding

NAN = np.nan
ENCODING = Encoding(
    columns=(
        EncodedColumn(name="item_id", kind="discrete", categories=pa.array([30, 2**60 + 1], pa.int64())),
        EncodedColumn(name="genre", kind="discrete", categories=pa.array(["Drama", "Crime"])),
        EncodedColumn(name="age", kind="continuous"),
        EncodedColumn(name="user_genre_shares", kind="shares", parts=("Crime", "Drama")),
    )
)
ROWS = {
    "user_genre_shares": pa.array([[0.25, 0.75], None, [1.0, float("inf")]], pa.list_(pa.float32())),
    "item_id": pa.array([2**60 + 1, None, 31], pa.int64()),
    "genre": pa.array(["Crime", "crime", None]),
    "age": pa.array([float("-inf"), 18.5, None], pa.float64()),
    "unused": pa.array([1, 2, 3]),
}
FEATURES = np.array([[2, 2, NAN, 0.25, 0.75], [0, 0, 18.5, NAN, NAN], [0, 0, NAN, 1, NAN]], np.float32)


def encoded(encoding: Encoding, **changed: pa.Array) -> NDArray[np.float32]:
    return encoding.encode(pa.table({**ROWS, **changed}))


def test_features_stand_in_the_order_of_the_encoding() -> None:
    table = pa.table(ROWS)
    np.testing.assert_array_equal(ENCODING.encode(table), FEATURES)
    np.testing.assert_array_equal(ENCODING.encode(table.to_batches()[0].slice(1, 2)), FEATURES[1:])  # a slice of a batch
    np.testing.assert_array_equal(ENCODING.encode(pa.concat_tables([table, table])), np.vstack([FEATURES, FEATURES]))
    assert ENCODING.encode(table.slice(0, 0)).shape == (0, 5)
    assert [(feature.name, feature.codes) for feature in ENCODING.features] == [
        ("item_id", 3),
        ("genre", 3),
        ("age", 0),
        ("user_genre_shares[Crime]", 0),
        ("user_genre_shares[Drama]", 0),
    ]


def test_shares_of_no_genre_are_no_feature() -> None:
    empty = Encoding(columns=(EncodedColumn(name="user_genre_shares", kind="shares"), ENCODING.columns[2]))
    lists = pa.array([[], None, []], pa.list_(pa.float32()))
    np.testing.assert_array_equal(encoded(empty, user_genre_shares=lists), FEATURES[:, [2]])


def test_a_file_of_the_encoding_gives_the_same_features() -> None:
    again = Encoding.of_json(ENCODING.to_json())
    np.testing.assert_array_equal(encoded(again), FEATURES)
    assert again.features == ENCODING.features


def test_lists_of_categories_are_the_codes_of_their_last_entries() -> None:
    """Shorter ones end in 0, as do a missing one and one that a slice leaves out; what is unknown has the code 0 in its place."""
    column = EncodedColumn(name="recent", kind="list", categories=pa.array([7, 8, 9], pa.int64()), parts=("0", "1"))
    encoding = Encoding.of_json(Encoding(columns=(column,)).to_json())
    lists = pa.array([[7, 8, 9], [9], None, [], [5, 8], [9, None]], pa.list_(pa.int64()))
    expected = np.array([[2, 3], [3, 0], [0, 0], [0, 0], [0, 2], [3, 0]], np.float32)
    np.testing.assert_array_equal(encoding.encode(pa.table({"recent": lists})), expected)
    np.testing.assert_array_equal(encoding.encode(pa.table({"recent": lists}).to_batches()[0].slice(1, 4)), expected[1:5])
    assert [(feature.name, feature.codes) for feature in encoding.features] == [("recent[0]", 4), ("recent[1]", 4)]
    with pytest.raises(UserError, match="column recent is int64, lists of categories are expected"):
        encoding.encode(pa.table({"recent": pa.array([7])}))


@pytest.mark.parametrize(
    "change",
    [
        {"item_id": pa.array([0, 30, 0], pa.int32())},
        {"genre": pa.array(["Drama", None, "Crime"]).dictionary_encode()},
        {"age": pa.array([True, None, False])},
        {"age": pa.array([None, None, None])},
    ],
)
def test_types_that_hold_the_same_values_are_read(change: dict[str, pa.Array]) -> None:
    (name,) = change
    place = ENCODING.names.index(name)
    expected = {"item_id": [0, 1, 0], "genre": [1, 0, 2], "age": [1, NAN, 0] if change[name].null_count == 1 else [NAN] * 3}
    np.testing.assert_array_equal(encoded(ENCODING, **change)[:, place], np.array(expected[name], np.float32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"item_id": pa.array(["30", "31", "32"])}, "column item_id is string, the model was trained on int64"),
        ({"genre": pa.array([0.5, 1.0, 1.5])}, "column genre is double, a discrete one holds whole numbers or text"),
        ({"age": pa.array(["18", "19", "20"])}, "column age is string, a continuous one holds numbers"),
        (
            {"user_genre_shares": pa.array([[0.1, 0.2, 0.7]] * 3)},
            r"user_genre_shares has lists of 3 numbers, the model expects 2 \(Crime, Drama\)",
        ),
        ({"user_genre_shares": pa.array([0.1, 0.2, 0.7])}, "user_genre_shares is double, the model expects lists of 2 numbers"),
    ],
)
def test_another_type_is_an_error_that_names_the_column(change: dict[str, pa.Array], said: str) -> None:
    with pytest.raises(UserError, match=said):
        encoded(ENCODING, **change)


def test_columns_that_are_missing_are_named() -> None:
    with pytest.raises(UserError, match="the table lacks item_id, age, which the model expects: make it as"):
        ENCODING.encode(pa.table({name: ROWS[name] for name in ("genre", "user_genre_shares")}))
