"""The variables of the line that serves a model, as a shell reads them."""

import os
import subprocess
from pathlib import Path

import pytest

from seqrec.registry.mlflow_place import place_variables
from seqrec.tracking.place import choose_place

SHOW = 'echo "$MLFLOW_TRACKING_URI|$MLFLOW_TRACKING_PASSWORD|$MLFLOW_ALLOW_FILE_STORE"'


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "MLFLOW_URI"])
@pytest.mark.parametrize("chosen", [True, False])
def test_what_env_alone_sets_is_fetched_and_never_shown(
    name: str, chosen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it's an env"
    file.write_text(f"{name}='http://ann:hidden@host:5000'\nMLFLOW_TRACKING_PASSWORD=\"hid den\"\nMONGODB_URI=none\n")
    file.chmod(0o600)
    for variable, value in {name: "http://ann:hidden@host:5000", "MLFLOW_TRACKING_PASSWORD": "hid den"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("SEQREC_ENV_FILE", file.name if chosen else "")
    monkeypatch.setenv("SEQREC_ENV_NAMES", f"{name} MLFLOW_TRACKING_PASSWORD MONGODB_URI" if chosen else "")
    monkeypatch.chdir(tmp_path)
    place = choose_place("mlflow", None)
    assert place is not None
    variables = place_variables(place)
    assert "hidden" not in " ".join(variables)
    assert "MONGODB_URI" not in " ".join(variables)
    if not chosen:
        assert variables == ([] if name == "MLFLOW_TRACKING_URI" else ['MLFLOW_TRACKING_URI="$MLFLOW_URI"'])
        return
    line = " ".join([*variables, "bash", "-c", f"'{SHOW}'"])
    bare = {"PATH": os.environ["PATH"], "SEQREC_ENV_FILE": ""}
    done = subprocess.run(["bash", "-c", line], env=bare, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "http://ann:hidden@host:5000|hid den|\n"
