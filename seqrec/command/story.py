"""A job's first and last lines: what it will do, and with which settings; what it made, where, in how long, and what comes next.

begin(Train, cfg)                     train: windows into checkpoints
                                        data=/seq/dataset  model=/seq/model  max_epochs=3
end("…", made="model gsasrec-9f2c", path=cfg.model, then=Next("export_onnx", ("data", "model")))
                                      made model gsasrec-9f2c in 2 min 5 s
                                        /seq/model
                                      next: ./spark-submit.sh export_onnx
"""

import logging
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from seqrec.command.config import Strict, flatten, load_config, public
from seqrec.command.overrides import show_value
from seqrec.command.screen import duration, heading, wrapped
from seqrec.errors import UserError

STEP = "SEQREC_STEP"  # which step of a chain the job is, such as `2 of 5`: the chain says what comes next
PATHS = ("input.path", "data", "model", "output")  # shown always: where a job reads and writes
WORD = re.compile(r"[\w.:/+-]+")

log = logging.getLogger("seqrec")


class Next(NamedTuple):
    """The job that comes next, and the keys that it takes over from this one."""

    job: str
    keys: tuple[str, ...] = ()


@dataclass
class _Run:
    """The run of a job in this process."""

    started: float = field(default_factory=time.monotonic)
    changed: dict[str, str] = field(default_factory=dict)  # settings that differ from the template's


_run = _Run()


def begin(settings: type[Strict], config: BaseModel) -> None:
    """Log what a job will do, the paths that it works on, and the settings that differ from conf/JOB.yaml."""
    global _run
    name = job_name(settings)
    now = {key: value for key, value in flatten(public(config)).items() if not key.startswith("stores.")}
    template = flatten(_template(settings, name, preset=now.get("preset")))
    changed = {key: show_setting(value) for key, value in now.items() if template.get(key, ...) != value}
    _run = _Run(changed=changed)
    shown = {key: show_setting(now[key]) for key in PATHS if now.get(key) is not None} | changed
    step = f"\n{os.environ[STEP]} · " if os.environ.get(STEP) else ""
    first = (settings.__doc__ or "").strip().splitlines()[0].rstrip(".")
    sentence = first[:1].lower() + first[1:] if first[1:2].islower() or first[1:2] == " " else first
    log.info("%s", f"{heading(f'{step}{name}')}: {sentence}\n{wrapped(f'{key}={value}' for key, value in shown.items())}")


def end(*, made: str, path: str | None = None, then: Next | None = None) -> None:
    """Log what a job made, in which folder, in how long, and, outside of a chain, the next command."""
    lines = [f"made {made} in {duration(time.monotonic() - _run.started)}"]
    if path is not None:
        lines.append(f"  {path}")
    if then is not None and not os.environ.get(STEP):
        keys = [f"{key}={_run.changed[key]}" for key in then.keys if key in _run.changed]
        lines.append("next: " + " ".join(["./spark-submit.sh", then.job, *keys]))
    log.info("%s", "\n".join(lines))


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
    path = Path(os.environ.get("SEQREC_HOME", Path(__file__).parents[2])) / "conf" / f"{name}.yaml"
    try:
        return public(load_config(settings, str(path), [f"preset={preset}"] if preset else []))
    except UserError:
        fields = {
            key: field.get_default(call_default_factory=True, validated_data={}) for key, field in settings.model_fields.items()
        }
        return {key: public(value) if isinstance(value, BaseModel) else value for key, value in fields.items()}
