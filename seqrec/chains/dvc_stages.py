"""A chain as stages of DVC, in a dvc.yaml: `dvc repro` runs those whose files changed, each by `run CHAIN --only STEP --force`.

A stage depends on its job's script, the folders of seqrec that it imports, its template, its part of the chain's file, and what
it reads: files, or CURRENT of the versions that earlier stages make. Its outputs are folders of versions: they persist, so that
DVC neither deletes them before a stage runs nor hashes a version twice.
"""

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from seqrec.chains.chain_file import Chain, Step
from seqrec.chains.status import RECORDS, record_of
from seqrec.command.code_version import PACKAGE, code_modules
from seqrec.command.config import preset_path
from seqrec.command.environment import variable
from seqrec.command.installation import PACKAGE as PACKAGE_FOLDER
from seqrec.command.installation import home, in_checkout, program
from seqrec.command.lineage import MAYBE, TABLE
from seqrec.errors import UserError
from seqrec.settings.training import STAGES, Training
from seqrec.storage import files
from seqrec.storage.made_from import is_below
from seqrec.storage.meta import META
from seqrec.storage.path_files import folder_above, is_pattern
from seqrec.storage.run_ids import CURRENT, RUN_ID

HEADER = "# Written by `{command}` in this folder, which writes it anew: change the chain instead.\n"
IGNORED = (".*.lock", "PUBLISHED.json", "_temporary/", "__pycache__/")  # beside versions and code, and no part of them
TRAINED = (META, "config.yaml", "vocabulary.parquet", "epochs.jsonl", "checkpoints")  # of a model's folder, which has exports too


def write_stages(
    chain: Chain, steps: Sequence[Step], *, file: Path, overrides: Sequence[str], options: Sequence[str] = ()
) -> list[str]:
    """Write the file, and what DVC ignores beside it; returns the names of the stages. `options` are spark-submit's.

    Raises UserError, before anything is written, for a root or an input that isn't local, a root or a chain's file outside of the
    repository, and a file of that name that has stages of its own.
    """
    root = variable("SEQREC_ROOT", "a dvc.yaml")
    repository = _repository(file)
    if not files.is_local(root) or not files.local_path(root).absolute().is_relative_to(repository):
        raise UserError(
            f"SEQREC_ROOT={root} lies outside of the repository {repository}, where DVC keeps outputs: set a folder in it"
        )
    if not _inside(chain.path, repository):
        raise UserError(
            f"{chain.path} lies outside of the repository {repository}: DVC looks there for what changed; copy it into it"
        )
    if file.exists() and not file.read_text(encoding="utf-8").startswith(HEADER.partition("{")[0]):
        raise UserError(f"{file} has stages of its own: name another one, --dvc FOLDER/dvc.yaml, or move it away")
    folder, behind = file.absolute().parent, ["--", *options] if options else []
    stages = {step.name: _stage(step, chain, folder, overrides, behind) for step in steps}
    words = ["run", _shown(chain.path, folder), "--dvc", file.name, *overrides, *behind]
    header = HEADER.format(command=f"{_program(folder)} {shlex.join(words)}")
    text = yaml.safe_dump({"stages": stages}, sort_keys=False, allow_unicode=True, width=1000)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(header + text, encoding="utf-8")
    _ignore(repository / ".dvcignore")
    return list(stages)


def _stage(step: Step, chain: Chain, folder: Path, overrides: Sequence[str], behind: Sequence[str]) -> dict[str, Any]:
    """A step as a stage of a dvc.yaml in a folder; `behind` are spark-submit's options behind `--`."""
    given = [override for override in overrides if override.startswith(f"{step.name}.")]
    words = ["run", _shown(chain.path, folder), "--only", step.name, "--force", *given, *behind]
    command = f'SEQREC_ROOT="$PWD/{_shown(variable("SEQREC_ROOT", "a dvc.yaml"), folder)}" {_program(folder)} {shlex.join(words)}'
    name = getattr(step.config, "name", None) or getattr(step.config, "model", None)
    made: dict[str, Any] = {
        "cmd": command.replace("${", "\\${"),
        "desc": (type(step.config).__doc__ or "").strip().splitlines()[0],
        "meta": {"job": step.job, **({"model": Path(str(name)).name} if name else {})},
        "deps": sorted({_shown(path, folder) for path in (*_code(step), *_templates(step), *_inputs(step, chain))}),
        "params": [{_shown(chain.path, folder): [f"steps.{step.name}"]}],
    }
    return made | {
        "outs": [{_shown(path, folder): {"persist": True}} for path in _outputs(step, _repository(folder / "dvc.yaml"))]
    }


