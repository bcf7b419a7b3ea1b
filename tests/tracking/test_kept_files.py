"""Which files of a folder a run keeps copies of."""

from pathlib import Path

import pytest

from seqrec.tracking import kept_files as module
from seqrec.tracking.kept_files import kept_files


def test_what_people_read_the_encoder_and_the_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    folder = tmp_path / "dataset" / "20261101T020000Z-3f2a"
    for name in ("items/part-0.parquet", "items/_SUCCESS", "events/part-0.parquet", "checkpoints/best.json/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    for name in ("stats.json", "curve.png", "encoder.onnx", "vocabulary.parquet", "item_matrix.npy", "mlflow_run.json"):
        (folder / name).write_text("x")
    (folder / "large.json").write_text("x" * 11)
    left_out: list[str] = []
    kept = [(file.folder, file.path.name) for file in kept_files(str(folder), left_out)]
    assert kept == [
        *(("dataset", name) for name in ("curve.png", "encoder.onnx", "stats.json", "vocabulary.parquet")),
        ("dataset/items", "part-0.parquet"),
    ]
    assert left_out == [str(folder / "large.json")]
