"""Free memory in containers, whose files a test writes."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from seqrec.command.free_memory import free_memory


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 1000 free bytes."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))


def write(folder: Path, *, limit: str, version: int) -> Path:
    """The files of a container that uses 250 bytes, of which 50 are cached files."""
    names = {1: ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat")}
    contents = (limit, "250", "inactive_file 9\ntotal_inactive_file 50" if version == 1 else "anon 100\ninactive_file 50")
    for name, content in zip(names.get(version, ("memory.max", "memory.current", "memory.stat")), contents, strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content + "\n")
    return folder


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("limit", "free"), [("600", 400), ("100", 0), ("9223372036854771712", 1000)])
def test_the_limit_of_a_container_counts(tmp_path: Path, version: int, limit: str, free: int) -> None:
    assert free_memory(write(tmp_path, limit=limit, version=version)) == free


def test_without_a_limit_it_is_the_machines(tmp_path: Path) -> None:
    assert free_memory(tmp_path) == 1000
    assert free_memory(write(tmp_path, limit="max", version=2)) == 1000
