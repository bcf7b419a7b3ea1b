"""A job's first and last lines: what it will do, and with which settings; what it made, where, in how long, and what comes next.

begin(Train, cfg)                     train: windows into checkpoints
                                        data=/seq/dataset  model=/seq/model  max_epochs=3
end(made="model gsasrec-9f2c", path=cfg.model, then=Next("export_onnx", ("data", "model")))
                                      made model gsasrec-9f2c in 2 min 5 s
                                        /seq/model
                                      next: ./spark-submit.sh export_onnx
"""

import logging
import os
import re
import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from seqrec.command.config import Strict, flatten, load_config, public
from seqrec.command.installation import home, program
from seqrec.command.kept_log import keep_log
from seqrec.command.lineage import made_from
from seqrec.command.overrides import show_value
from seqrec.command.screen import duration, heading, wrapped
from seqrec.error_messages import hide_secrets
from seqrec.errors import UserError
from seqrec.storage.draft import Draft
from seqrec.storage.made_from import MadeFrom
from seqrec.tracking.tracked import begin_run

STEP = "SEQREC_STEP"  # the number of the job in a chain, which says itself what is done, where, and what comes next
PATHS = ("input.table", "input.path", "data", "model", "output")  # shown always: where a job reads and writes
WORD = re.compile(r"[\w.:/+-]+")

log = logging.getLogger("seqrec")


class Next(NamedTuple):
    """The job that comes next, the keys that it takes over from this one, and others, as overrides."""

    job: str
    keys: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    def command(self, changed: dict[str, str]) -> str:
        """The command line, with the keys whose values differ from the template's.

        >>> Next("train", ("data", "model")).command({"data": "my data", "k_core.users": "3"})
        "./spark-submit.sh train 'data=my data'"
        """
        keys = [f"{key}={changed[key]}" for key in self.keys if key in changed]
        return " ".join([program(), self.job, *map(shlex.quote, (*keys, *self.more))])


@dataclass
class _Run:
    """The run of a job in this process."""

    started: float = field(default_factory=time.monotonic)
    changed: dict[str, str] = field(default_factory=dict)  # settings that differ from the template's
    script: Path | None = None  # of the job


_run = _Run()


def begin(settings: type[Strict], config: BaseModel, *, script: Path | None = None) -> dict[str, str]:
    """Log what a job will do, the paths that it works on, and the settings that differ from conf/JOB.yaml.

    Returns all settings but those of stores, by their dotted keys, as overrides would be written and without secrets.
    """
    global _run
    name = job_name(settings)
    now = {key: value for key, value in flatten(public(config)).items() if not key.startswith("stores.")}
    template = flatten(_template(settings, name, preset=now.get("preset")))
    changed = {
        key: show_setting(value) for key, value in now.items() if (key == "preset" and value) or template.get(key, ...) != value
    }
    _run = _Run(changed=changed, script=script)
    chained = bool(os.environ.get(STEP))
    unread = "input.path" if now.get("input.table") else None
    paths = {} if chained else {key: show_setting(now[key]) for key in PATHS if key != unread and now.get(key) is not None}
    lines = [wrapped(f"{key}={value}" for key, value in (paths | changed).items())]
    first = (settings.__doc__ or "").strip().splitlines()[0].rstrip(".")
    sentence = first[:1].lower() + first[1:] if first[1:2].islower() or first[1:2] == " " else first
    lines = [f"  {sentence}" if chained else f"{heading(name)}: {sentence}", *lines]
    log.info("%s", "\n".join(line for line in lines if line.strip()))
    return {key: hide_secrets(show_setting(value)) for key, value in now.items()}


def changed_settings() -> list[str]:
    """The keys, dotted, of this job's settings that differ from its template."""
    return list(_run.changed)


def origin(config: Strict) -> MadeFrom:
    """What this run of a job is made from, as its inputs are now: call it before they are read."""
    job = job_name(type(config))
    return made_from(config, job=job, script=_run.script or home() / "jobs" / f"{job}.py")


def open_draft(config: Strict, folder: str, *, key: str = "output", trains: bool = False) -> Draft:
    """A new version of a folder, with the job's settings; its log.txt will have the job's log (see `Draft.of`).

    With it the job's run begins, if the job is tracked; where the job trains, with the training, which may go on in its own run.
    """
    draft = Draft.of(folder, settings=public(config), key=key, made_from=origin(config))
    keep_log(draft.path)
    if not trains:
        begin_run()
    return draft


def end(*, made: str, path: str | None = None, then: Next | str | None = None) -> None:
    """Log what a job made, in which folder, in how long, and, outside of a chain, the next command."""
    lines = [f"made {made} in {duration(time.monotonic() - _run.started)}"]
    if path is not None:
        lines.append(f"  {path}")
    if then is not None and not os.environ.get(STEP):
        lines.append(f"next: {then if isinstance(then, str) else then.command(_run.changed)}")
    log.info("%s", "\n".join(lines))


def module_command(module: str, *arguments: str) -> str:
    """The command line that runs a module of this package with this Python.

    >>> module_command("seqrec.stores.show", "--data", "my data").partition(" ")[2]
    "-m seqrec.stores.show --data 'my data'"
    """
    python = Path(sys.executable)
    shown = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
    return shlex.join([str(shown), "-m", module, *arguments])


def job_name(settings: type) -> str:
    """The name of a job, by the name of its settings.

    >>> job_name(type("ExportOnnx", (), {}))
    'export_onnx'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", settings.__name__).lower()


def show_setting(value: Any) -> str:
    """A setting's value as an override would be written.

    >>> [show_setting(value) for value in (True, 0.5, None, "a b", ["x", 1], ["a, b"], {})]
    ['true', '0.5', 'null', 'a b', '[x, 1]', '["a, b"]', '{}']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) and WORD.fullmatch(str(item)) for item in value):
        return "[" + ", ".join(map(str, value)) + "]"
    return show_value(value)


def _template(settings: type[Strict], name: str, *, preset: Any) -> dict[str, Any]:
    """The settings of conf/JOB.yaml with the preset; those of the class where there is no such file, or it can't be filled in."""
    path = home() / "conf" / f"{name}.yaml"
    try:
        return public(load_config(settings, str(path), [f"preset={preset}"] if preset else []))
    except UserError:
        fields = {
            key: field.get_default(call_default_factory=True, validated_data={}) for key, field in settings.model_fields.items()
        }
        return {key: public(value) if isinstance(value, BaseModel) else value for key, value in fields.items()}
