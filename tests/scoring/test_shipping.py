"""Models that executors fetch, by Spark's own files and archives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from seqrec.command import session
from seqrec.errors import UserError
from seqrec.scoring.lists import ListSettings
from seqrec.scoring.shipping import Shipped, ship
from seqrec.scoring.udf import recommend_users
from seqrec.serving import sealed
from seqrec.serving.exports import open_export
from seqrec.storage import files
from tests.scoring.toy import write_model

MATRIX = np.array([[0], [0], [1], [2]], np.float32)


def best(spark: SparkSession, model: Shipped) -> list[Any]:
    rows = spark.createDataFrame([(1, [2], [2])], "user_id bigint, items array<int>, seen array<int>")
    (found,) = recommend_users(rows, model=model, lists=ListSettings(top_k=5)).collect()
    return [tuple(item) for item in found["items"]]


AWKWARD = "[a] b: #?%20ü*"


def test_a_mounted_folder_is_opened_where_it_lies(spark: SparkSession, tmp_path: Path) -> None:
    write_model(tmp_path / "toy", MATRIX, [10, 20], [1, 1])
    model = ship(spark, open_export(f"file://{tmp_path}/toy"), private=True)
    assert (model.folder, model.mounted) == (str(tmp_path / "toy"), True)
    assert best(spark, model) == [(20, 2.0)]


def test_what_only_the_driver_has_travels_as_an_archive(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "runs_locally", lambda _: False)
    for factor in (1, 3):
        folder = tmp_path / AWKWARD / str(factor)
        folder.parent.mkdir(exist_ok=True)
        write_model(folder, MATRIX * factor, [10, 20], [1, 1])
        model = ship(spark, open_export(str(folder)), private=True)
        assert not model.mounted
        assert best(spark, model) == [(20, 2.0 * factor * factor)]


def test_a_remote_model_is_fetched_and_another_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (AWKWARD, "other"):
        write_model(tmp_path / name, MATRIX, [10, 20], [1, 1])
    monkeypatch.setattr(files, "is_local", lambda path: not path.startswith("file:"))  # Hadoop reads file: as any other scheme
    for _ in range(2):
        model = ship(spark, open_export(f"file:{tmp_path}/{AWKWARD}"))
        assert not model.mounted
        assert best(spark, model) == [(20, 2.0)]
    with pytest.raises(UserError, match="use another session"):
        ship(spark, open_export(f"file:{tmp_path}/other"))


def test_files_of_two_exports_are_refused_before_any_task_runs(spark: SparkSession, tmp_path: Path) -> None:
    write_model(tmp_path / "toy", MATRIX, [10, 20], [1, 1])
    np.save(tmp_path / "toy" / sealed.MATRIX, MATRIX + 1)
    with pytest.raises(UserError, match="is not the file that"):
        ship(spark, open_export(str(tmp_path / "toy")))
