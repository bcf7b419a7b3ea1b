"""The files of an exported model, sealed by a meta.json that holds their hashes. Neither ONNX Runtime nor Spark is needed.

encoder.onnx (and encoder.onnx.data, of large weights), item_matrix.npy, vocabulary.parquet, the table item_embeddings; of a model
with embeddings of users also users.npy, the hashes of those it was trained on (see seqrec.user_hashes), sorted.
"""

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqrec.errors import UserError
from seqrec.serving import exports
from seqrec.storage import files, versions

ENCODER, WEIGHTS, MATRIX, VOCABULARY = "encoder.onnx", "encoder.onnx.data", "item_matrix.npy", "vocabulary.parquet"
EMBEDDINGS, USERS = "item_embeddings", "users.npy"

Hashes = tuple[tuple[str, str], ...]


def seal(folder: str, meta: dict[str, Any], *, source: Path, names: Iterable[str]) -> dict[str, Any]:
    """Write FOLDER/meta.json with the SHA-256 of the named files, taken from the local folder `source`; returns its content."""
    sealed = {**meta, "files": hashes(source, names)}
    versions.write_meta(folder, sealed)
    return sealed


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files in a local folder."""
    found = {}
    for name in names:
        with (folder / name).open("rb") as source:
            found[name] = hashlib.file_digest(source, "sha256").hexdigest()
    return found


def check_lineage(model: dict[str, Any], dataset: dict[str, Any]) -> int:
    """How many items the dataset has that the model doesn't know; both are meta.json.

    Item indices mean the same where one vocabulary is an extension of the other; UserError if neither is.
    """
    ours, theirs = model["vocabulary"], dataset["vocabulary"]
    if ours["hash"] in {step["hash"] for step in theirs["lineage"]}:
        return int(theirs["size"]) - int(ours["size"])
    if theirs["hash"] in {step["hash"] for step in ours["lineage"]}:
        return 0
    raise UserError(
        f"the model {model['name']} was trained with a vocabulary of {ours['size']} items ({ours['hash'][:12]}), the dataset "
        f"{dataset['run_id']} has one of {theirs['size']} items ({theirs['hash'][:12]}), and neither extends the other: take the "
        f"dataset {model['dataset']}, or one built with vocabulary= of it"
    )


def scoring_files(meta: dict[str, Any]) -> Hashes:
    """Name and hash of the files that scoring needs: not the item_embeddings. UserError if the meta.json lacks one."""
    absent = {ENCODER, MATRIX, VOCABULARY} - meta["files"].keys()
    if absent:
        raise UserError(
            f"the export of {meta['name']} has no {', '.join(sorted(absent))} in its meta.json: run export_onnx again"
        )
    return tuple(sorted((name, digest) for name, digest in meta["files"].items() if "/" not in name))


def verify(folder: str, hashed: Hashes) -> None:
    """Raise UserError if a file is missing or has changed since the export."""
    for name, digest in hashed:
        _require_hash(Path(folder, name), digest, path=files.join(folder, name), remedy=exports.again(folder))


def verify_embeddings(folder: str, meta: dict[str, Any]) -> None:
    """Raise UserError unless the table item_embeddings has the files that were exported, and no others.

    Costs a read of the table; a remote one is copied to this machine for it.
    """
    table = files.join(folder, EMBEDDINGS)
    hashed = {name: digest for name, digest in meta["files"].items() if name.startswith(f"{EMBEDDINGS}/")}
    added = {name for name in files.names(table) if not name.startswith(("_", "."))} - {
        name.rsplit("/", 1)[-1] for name in hashed
    }
    if added:
        raise UserError(f"{table} has files that meta.json doesn't name ({', '.join(sorted(added))}): {exports.again(folder)}")
    with tempfile.TemporaryDirectory(prefix="seqrec-embeddings-") as cache:
        for name, digest in hashed.items():
            path = files.join(folder, name)
            if not files.exists(path):
                raise UserError(f"{path} is missing: {exports.again(folder)}")
            _require_hash(files.fetch(path, Path(cache)), digest, path=path, remedy=exports.again(folder))


def _require_hash(local: Path, digest: str, *, path: str, remedy: str) -> None:
    try:
        same = hashes(local.parent, [local.name])[local.name] == digest
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {remedy}") from None
    if not same:
        raise UserError(f"{path} is not the file that meta.json names (it was replaced, or is of another export): {remedy}")
