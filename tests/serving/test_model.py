"""What opens as a model, and what doesn't."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrec.errors import UserError
from seqrec.serving import exports, sealed
from seqrec.serving.exports import check_lineage, open_export
from seqrec.serving.model import open_model
from seqrec.storage.metadata import DatasetMeta, TrainedMeta
from tests.metas import dataset_meta
from tests.scoring.folders import lineage
from tests.scoring.toy import write_model

MATRIX = np.arange(10, dtype=np.float32).reshape(5, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "toy", MATRIX, [10, 20, 30], [3, 0, 1])
    return tmp_path / "toy"


def test_the_matrix_is_mapped_and_the_model_opened_once(folder: Path) -> None:
    model = open_model(open_export(str(folder)), 1)
    again = open_model(open_export(str(folder)), 1)
    assert again is model
    assert isinstance(model.matrix, np.memmap)
    assert model.trained.tolist() == [False, False, True, False, True]


def test_a_model_exported_anew_is_opened_anew(folder: Path) -> None:
    model = open_model(open_export(str(folder)), 1)
    write_model(folder, MATRIX + 1, [10, 20, 30], [3, 0, 1])
    again = open_model(open_export(str(folder)), 1)
    assert again is not model
    assert again.matrix[0, 0] == 1


def test_files_of_two_exports_are_refused(folder: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "other", MATRIX + 7, [10, 20, 30], [3, 0, 1])
    shutil.copy(tmp_path / "other" / sealed.MATRIX, folder)
    with pytest.raises(UserError, match=r"item_matrix.npy is not the file that meta.json names.*run export_onnx"):
        open_model(open_export(str(folder)), 1)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / sealed.ENCODER).unlink()
    with pytest.raises(UserError, match=r"encoder.onnx is missing.*run export_onnx"):
        open_model(open_export(str(folder)), 1)


def test_a_model_that_is_not_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no exported model: run export_onnx"):
        open_export(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"meta.json holds \[\], expected an object"),
        ("null", r"meta.json holds null, expected an object"),
        ('{"files": {}}', r"meta.json lacks run_id"),
        ('{"run_id": "r1", "files": null}', r"meta.json lacks"),
        ('{"run_id": "r1"}', "holds no exported model: run export_onnx"),
    ],
)
def test_an_odd_meta_is_one_message(folder: Path, content: str, message: str) -> None:
    (folder / "meta.json").write_text(content)
    with pytest.raises(UserError, match=message):
        exports.locate(str(folder))


def test_a_meta_without_the_files_that_scoring_needs(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps({**meta, "files": {"encoder.onnx": meta["files"]["encoder.onnx"]}}))
    with pytest.raises(UserError, match=r"the export of toy has no item_matrix.npy, vocabulary.parquet in its meta.json"):
        open_model(open_export(str(folder)), 1)


def test_a_matrix_of_another_size_is_refused(tmp_path: Path) -> None:
    write_model(tmp_path / "toy", MATRIX, [10, 20], [3, 1])
    with pytest.raises(UserError, match=r"\(5, 2\).* 2 items and needs 4 rows"):
        open_model(open_export(str(tmp_path / "toy")), 1)


def test_lineage() -> None:
    base, longer, strange = lineage("v1", size=6), lineage("v1", "v2", size=9), lineage("v3")

    def newer(model: dict[str, Any], dataset: dict[str, Any]) -> int:
        trained = {"run_id": "t", "name": "m", "dataset": "d", "id_types": {"user": "bigint", "item": "string"}}
        of_model = TrainedMeta.model_validate({**trained, "vocabulary": model})
        return check_lineage(of_model, DatasetMeta.model_validate(dataset_meta("d", size=0, vocabulary=dataset)))

    assert newer(base, base) == 0
    assert newer(base, longer) == 3
    assert newer(longer, base) == 0
    with pytest.raises(UserError, match="neither extends the other"):
        newer(base, strange)
