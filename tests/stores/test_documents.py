"""Arrow batches as documents, against Arrow's own conversion to Python, and what BSON can't hold."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql.types import DataType, StructType

from seqrec.stores.documents import BsonTypes, columns_not_for_bson, cut_batches, to_documents

TYPES = BsonTypes(integer=int, date=lambda value: datetime(1970, 1, 1) + timedelta(milliseconds=value), decimal=str)
WHEN = datetime(1969, 12, 31, 23, 59, 59, 500_000)
ENTRY = pa.struct([("item_id", pa.int64()), ("tags", pa.list_(pa.string()))])
COLUMNS: dict[str, pa.Array] = {
    "_id": pa.array([5, -(2**63), 2**63 - 1, 5], pa.int64()),
    "small": pa.array([1, None, 3, 4], pa.int16()),
    "share": pa.array([0.5, None, -1.5, 2.0], pa.float32()),
    "flag": pa.array([True, None, False, True]),
    "raw": pa.array([b"\x00\xff", b"", None, b"x"]),
    "entries": pa.array(
        [[{"item_id": 7, "tags": ["a", None]}, None], [], None, [{"item_id": None, "tags": None}]], pa.list_(ENTRY)
    ),
    "one": pa.array([{"item_id": 1, "tags": []}, None, {"item_id": 2, "tags": ["b"]}, None], ENTRY),
    "lists": pa.array([[[1], [], None], None, [[2, 3]], []], pa.list_(pa.list_(pa.int64()))),
    "counts": pa.array([[("a", 1)], None, [], [("b", None), ("c", 3)]], pa.map_(pa.string(), pa.int64())),
}


def plain(value: Any) -> Any:
    """Arrow's Python values with maps as dicts."""
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return dict(value)
    return value


def naive(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    rows = [{name: plain(value) for name, value in row.items()} | {"publish_id": "p"} for row in batch.to_pylist()]
    return [row | {"counts": {} if row["counts"] == [] else row["counts"]} for row in rows]


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_documents_are_what_arrow_has_whatever_the_slices(rows: int) -> None:
    batch = pa.RecordBatch.from_arrays(list(COLUMNS.values()), list(COLUMNS))
    documents = [document for part in cut_batches([batch], rows) for document in to_documents(part, publish_id="p", types=TYPES)]
    assert documents == naive(batch)


def test_times_decimals_and_keys_are_made_by_the_store() -> None:
    columns = {
        "utc": pa.array([WHEN.replace(tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "naive": pa.array([WHEN, None], pa.timestamp("us")),
        "day": pa.array([date(2026, 2, 28), None]),
        "price": pa.array([Decimal("1.50"), None]),
        "by_year": pa.array([[(2026, 1.5)], None], pa.map_(pa.int32(), pa.float64())),
    }
    first, second = to_documents(pa.RecordBatch.from_pydict(columns), publish_id="p", types=TYPES)
    assert first["utc"] == first["naive"] == WHEN
    assert (first["day"], first["price"], first["by_year"]) == (datetime(2026, 2, 28), "1.50", {"2026": 1.5})
    assert set(second.values()) == {None, "p"}


@pytest.mark.parametrize(
    ("kind", "fits"),
    [
        ("array<struct<a: map<string, binary>, b: timestamp_ntz>>", True),
        ("map<int, decimal(34, 4)>", True),
        ("map<date, int>", False),
        ("struct<a: array<decimal(35, 0)>>", False),
        ("interval day to second", False),
    ],
)
def test_what_bson_cannot_hold_is_named(spark: Any, kind: str, fits: bool) -> None:
    schema = StructType().add("id", "long").add("column", DataType.fromDDL(kind))
    assert columns_not_for_bson(schema) == ([] if fits else [f"column ({schema['column'].dataType.simpleString()})"])
