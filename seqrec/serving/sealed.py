"""The names of the files in a model's folder, and the hashes that seal those of an export.

    MODEL/                       a training: vocabulary.parquet, users.npy
    MODEL/exports/RUN_ID/        an export: encoder.onnx, item_matrix.npy, vocabulary.parquet, item2id.json, item_embeddings/,
                                 users.npy, encoder_backwards.onnx

vocabulary.parquet has item_id, item_idx and count and, of a model that took vectors of items, `vector`: an item with one may be
recommended though nobody had it. item2id.json has the item_idx of each item_id, which is its row in item_matrix.npy, for programs
that don't read Parquet. Large weights lie beside their graph, in encoder.onnx.data. A model with bidirectional attention has
encoder_backwards.onnx, the query for the item before a history. A model with embeddings of users has users.npy: the sorted hashes
of the users it was trained on (see `user_hashes`). An export's meta.json holds the SHA-256 of each of its files, so files of two
exports are never taken together. Neither ONNX Runtime nor Spark is needed to check them.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from seqrec.errors import UserError
from seqrec.storage import files, versions

EXPORTS = "exports"
ENCODER, WEIGHTS, MATRIX, VOCABULARY = "encoder.onnx", "encoder.onnx.data", "item_matrix.npy", "vocabulary.parquet"
ITEM2ID = "item2id.json"
BACKWARDS, BACKWARDS_WEIGHTS = "encoder_backwards.onnx", "encoder_backwards.onnx.data"
VECTOR = "vector"  # column of the vocabulary: whether an item has a vector, so that it is recommended without a training event
EMBEDDINGS, USERS = "item_embeddings", "users.npy"
EMBEDDINGS_PART = f"{EMBEDDINGS}/part-00000.parquet"
EXPORTED = (  # what an export may have, as it is written
    *(ENCODER, WEIGHTS, BACKWARDS, BACKWARDS_WEIGHTS),
    *(MATRIX, VOCABULARY, ITEM2ID, USERS, EMBEDDINGS_PART),
)
NEEDED = frozenset({ENCODER, MATRIX, VOCABULARY})  # what scoring can't do without

Hashes = tuple[tuple[str, str], ...]  # name and SHA-256 of each file


def seal(folder: str, content: Mapping[str, object], *, source: Path, names: Iterable[str]) -> None:
    """Write FOLDER/meta.json with the content and the SHA-256 of the named files, which are read from the folder `source`."""
    versions.write_meta(folder, {**content, "files": hash_files(source, names)})


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of files in a local folder, by name."""
    digests = {}
    for name in names:
        with (folder / name).open("rb") as source:
            digests[name] = hashlib.file_digest(source, "sha256").hexdigest()
    return digests


def verify_files(folder: str, hashes: Hashes, *, remedy: str | None = None) -> None:
    """Raise UserError if a file of a local folder is missing or has changed since it was written.

    Without a remedy it is to export the model again.
    """
    for name, digest in hashes:
        _require_hash(Path(folder, name), digest, path=files.join(folder, name), remedy=remedy or export_again(folder))


def verify_embeddings(folder: str, exported: Mapping[str, str]) -> None:
    """Raise UserError unless the table item_embeddings has the files that were exported, and no others.

    `exported` are the hashes of the export's meta.json. Costs a read of the table; a remote one is copied to this machine for it.
    """
    table, remedy = files.join(folder, EMBEDDINGS), export_again(folder)
    hashes = {name: digest for name, digest in exported.items() if name.startswith(f"{EMBEDDINGS}/")}
    there = {f"{EMBEDDINGS}/{name}" for name in files.names(table) if not name.startswith(("_", "."))}
    if added := there - hashes.keys():
        names = ", ".join(sorted(name.rsplit("/", 1)[-1] for name in added))
        raise UserError(f"{table} has files that meta.json doesn't name ({names}): {remedy}")
    with tempfile.TemporaryDirectory(prefix="seqrec-embeddings-") as cache:
        for name, digest in hashes.items():
            path = files.join(folder, name)
            if not files.exists(path):
                raise UserError(f"{path} is missing: {remedy}")
            _require_hash(files.fetch(path, Path(cache)), digest, path=path, remedy=remedy)


def model_folder(folder: str) -> str:
    """The model's folder of an export; another folder stays as it is.

    >>> model_folder("/m/exports/20261101T020000Z-3f2a"), model_folder("/m")
    ('/m', '/m')
    """
    parent, _, name = folder.rstrip("/").rpartition("/")
    return parent.removesuffix(f"/{EXPORTS}") if versions.RUN_ID.match(name) else folder


def export_again(folder: str) -> str:
    """The remedy for an export that isn't whole."""
    return f"run export_onnx model={model_folder(folder)} again"


def _require_hash(local: Path, digest: str, *, path: str, remedy: str) -> None:
    """Raise UserError, which names `path`, unless the local file is there and has the SHA-256."""
    try:
        same = hash_files(local.parent, [local.name])[local.name] == digest
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {remedy}") from None
    if not same:
        raise UserError(f"{path} is not the file that meta.json names (it was replaced, or is of another export): {remedy}")
