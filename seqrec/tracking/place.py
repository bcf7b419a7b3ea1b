"""Where a job is tracked: nowhere, at the address that the environment has, or in ./mlruns."""

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from seqrec.error_messages import hide_secrets
from seqrec.errors import UserError

URIS = ("MLFLOW_TRACKING_URI", "MLFLOW_URI")  # the first that is set counts
EXPERIMENT, DEFAULT_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME", "seqrec"
LOCAL = "mlruns"  # below the current folder: a database and the runs' files
INSTALL = "pip install 'seqrec[track]'"

log = logging.getLogger("seqrec")


class Place(NamedTuple):
    """An address of MLflow, and the experiment there; `artifacts` is where a new experiment's files go, None: MLflow decides."""

    uri: str
    experiment: str
    artifacts: str | None = None

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return hide_secrets(self.uri)


def choose_place(track: str | None, experiment: str | None) -> Place | None:
    """Where a job with these keys is tracked, None where it isn't; without the key `track` an address in the environment decides.

    Raises UserError for track=mlflow without MLflow; where only the environment asks for it, that is a warning.
    """
    uri = next((os.environ[name] for name in URIS if os.environ.get(name, "").strip()), "")
    if track == "none" or (track is None and not uri):
        return None
    if find_spec("mlflow") is None:
        if track is not None:
            raise UserError(f"track={track} needs MLflow, which isn't installed: {INSTALL}, or set track=none")
        name = next(name for name in URIS if os.environ.get(name))
        log.warning("%s is set, but MLflow isn't installed, so nothing is tracked: %s, or unset it", name, INSTALL)
        return None
    named = experiment or os.environ.get(EXPERIMENT) or DEFAULT_EXPERIMENT
    if uri:
        return Place(uri, named)
    folder = Path.cwd() / LOCAL
    return Place(f"sqlite:///{folder}/mlflow.db", named, artifacts=(folder / "artifacts").as_uri())
