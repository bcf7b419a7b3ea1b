"""Fields of items in lists."""

import subprocess
import sys
from functools import partial
from typing import Any, cast

import pyarrow as pa
import pytest
from pyspark.serializers import CloudPickleSerializer
from pyspark.sql import SparkSession
from pyspark.testing import assertDataFrameEqual

from seqrec.catalogue.item_fields import ItemFields
from seqrec.errors import UserError
from seqrec.publishing.carried_fields import require_fields, with_fields
from seqrec.stores.documents import extend_batches, extend_lists


def test_a_part_of_a_batch_keeps_its_lists() -> None:
    lists = pa.array([[{"item_id": 7}], [{"item_id": 8}, {"item_id": 7}], [], [{"item_id": 9}]])
    table = pa.table({"item_id": [9, 8], "title": ["Ran", "Heat"]})
    heat, ran, none = ({"item_id": item, "title": title} for item, title in ((8, "Heat"), (9, "Ran"), (7, None)))
    assert extend_lists(lists, table).to_pylist() == [[none], [heat, none], [], [ran]]
    assert extend_lists(lists.slice(1, 2), table).to_pylist() == [[heat, none], []]
    both = pa.RecordBatch.from_arrays([lists, lists.slice(0, 4)], ["items", "next_items"])
    [extended] = extend_batches([both], table=table)
    assert extended["next_items"].to_pylist() == extended["items"].to_pylist() == [[none], [heat, none], [], [ran]]


def test_reasons_carry_them_too() -> None:
    lists = pa.array([[{"item_id": 7, "because": []}], [{"item_id": 8, "because": [{"item_id": 9}, {"item_id": 7}]}]])
    table = pa.table({"item_id": [9, 8], "title": ["Ran", "Heat"]})
    ran, none = {"item_id": 9, "title": "Ran"}, {"item_id": 7, "title": None}
    heat = {"item_id": 8, "because": [ran, none], "title": "Heat"}
    assert extend_lists(lists, table).to_pylist() == [[{"item_id": 7, "because": [], "title": None}], [heat]]
    assert extend_lists(lists.slice(1), table).to_pylist() == [[heat]]


def test_a_worker_of_spark_loads_no_kinds_of_meta_json() -> None:
    """They would make a worker's start longer by a quarter of a second."""
    function = cast(Any, CloudPickleSerializer)().dumps(partial(extend_batches, table=pa.table({"item_id": [7]})))
    load = "import sys, pickle; pickle.load(sys.stdin.buffer); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", load], input=function, capture_output=True, check=True)
    loaded = set(done.stdout.decode().split())
    assert "seqrec.stores.documents" in loaded
    assert not {"pydantic", "seqrec.storage.metadata"} & loaded


def test_lists_of_each_type_of_ids(spark: SparkSession) -> None:
    """Fields keep their types; the ids' text becomes the type of the lists' ids."""
    fields = ItemFields(pa.table({"item_id": ["7", "x"], "year": [1995, 2000], "tags": [["a"], None]}), "year, tags of f, by id")
    for kind, item in (("bigint", 7), ("string", "x")):
        lists = spark.createDataFrame(
            [(1, [(item, 0.5)]), (2, [])], f"user_id int, items array<struct<item_id {kind}, score float>>"
        )
        year, tags = (1995, ["a"]) if kind == "bigint" else (2000, None)
        longer = f"user_id int, items array<struct<item_id {kind}, score float, year bigint, tags array<string>>>"
        wanted = spark.createDataFrame([(1, [(item, 0.5, year, tags)]), (2, [])], longer)
        assertDataFrameEqual(with_fields(lists, fields), wanted)


def test_a_type_that_a_document_cannot_hold(spark: SparkSession) -> None:
    fields = ItemFields(pa.table({"item_id": ["7"], "length": pa.array([1], pa.duration("s"))}), "length of f, by id")
    with pytest.raises(UserError, match="MongoDB can't hold length"):
        require_fields(spark.createDataFrame([(7,)], "item_id bigint"), fields)
