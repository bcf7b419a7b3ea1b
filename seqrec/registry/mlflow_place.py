"""What a program of MLflow needs to know where MLflow is, as variables of a shell: see `tracking.place`."""

import os
import shutil
import sys
from pathlib import Path
from shlex import quote

from seqrec.tracking.place import URIS, Place
from seqrec.tracking.server import FOLDERS

ALLOW_FOLDERS = "MLFLOW_ALLOW_FILE_STORE"  # without it MLflow refuses addresses of folders


def place_variables(place: Place) -> list[str]:
    """The variables that this environment lacks; an address that may hold a password is named by its variable."""
    uri, other = URIS
    named = next((name for name in URIS if os.environ.get(name, "").strip()), None)
    variables = {uri: [], other: [f'{uri}="${other}"'], None: [f"{uri}={quote(place.uri)}"]}[named]
    allowed = os.environ.get(ALLOW_FOLDERS) or not place.uri.startswith(FOLDERS)
    return variables if allowed else [*variables, f"{ALLOW_FOLDERS}=true"]


def path_variable() -> list[str]:
    """PATH, with this Python's programs first; nothing if a shell finds them as it is."""
    programs = Path(sys.executable).parent
    first = [Path(path).parent == programs for program in ("mlflow", "uvicorn") if (path := shutil.which(program))]
    return [] if first == [True, True] else [f"PATH={quote(str(programs))}:$PATH"]
