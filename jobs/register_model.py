"""An exported model into MLflow, with the command that serves it."""

import importlib.util
import json
import logging
import shlex
import tempfile
from pathlib import Path

from seqrec.command.entry import run_job
from seqrec.command.screen import show
from seqrec.command.session import open_session
from seqrec.command.story import end
from seqrec.errors import UserError
from seqrec.settings.register_model import RegisterModel
from seqrec.storage import files
from seqrec.tracking.place import choose_place

log = logging.getLogger("seqrec")


def run(cfg: RegisterModel) -> None:
    """Register; a Spark session is opened only where it is the way to a remote file system."""
    if importlib.util.find_spec("mlflow") is None:
        raise UserError("register_model writes to MLflow, which isn't installed: pip install 'seqrec[track]'")
    from seqrec.registry.fill_folder import fill_folder, folder_bytes
    from seqrec.registry.mlflow_place import place_variables
    from seqrec.registry.register_model import PORT, example_row, register, serve_command
    from seqrec.serving.served_folder import ARTIFACT, ServedModel

    if not all(files.is_local(folder) for folder in (cfg.model, *(cfg.second_stage() or ()))):
        open_session("register_model")
    place = choose_place("mlflow", cfg.experiment)
    assert place is not None, "that is what mlflow says"
    variables = place_variables(place)  # before MLflow sets them for itself
    with tempfile.TemporaryDirectory(prefix="seqrec-register-") as temporary:
        folder = Path(temporary, ARTIFACT)
        export = fill_folder(folder, model=cfg.model, second=cfg.second_stage(), rules=cfg.rerank.rules(), top_k=cfg.top_k)
        served = ServedModel.open(folder)
        if served.recommender.id_types.item == "bigint" and served.recommender.knows(0):
            log.warning("the model has an item with the id 0: zeros in a request are that item, and pad no history")
        log.info("%s takes %.1f MB", export.meta.name, folder_bytes(folder) / 1e6)
        example = example_row(served)
        registered = register(folder, export, place=place, example=example, name=cfg.name)
    request = json.dumps({"dataframe_records": [example]}, ensure_ascii=False)
    show(f"RUN_ID={registered.run_id}\n{serve_command(registered.run_id, variables)}")
    show(f"curl http://127.0.0.1:{PORT}/invocations -H 'Content-Type: application/json' -d {shlex.quote(request)}")
    named = "" if registered.version is None else f", version {registered.version} of {cfg.name}"
    end(made=f"run {registered.run_id} of MLflow{named}")


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(RegisterModel, run, argv)


if __name__ == "__main__":
    main()
