"""An exported model into MLflow, as a model that `mlflow models serve` answers from.

    variables = place_variables(place)
    registered = register(folder, export, place=place, example={"instances": [318]}, name="films")
    serve_command(registered.run_id, variables)

The run holds the model alone: its folder, its code, and what that needs.
"""

import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from shlex import join

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before its import: MLflow would report to its makers how it is used
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # by default a server that is gone is asked for minutes
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from seqrec.error_messages import explain
from seqrec.errors import UserError
from seqrec.registry.mlflow_place import ALLOW_FOLDERS, path_variable
from seqrec.registry.served_code import served_code
from seqrec.serving.exports import Export
from seqrec.serving.served_folder import ARTIFACT, ServedContent, ServedModel
from seqrec.tracking.job_run import tags_of
from seqrec.tracking.place import Place
from seqrec.tracking.server import FOLDERS, shorten_retries

NAME = "model"  # of the model in its run
PORT = 5001
ENTRY = "seqrec.serving.mlflow_model"
EXAMPLE_ITEMS, EXAMPLE_LENGTH = 3, 10

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class Registered:
    """The run that holds a model, and the version of the registered model; None where none was named."""

    run_id: str
    version: int | None


def example_row(served: ServedModel) -> dict[str, object]:
    """A row of a request that the model answers: its most popular items and, where zeros are no items, zeros behind them."""
    ids = [item_id for item_id, _ in served.recommender.recommend([], EXAMPLE_ITEMS)]
    numbers = served.recommender.id_types.item == "bigint"
    padded = numbers and not served.recommender.knows(0)
    return {"instances": [*ids, *[0] * (EXAMPLE_LENGTH - len(ids) if padded else 0)]}


def register(folder: Path, export: Export, *, place: Place, example: dict[str, object], name: str | None) -> Registered:
    """A new run that holds the model of a folder; with a name, a new version of that registered model too.

    UserError if MLflow can't be reached, or refuses it.
    """
    code = served_code(ENTRY)
    with tempfile.TemporaryDirectory(prefix="seqrec-code-") as temporary, _quietly(place):
        root = Path(temporary)
        code.write(root)
        experiment, tags = _open(place), tags_of("register_model") | _origin(folder, export)
        run = mlflow.MlflowClient().create_run(experiment, run_name=export.meta.name, tags=tags)
        with mlflow.start_run(run_id=run.info.run_id):  # without an id it would go on with the run that MLFLOW_RUN_ID names
            logged = mlflow.pyfunc.log_model(
                name=NAME,
                python_model=str(root / Path(*ENTRY.split(".")).with_suffix(".py")),
                artifacts={ARTIFACT: str(folder)},
                code_paths=[str(root / "seqrec")],
                pip_requirements=code.requirements,
                signature=False,  # a signature drops columns that it doesn't name, and says so to nobody
                input_example=pd.DataFrame([example]),
                registered_model_name=name,
            )
    version = logged.registered_model_version
    return Registered(run_id=run.info.run_id, version=None if version is None else int(version))


def serve_command(run_id: str, variables: list[str]) -> str:
    """The line that serves the model of a run from this machine, with this Python's programs and these variables."""
    words = ["mlflow", "models", "serve", "-m", f"runs:/{run_id}/{NAME}", "-p", str(PORT), "--env-manager", "local"]
    return " ".join([*path_variable(), *variables, join(words)])


def _open(place: Place) -> str:
    """Let MLflow use the place and its experiment, which is made if it isn't there; the experiment's id."""
    if place.uri.startswith(FOLDERS):
        os.environ[ALLOW_FOLDERS] = os.environ.get(ALLOW_FOLDERS) or "true"
    if place.artifacts is not None:
        Path(place.uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    shorten_retries(place)
    mlflow.set_tracking_uri(place.uri)
    if mlflow.get_experiment_by_name(place.experiment) is None:
        try:
            mlflow.create_experiment(place.experiment, place.artifacts)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another job was faster
                raise
    return str(mlflow.set_experiment(place.experiment).experiment_id)


def _origin(folder: Path, export: Export) -> dict[str, str]:
    """The run ids that the model was made from, as tags."""
    second = ServedContent.read(folder).second_stage
    tags = {"model": export.meta.name, "model_run_id": export.meta.run_id, "dataset": export.meta.dataset, **second}
    return {f"seqrec.{key}": value for key, value in tags.items()}


@contextmanager
def _quietly(place: Place) -> Iterator[None]:
    """In the `with` block, what MLflow says is a detail of the log, and its errors become UserErrors."""
    logger, texts = logging.getLogger("mlflow"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stderr(texts):
            warnings.simplefilter("ignore")
            yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise UserError(f"MLflow at {place.shown}: {explain(error)}") from error
    finally:
        logger.setLevel(level)
        for line in filter(str.strip, texts.getvalue().splitlines()):
            log.debug("MLflow: %s", line)
