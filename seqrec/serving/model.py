"""An exported model, opened: ONNX Runtime's session of the encoder, the item matrix and the vocabulary."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving import exports
from seqrec.serving.queries import encode_histories, open_encoder
from seqrec.serving.sealed import ENCODER, MATRIX, USERS, VOCABULARY, Hashes, scoring_files, verify
from seqrec.storage import files
from seqrec.user_hashes import user_rows


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
        placed = None if self.users is None else user_rows(users, self.users)
        sizes = {"max_len": self.max_len, "dim": self.matrix.shape[1], "batch_users": batch_users}
        return encode_histories(self.session, histories, **sizes, users=placed)

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


def open_sealed(folder: str, threads: int) -> tuple[Model, dict[str, Any]]:
    """Open the exported model of a local folder, and its meta.json."""
    meta = exports.read_sealed(folder)
    names = scoring_files(meta)
    return open_model(str(files.local_path(folder)), names, meta["max_len"], threads), meta


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
    session = open_encoder(str(place / ENCODER), threads)
    return Model(session=session, matrix=matrix, ids=ids, counts=counts, max_len=max_len, users=users)
