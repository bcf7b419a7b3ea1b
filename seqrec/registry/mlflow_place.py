"""Where MLflow is: at the address in MLFLOW_TRACKING_URI or MLFLOW_URI, else in mlruns of the current folder."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote
from typing import NamedTuple

URI, OTHER_URI = "MLFLOW_TRACKING_URI", "MLFLOW_URI"
ALLOW_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"  # without it MLflow refuses addresses of folders
FOLDERS = ("file:", "/", ".")  # how such addresses begin
LOCAL = "mlruns"
EXPERIMENT, PARENT = "MLFLOW_EXPERIMENT_NAME", "MLFLOW_PARENT_RUN_ID"  # variables


class MlflowPlace(NamedTuple):
    """An address, an experiment, where the files of a new one go (None: MLflow decides), and what programs of MLflow need.

    `variables` are as a shell reads them: an address that may hold a password is named by its variable.
    """

    uri: str
    experiment: str
    artifacts: str | None
    variables: list[str]


def find_place(experiment: str | None) -> MlflowPlace:
    """The place that the environment names; it may name the experiment too, else that is seqrec."""
    experiment = experiment or os.environ.get(EXPERIMENT) or "seqrec"
    named = next((name for name in (URI, OTHER_URI) if os.environ.get(name, "").strip()), None)
    if named is None:
        folder = Path.cwd() / LOCAL
        uri = f"sqlite:///{folder}/mlflow.db"
        return MlflowPlace(uri, experiment, (folder / "artifacts").as_uri(), [f"{URI}={quote(uri)}"])
    uri = os.environ[named]
    variables = [f'{URI}="${OTHER_URI}"'] if named == OTHER_URI else []
    if uri.startswith(FOLDERS) and not os.environ.get(ALLOW_FOLDERS):
        variables.append(f"{ALLOW_FOLDERS}=true")
    return MlflowPlace(uri, experiment, None, variables)


def path_variable() -> list[str]:
    """PATH, with this Python's programs first; nothing if a shell finds them as it is."""
    programs = Path(sys.executable).parent
    first = [Path(path).parent == programs for program in ("mlflow", "uvicorn") if (path := shutil.which(program))]
    return [] if first == [True, True] else [f"PATH={quote(str(programs))}:$PATH"]
