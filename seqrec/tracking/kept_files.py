"""The files of a version or of a model's folder that a run keeps copies of: those that people read, and the encoder.

A copy has no credentials, though the file may: whoever runs the job again needs them, and a reader of MLflow doesn't.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from seqrec.error_messages import hide_secrets
from seqrec.storage import files
from seqrec.storage.run_ids import RUN_ID

SUFFIXES = (".json", ".jsonl", ".yaml", ".csv", ".png", ".svg", ".html", ".onnx", ".onnx.data")
RUN_FILE = "mlflow_run.json"  # in a training's folder, the run that it began in; not kept
VOCABULARY, ITEMS = "vocabulary", "items"  # a file of a model, a table of a dataset
MASKED = (".json", ".jsonl", ".yaml", ".html")  # texts that may name addresses
MOST_BYTES = 512 * 2**20  # larger files stay where they are


class KeptFile(NamedTuple):
    """A file on this machine, the folder that it gets in the run, and its path where it was made."""

    path: Path
    folder: str
    origin: str


def kept_files(folder: str, left_out: list[str]) -> Iterator[KeptFile]:
    """The files of a folder to keep; those that are too large are added to `left_out`. Copies of remote ones last a step."""
    root = folder.rstrip("/").rsplit("/", 2)
    name = root[-2] if RUN_ID.match(root[-1]) and len(root) > 1 else root[-1]
    tables = [ITEMS] if files.exists(files.join(folder, ITEMS)) else []
    for part in ("", *tables):
        inside = files.join(folder, part) if part else folder
        for file, size in sorted(files.sizes(inside).items()):
            path = files.join(inside, file)
            wanted = file.endswith(".parquet") if part else file.endswith(SUFFIXES) or file.startswith(VOCABULARY)
            if size is None or not wanted or file == RUN_FILE:
                continue
            if size > MOST_BYTES:
                left_out.append(path)
                continue
            with tempfile.TemporaryDirectory(prefix="seqrec-track-") as cache:
                yield KeptFile(_copy(path, Path(cache)), f"{name}/{part}".rstrip("/"), path)


def _copy(path: str, folder: Path) -> Path:
    """A file on this machine: the one at the path, unless that holds credentials; then a copy in the folder without them."""
    local = files.fetch(path, folder)
    if not path.endswith(MASKED):
        return local
    text = local.read_text(errors="surrogateescape")
    if (masked := hide_secrets(text)) == text:
        return local
    (folder / "masked").mkdir()
    copy = folder / "masked" / local.name
    copy.write_text(masked, errors="surrogateescape")
    return copy
