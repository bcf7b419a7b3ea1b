"""What a program of MLflow needs to know where MLflow is, as variables of a shell: see `tracking.place`."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote

from seqrec.tracking.place import URIS, Place
from seqrec.tracking.server import FOLDERS
from seqrec.tracking.source_code import HOME

FROM_FILE, FILE = "SEQREC_ENV_NAMES", "SEQREC_ENV_FILE"  # what read-env.sh took from .env, and which file that is
READ_BY_MLFLOW = ("MLFLOW_", "AWS_")  # how names begin that a program of MLflow reads
ALLOW_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"  # without it MLflow refuses addresses of folders


def place_variables(place: Place) -> list[str]:
    """The variables that the user's shell lacks; an address that may hold a password is named by its variable.

    What .env alone sets is fetched from there when the line runs, so that no value of it is shown.
    """
    uri, other = URIS
    only_in_file = os.environ.get(FROM_FILE, "").split()
    named = next((name for name in URIS if os.environ.get(name, "").strip()), None)
    address = {uri: [], other: [f'{uri}="${other}"'], None: [f"{uri}={quote(place.uri)}"]}[named]
    if named in only_in_file:
        address = [f"{uri}={_fetched(named)}"]
    also = [name for name in only_in_file if name.startswith(READ_BY_MLFLOW) and name not in URIS]
    variables = [*address, *(f"{name}={_fetched(name)}" for name in also)]
    allowed = os.environ.get(ALLOW_FOLDERS) or not place.uri.startswith(FOLDERS)
    return variables if allowed else [*variables, f"{ALLOW_FOLDERS}=true"]


def _fetched(name: str) -> str:
    """A word of a shell: the value that .env has for a variable."""
    file = os.environ.get(FILE)
    chosen = f"{FILE}={quote(str(Path(file).absolute()))} " if file else ""
    return f'"$({chosen}{quote(str(HOME / "read-env.sh"))} value {name})"'


def path_variable() -> list[str]:
    """PATH, with this Python's programs first; nothing if a shell finds them as it is."""
    programs = Path(sys.executable).parent
    first = [Path(path).parent == programs for program in ("mlflow", "uvicorn") if (path := shutil.which(program))]
    return [] if first == [True, True] else [f"PATH={quote(str(programs))}:$PATH"]
