"""seqrec.tables.datasets on a dataset written by hand."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StringType

from seqrec.errors import UserError
from seqrec.storage import versions
from seqrec.tables import io, schemas
from seqrec.tables.datasets import open_dataset
from tests.metas import dataset_meta

OLD, NEW = "20260101T000000Z-0001", "20260102T000000Z-0002"


@pytest.fixture
def folder(spark: SparkSession, tmp_path: Path) -> str:
    """Two versions, the newer one the current: user 1 has had items 2 and 3, and 4 in the newer."""
    for run_id, items in ((OLD, [2, 3]), (NEW, [2, 3, 4])):
        tables = {
            "items": ([(f"i{index}", index, 1) for index in items], schemas.items(StringType())),
            "sequences": ([(1, items, list(range(len(items))), items)], schemas.sequences(LongType())),
            "test": ([(1, items[:-1], items, items[-1:])], schemas.held_out(LongType())),
        }
        for name, (rows, schema) in tables.items():
            io.write_table(spark.createDataFrame(rows, schema), f"{tmp_path}/{run_id}/{name}", schema)
        versions.write_meta(f"{tmp_path}/{run_id}", dataset_meta(run_id, size=len(items)))
        versions.commit(str(tmp_path), run_id, keep=5)
    return str(tmp_path)


def test_all_tables_are_of_the_version_that_was_current_when_it_was_opened(spark: SparkSession, folder: str) -> None:
    dataset = open_dataset(spark, folder)
    Path(folder, "CURRENT").write_text(OLD)
    assert (dataset.meta.run_id, dataset.meta.vocabulary.size, dataset.items.count()) == (NEW, 3, 3)
    assert open_dataset(spark, folder).items.count() == 2
    assert open_dataset(spark, f"{folder}/{NEW}").items.count() == 3


def test_a_history_is_whole_or_the_input_of_a_split(spark: SparkSession, folder: str) -> None:
    dataset = open_dataset(spark, folder)
    assert dataset.histories("full").collect() == [(1, [2, 3, 4], [2, 3, 4])]
    assert dataset.histories("test").collect() == [(1, [2, 3], [2, 3, 4])]
    assert dataset.held_out("test").columns == ["user_id", "items", "seen", "targets"]
    assert (dataset.user, dataset.item) == (LongType(), StringType())


def test_a_folder_that_holds_something_else_is_named(spark: SparkSession, folder: str) -> None:
    versions.write_meta(f"{folder}/{NEW}", {"run_id": NEW})
    with pytest.raises(UserError, match=rf"{NEW}/meta.json lacks id_types: run the job that writes .*{NEW} again"):
        open_dataset(spark, folder)
