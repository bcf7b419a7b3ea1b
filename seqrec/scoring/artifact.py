"""An exported model: encoder.onnx, item_matrix.npy, vocabulary.parquet, and the meta.json that seals them with their hashes.

A model with embeddings of users has users.npy too, the hashes of those it was trained on (see seqrec.users), sorted.
"""

import hashlib
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec import files, versions
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.scoring import exports
from seqrec.scoring.encoder import encode, open_session
from seqrec.scoring.ragged import Ragged
from seqrec.users import places

ENCODER, WEIGHTS, MATRIX, VOCABULARY = "encoder.onnx", "encoder.onnx.data", "item_matrix.npy", "vocabulary.parquet"
EMBEDDINGS, USERS = "item_embeddings", "users.npy"

Hashes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model ready to score: item i of the vocabulary is row i + 2 of `matrix`, `ids[i]` and `counts[i]`."""

    session: onnxruntime.InferenceSession
    matrix: NDArray[np.float32]  # (V + 2, D), memory-mapped
    ids: pa.Array  # (V,), int64 or string
    counts: NDArray[np.int64]  # (V,), training events
    max_len: int
    users: NDArray[np.int64] | None = None  # of a model with embeddings of users, memory-mapped

    def encode(self, histories: Ragged, batch_users: int, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """The queries (N, D) of histories of known items; users (N,) are the hashes of those whose they are."""
        placed = None if self.users is None else places(users, self.users)
        sizes = {"max_len": self.max_len, "dim": self.matrix.shape[1], "batch_users": batch_users}
        return encode(self.session, histories, **sizes, users=placed)

    def known(self, lists: Ragged) -> Ragged:
        """The lists without padding, mask, and items that were added to the vocabulary after this model."""
        return lists.where((lists.values >= FIRST_ITEM) & (lists.values < len(self.matrix)))

    @property
    def popularity(self) -> NDArray[np.float64]:
        """The counts as an item matrix (V + 2, 1), for queries of 1."""
        counts: NDArray[np.float64] = np.concatenate([np.zeros(FIRST_ITEM), self.counts])
        return counts[:, None]

    @property
    def trained(self) -> NDArray[np.bool_]:
        """(V + 2,): the items with a training event, which alone are recommended."""
        return self.popularity[:, 0] > 0


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


def open_sealed(folder: str, threads: int) -> tuple[Model, dict[str, Any]]:
    """Open the exported model of a local folder, and its meta.json."""
    meta = exports.read_sealed(folder)
    names = scoring_files(meta)
    return open_model(str(files.local_path(folder)), names, meta["max_len"], threads), meta


def scoring_files(meta: dict[str, Any]) -> Hashes:
    """Name and hash of the files that scoring needs: not the item_embeddings. UserError if the meta.json lacks one."""
    absent = {ENCODER, MATRIX, VOCABULARY} - meta["files"].keys()
    if absent:
        raise UserError(
            f"the export of {meta['name']} has no {', '.join(sorted(absent))} in its meta.json: run export_onnx again"
        )
    return tuple(sorted((name, digest) for name, digest in meta["files"].items() if "/" not in name))


@lru_cache(maxsize=2)
def open_model(folder: str, hashed: Hashes, max_len: int, threads: int) -> Model:
    """Open the model in a local folder, once per process; the cache goes by content.

    Raises UserError if a file is missing or isn't the one that was exported.
    """
    verify(folder, hashed)
    place = Path(folder)
    vocabulary = pq.read_table(place / VOCABULARY, columns=["item_id", "count"]).combine_chunks()
    ids = vocabulary["item_id"].chunk(0) if len(vocabulary) else pa.array([], vocabulary.schema.field("item_id").type)
    matrix = np.load(place / MATRIX, mmap_mode="r")
    if matrix.dtype != np.float32 or len(matrix) != len(vocabulary) + FIRST_ITEM:
        raise UserError(
            f"{place / MATRIX} is {matrix.dtype} {matrix.shape}, {VOCABULARY} has {len(vocabulary)} items and needs "
            f"{len(vocabulary) + FIRST_ITEM} rows of float32: {exports.again(folder)}"
        )
    counts = vocabulary["count"].to_numpy()
    users = np.load(place / USERS, mmap_mode="r") if USERS in dict(hashed) else None
    session = open_session(str(place / ENCODER), threads)
    return Model(session=session, matrix=matrix, ids=ids, counts=counts, max_len=max_len, users=users)


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
