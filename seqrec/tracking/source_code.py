"""Which code ran: git's commit, whether files differ from it, and how. Nothing is written to the repository."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from seqrec.error_messages import hide_secrets

HOME = Path(os.environ.get("SEQREC_HOME", Path(__file__).parents[2]))
LIMIT_S = 20.0
LONGEST_DIFF = 2_000_000  # characters
READING = ("--no-optional-locks", "-c", "core.fsmonitor=false")


class SourceCode(NamedTuple):
    """A commit, and what differs from it: nothing for a clean working tree, None where git didn't say it."""

    commit: str
    difference: str | None


def find_source_code() -> SourceCode | None:
    """That of the package's folder, else that of the current folder; None where neither is in a git repository with a commit."""
    for folder in (HOME, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            return SourceCode(commit.strip(), _difference(folder))
    return None


def _difference(folder: Path) -> str | None:
    """Files that git doesn't know, by name, and the changes to those that it knows; secrets of the environment are masked.

    None if git fails, or takes longer than LIMIT_S: then nobody knows whether the working tree is clean.
    """
    status = _git(folder, "status", "--porcelain")
    changes = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color")
    if status is None or changes is None:
        return None
    unknown = [line[3:] for line in status.splitlines() if line.startswith("??")]
    named = "".join(f"# not in git: {name}\n" for name in unknown)
    if len(changes) > LONGEST_DIFF:
        changes = f"{changes[:LONGEST_DIFF]}\n# cut here: the whole has {len(changes):,} characters\n"
    return hide_secrets(named + changes)


def _git(folder: Path, *words: str) -> str | None:
    """What a command of git prints; None if it fails, takes too long, or isn't there."""
    command = ["git", "-C", str(folder), *READING, *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
