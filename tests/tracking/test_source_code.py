"""Which code ran."""

import subprocess
from pathlib import Path

import pytest

from seqrec.tracking import source_code
from seqrec.tracking.source_code import find_source_code


def git(folder: Path, *words: str) -> str:
    """What a command of git prints."""
    identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_and_what_differs_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_code, "HOME", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MILVUS_TOKEN", "a-long-secret")
    assert find_source_code() is None
    git(tmp_path, "init", "--quiet")
    (tmp_path / "job.py").write_text("old = 1\n")
    git(tmp_path, "add", "job.py")
    git(tmp_path, "commit", "--quiet", "--message", "a job")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert find_source_code() == (commit, "")
    (tmp_path / "job.py").write_text("new = 'a-long-secret'\n")
    (tmp_path / "notes.txt").touch()
    found = find_source_code()
    assert found is not None
    assert found.difference is not None
    assert found.commit == commit
    assert found.difference.startswith("# not in git: notes.txt\ndiff --git")
    assert "-old = 1\n+new = '***'\n" in found.difference
    assert git(tmp_path, "status", "--porcelain") == "M job.py\n?? notes.txt"
    (tmp_path / ".git" / "index").write_text("no index")
    assert find_source_code() == (commit, None), "git fails, so nobody knows what differs"
