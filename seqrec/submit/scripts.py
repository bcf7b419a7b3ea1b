"""The scripts that can be run, and their templates: each jobs/JOB.py with a conf/JOB.yaml, and each dump/NAME.py."""

import ast
import difflib
from pathlib import Path
from typing import NamedTuple

from seqrec.command.installation import home
from seqrec.errors import UserError


class Script(NamedTuple):
    """A job with its template, or a dump, which has options in place of one."""

    path: Path
    template: Path | None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.path.stem

    @property
    def summary(self) -> str:
        """The first line of its docstring; the script isn't imported."""
        text = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        return text.partition("\n")[0]


def scripts() -> dict[str, Script]:
    """All scripts by their names, jobs first."""
    root = home()
    jobs = {path.stem: Script(path, root / "conf" / f"{path.stem}.yaml") for path in sorted(root.glob("jobs/[a-z]*.py"))}
    dumps = {path.stem: Script(path, None) for path in sorted(root.glob("dump/[a-z]*.py"))}
    return {name: script for name, script in jobs.items() if script.template and script.template.exists()} | dumps


def find_script(name: str) -> Script:
    """The script of a name; UserError, with the nearest name, where there is none."""
    known = scripts()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"there is no job {name}; {meant}jobs are: {' '.join(known)}")
