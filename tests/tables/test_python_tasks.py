"""Tasks in Python: archives are read again only where they have changed, and what was imported isn't looked through."""

import gc
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import create_autospec
from zipimport import zipimporter

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from seqrec.tables import python_tasks


@pytest.fixture(autouse=True)
def new_worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Python's own importer of zips and collector of garbage, before and after a test."""
    monkeypatch.setattr(zipimporter, "invalidate_caches", python_tasks._read_again)
    python_tasks.lighten_worker.cache_clear()
    gc.unfreeze()
    yield
    python_tasks.lighten_worker.cache_clear()
    gc.unfreeze()


def write_archive(path: Path, *modules: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in modules:
            archive.writestr(f"{name}.py", "")
    os.utime(path, ns=(0, len(modules)))


def found(importer: zipimporter, *names: str) -> list[str]:
    return [name for name in names if importer.find_spec(name) is not None]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="this Python reads an archive again when it needs it")
def test_an_archive_is_read_again_where_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "package.zip", list[str]()
    write_archive(path, "one")
    importer = zipimporter(str(path))
    whole = python_tasks._read_again

    def counted(importer: zipimporter) -> None:
        read.append(importer.archive)
        whole(importer)

    monkeypatch.setattr(python_tasks, "_read_again", counted)
    python_tasks.lighten_worker()
    importer.invalidate_caches()
    importer.invalidate_caches()
    assert (found(importer, "one", "two"), len(read)) == (["one"], 1)  # when it was first read isn't known
    write_archive(path, "one", "two")
    importer.invalidate_caches()
    assert (found(importer, "one", "two"), len(read)) == (["one", "two"], 2)
    path.unlink()
    importer.invalidate_caches()
    assert (found(importer, "one", "two"), len(read)) == ([], 3)
    write_archive(path, "one", "two")
    importer.invalidate_caches()
    assert found(importer, "one", "two") == ["one", "two"]


def test_the_first_task_of_a_worker_lightens_it() -> None:
    batch, table = pa.RecordBatch.from_pydict({"id": [1]}), create_autospec(DataFrame)
    python_tasks.map_batches(table, lambda batches: batches, "id long", barrier=True)
    task, *others = table.mapInArrow.call_args.args  # what Spark's workers call; those of the tests are light already
    assert others == ["id long", True]
    assert list(task(iter([batch]))) == [batch]
    frozen = gc.get_freeze_count()
    assert frozen > 1000
    assert (zipimporter.invalidate_caches is python_tasks._read_again) == (sys.version_info >= (3, 13))
    kept = [[number] for number in range(1000)]
    assert list(task(iter([batch]))) == [batch]
    assert gc.get_freeze_count() <= frozen, f"the {len(kept)} lists of a later task are frozen too"
