"""A chain's file: its steps, each a job with settings over its template.

steps:
  build_sequences:
    input: {path: ratings.csv}
  short:                       # a step's name, which is its job's unless `job` says another
    job: train
    conf: my_train.yaml        # in place of conf/train.yaml
    after: [build_sequences]   # beside what it reads
    max_epochs: 3              # all other keys are the job's
"""

import difflib
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from seqrec.command.config import Strict, fill_settings, flatten
from seqrec.command.installation import home
from seqrec.command.lineage import folder_written, paths_read
from seqrec.command.overrides import parse_overrides
from seqrec.command.story import show_setting
from seqrec.command.template import read_yaml
from seqrec.errors import UserError
from seqrec.settings.training import Training
from seqrec.storage import files
from seqrec.storage.made_from import EXPORTS, is_below

STEPS = "steps"
OWN_KEYS = ("job", "conf", "after")  # of a step; all others are its job's


@dataclass(frozen=True, kw_only=True)
class Step:
    """A job with its settings: the overrides as the job gets them, all settings, what it reads by key, and where it writes."""

    name: str
    job: str
    conf: str
    overrides: tuple[str, ...]
    config: Strict
    after: tuple[str, ...]
    reads: dict[str, str]
    writes: str | None

    @property
    def makes(self) -> tuple[str, ...]:
        """The folders that it makes: its version's, and those of a model and its exports, where it trains one besides."""
        written = () if self.writes is None else (self.writes,)
        if not isinstance(self.config, Training) or self.writes == self.config.model:
            return written
        return (*written, self.config.model, files.join(self.config.model, EXPORTS))

    @property
    def script(self) -> Path:
        """The job's script."""
        return home() / "jobs" / f"{self.job}.py"

    def made_folder(self, path: str) -> str | None:
        """The longest of its folders that a path is or lies in; a model's exports are no part of a training's folder."""
        inside = [made for made in self.makes if is_below(path, made) and not is_below(path, files.join(made, EXPORTS))]
        return max(inside, key=len, default=None)


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The steps of a chain's file, in the file's order."""

    name: str
    path: str
    steps: tuple[Step, ...]


def read_chain(chain: str, overrides: Sequence[str] = ()) -> Chain:
    """A chain by its name in conf/chains or by its file, with STEP.key=value set over it.

    Raises UserError, which names the file and the step, for an unknown chain, job, step or key, and for wrong settings.
    """
    path = chain_path(chain)
    content = read_yaml(path)
    _refuse_unknown(content, (STEPS,), what="key", of=path)
    steps = content.get(STEPS)
    if not isinstance(steps, dict) or not steps:
        raise UserError(f"{path}: `{STEPS}:` with a step for each job is missing; {home() / 'conf' / 'chains'} has examples")
    above: dict[str, list[str]] = {name: [] for name in steps}
    for override in overrides:
        name, dot, rest = override.partition(".")
        if not dot or "=" in name:
            raise UserError(f"`{override}` names no step: write STEP.key=value, such as {next(iter(steps))}.{override}")
        _refuse_unknown([name], steps, what="step", of=path)
        above[name].append(rest)
    read = tuple(_step(name, content or {}, above[name], path) for name, content in steps.items())
    for step in read:
        _refuse_unknown(step.after, steps, what="step", of=f"{path}: after, in the step {step.name}")
    return Chain(name=Path(path).stem, path=path, steps=read)


def chain_path(chain: str) -> str:
    """The file of a chain: a path to a YAML file, or a name in conf/chains; UserError, with the nearest name, for another."""
    if chain.endswith((".yaml", ".yml")):
        return chain
    folder = home() / "conf" / "chains"
    path = folder / f"{chain}.yaml"
    if not path.exists():
        names = sorted(file.stem for file in folder.glob("*.yaml"))
        raise UserError(f"there is no chain {chain}{_nearest(chain, names)}; chains are {', '.join(names)}, or a file CHAIN.yaml")
    return str(path)


def job_names() -> list[str]:
    """The jobs, which have a script and a template."""
    return sorted(
        file.stem for file in (home() / "conf").glob("*.yaml") if (home() / "jobs" / file.name).with_suffix(".py").exists()
    )


def settings_of(job: str) -> type[Strict]:
    """The settings of a job."""
    found: type[Strict] = getattr(import_module(f"seqrec.settings.{job}"), "".join(map(str.capitalize, job.split("_"))))
    return found


def _step(name: str, content: Any, above: list[str], path: str) -> Step:
    """A step of a file, its settings checked by those of its job."""
    if not isinstance(content, dict):
        raise UserError(f"{path}: the step {name} holds {content!r}, expected `key: value` lines of its job")
    job, conf, after = (content.get(key, default) for key, default in zip(OWN_KEYS, (name, None, ()), strict=True))
    if job not in (jobs := job_names()):
        raise UserError(
            f"{path}: the step {name} has the unknown job {job}{_nearest(str(job), jobs)}; jobs are {', '.join(jobs)}"
        )
    if not isinstance(after, list | tuple) or not all(isinstance(one, str) for one in after):
        raise UserError(f"{path}: the step {name} has after: {after!r}, expected a list of steps, such as [train]")
    own = {key: value for key, value in content.items() if key not in OWN_KEYS}
    overrides = [*(f"{key}={show_setting(value)}" for key, value in flatten(own).items()), *above]
    conf = str(home() / "conf" / f"{job}.yaml") if conf is None else str(conf)
    said_by = f"the step {name} of {path}{f', with {shlex.join(above)} over it' if above else ''}"
    config = fill_settings(settings_of(job), conf, parse_overrides(overrides), said_by=said_by)
    return Step(
        name=name,
        job=job,
        conf=conf,
        overrides=tuple(overrides),
        config=config,
        after=tuple(after),
        reads=paths_read(config),
        writes=folder_written(config),
    )


def _refuse_unknown(names: Iterable[str], known: Iterable[str], *, what: str, of: str) -> None:
    """Raise UserError for a name that isn't among those known, with the nearest of these."""
    known = list(known)
    for name in names:
        if name not in known:
            raise UserError(f"{of}: unknown {what} {name}{_nearest(name, known)}; it may be {', '.join(known)}")


def _nearest(name: str, names: Sequence[str]) -> str:
    """The end of a sentence about an unknown name."""
    close = difflib.get_close_matches(name, names, n=1)
    return f": did you mean {close[0]}?" if close else ""
