"""The code blocks of README.md, CONTRIBUTING.md and docs/, and the commands that they run, without running them.

A block of commands is run by bash, but in a folder where spark-submit.sh, make, python and the like only record their arguments.
So quotes, variables and line continuations are read as a user's shell reads them.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)$")
MARK = re.compile(r"^<!-- (.+) -->$")
RECORDED = (
    "./spark-submit.sh",
    *(f".venv/bin/{program}" for program in ("python", "torchrun", "pre-commit", "tensorboard", "mlflow")),
    *(
        f"bin/{program}"
        for program in (
            "make",
            "spark-submit",
            "python",
            "pip",
            "docker",
            "cp",
            "chmod",
            "seqrec",
            "git",
            "dvc",
            "envsubst",
            "unzip",
            "curl",
            "mlflow",
        )
    ),
)
RECORDER = """\
#!/bin/bash
{ printf '%s\\0' "$0" "$@"; printf '\\n'; } >>"$RECORD"
[[ $0 != */envsubst ]] || /bin/cat
"""
ENVIRONMENT = {
    "SEQREC_ROOT": "/data/seqrec",
    "MONGODB_URI": "embedded",
    "MILVUS_URI": "embedded",
}


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of code: where it begins, its language, its text, and the comment in the line before it."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks, start = [], None
    for number, line in enumerate(lines):
        fence = FENCE.match(line.strip())
        if start is not None and line.strip() == "```":
            mark = MARK.match(lines[start - 1].strip()) if start else None
            opening = FENCE.match(lines[start].strip())
            blocks.append(
                Block(
                    page=path.relative_to(ROOT).as_posix(),
                    line=start + 1,
                    language=opening[1] if opening else "",
                    text="\n".join(lines[start + 1 : number]),
                    mark=mark[1] if mark else "",
                )
            )
            start = None
        elif start is None and fence:
            start = number
    assert start is None, f"{path} ends inside a block of code"
    return blocks


def record(script: str, folder: Path) -> list[list[str]]:
    """The commands that a script runs, as lists of words whose first is the program; nothing but bash is run."""
    for program in RECORDED:
        path = folder / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RECORDER)
        path.chmod(0o755)
    (folder / ".venv" / "bin" / "activate").touch()
    (folder / "conf").symlink_to(ROOT / "conf")
    calls = folder / "calls"
    calls.touch()
    environment = {**ENVIRONMENT, "PATH": f"{folder}/bin", "HOME": str(folder), "RECORD": str(calls)}
    done = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return [call.split("\0") for call in calls.read_text(encoding="utf-8").split("\0\n") if call]


def before_dashes(words: Sequence[str]) -> list[str]:
    """The words before `--`: those behind it are spark-submit's own.

    >>> before_dashes(["top_k=5", "--", "--master", "local[2]"])
    ['top_k=5']
    """
    return list(words[: words.index("--")]) if "--" in words else list(words)