def _code(step: Step) -> Iterator[str]:
    """The job's script, and the folders of seqrec and the modules beside these that it imports; none outside of a checkout."""
    if not in_checkout():
        return
    yield str(step.script)
    names = {module.split(".")[1] for module in code_modules(step.script.read_text(encoding="utf-8")) if module != PACKAGE}
    for name in names:
        place = PACKAGE_FOLDER / name
        yield str(place if place.is_dir() else place.with_suffix(".py"))


def _templates(step: Step) -> Iterator[str]:
    """The files of settings below the step's own: the template, and the preset that it names."""
    if in_checkout() or not Path(step.conf).is_relative_to(home()):
        yield step.conf
        if preset := getattr(step.config, "preset", None):
            yield preset_path(preset)


def _inputs(step: Step, chain: Chain) -> Iterator[str]:
    """The files that say whether what a step reads, or a step that it comes after, has changed."""
    for key, path in step.reads.items():
        if key.endswith(TABLE) or (step.writes is not None and is_below(path, step.writes)):
            continue
        if not in_checkout() and files.is_local(path) and is_below(path, str(home())):
            continue
        if not files.is_local(path):
            raise UserError(f"the step {step.name} reads {key}={path}: DVC's stages read files of this machine")
        by = next((other for other in chain.steps if other.name != step.name and path in other.makes), None)
        if by is not None or files.exists(path) or f"{key}{MAYBE}" not in step.config.reads():
            yield _whole(step, key, path) if by is None and is_pattern(path) and not files.exists(path) else _pointer(path, by=by)
    for other in chain.steps:
        if other.name in step.after:
            yield _pointer(other.writes, by=other) if other.writes else _record(other)


def _pointer(path: str, *, by: Step | None) -> str:
    """The file that changes when a folder that is read does: CURRENT, a model's meta.json, or the path itself."""
    if RUN_ID.match(path.rstrip("/").rpartition("/")[2]):
        return files.join(path, META)
    if by is not None and isinstance(by.config, Training) and path == by.config.model:
        return files.join(path, META)
    return files.join(path, CURRENT) if by is not None or files.exists(files.join(path, CURRENT)) else path


def _whole(step: Step, key: str, pattern: str) -> str:
    """The folder of a pattern's files, which DVC watches whole; UserError where SEQREC_ROOT lies in it, with what stages make."""
    folder, root = folder_above(pattern), variable("SEQREC_ROOT", "a dvc.yaml")
    if is_below(root, folder):
        raise UserError(
            f"the step {step.name} reads {key}={pattern}: DVC would watch all of {folder}, where the stages write too "
            f"(SEQREC_ROOT={root}); put the files into a folder of their own, such as {files.join(root, 'input')}"
        )
    return folder


def _outputs(step: Step, repository: Path) -> Iterator[str]:
    """What a step makes: its folder of versions; of a training the files of the model's folder, in which exports lie too."""
    cfg = step.config
    if isinstance(cfg, Training) and step.writes == cfg.model:
        yield from (files.join(cfg.model, name) for name in (*TRAINED, *((STAGES,) if cfg.stages else ())))
    elif isinstance(cfg, Training):
        yield from (cfg.model, str(step.writes))
    elif step.writes is not None:
        yield step.writes
    else:
        yield _record(step)
        left = cfg.leaves()
        if left is not None and files.is_local(left) and _inside(left, repository):
            yield left


def _record(step: Step) -> str:
    """The file that a step without a version leaves."""
    return str(record_of(step, files.join(variable("SEQREC_ROOT", "a dvc.yaml"), RECORDS)))


def _program(folder: Path) -> str:
    """What runs a job from a folder, in a shell."""
    if not in_checkout():
        return program()
    return shlex.quote(os.path.join(".", os.path.relpath(home() / "spark-submit.sh", folder)))


def _shown(path: str, folder: Path) -> str:
    """A path as a dvc.yaml in a folder has it: relative, where it lies in the same repository."""
    whole = files.local_path(path).absolute()
    return os.path.relpath(whole, folder) if _inside(path, _repository(folder / "dvc.yaml")) else str(whole)


def _inside(path: str, repository: Path) -> bool:
    """Whether a path lies in a repository."""
    return files.local_path(path).absolute().is_relative_to(repository)


def _repository(file: Path) -> Path:
    """The folder above a dvc.yaml that DVC or Git takes as the repository; the file's own where there is none."""
    above = list(file.absolute().parents)
    return next((folder for mark in (".dvc", ".git") for folder in above if (folder / mark).exists()), above[0])


def _ignore(file: Path) -> None:
    """Add the lines that a .dvcignore lacks."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if missing := [line for line in IGNORED if line not in text.splitlines()]:
        file.write_text(
            "".join([text, "" if text.endswith("\n") or not text else "\n", *(f"{line}\n" for line in missing)]), encoding="utf-8"
        )
