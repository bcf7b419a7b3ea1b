"""An exported model, opened: ONNX Runtime's session of the encoder, the item matrix and the vocabulary.

The matrix is memory-mapped, so the processes of a host share it. A process opens a model once (see `load_model`).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving.queries import encode_histories, open_encoder
from seqrec.serving.sealed import BACKWARDS, ENCODER, MATRIX, USERS, VECTOR, VOCABULARY, Hashes, export_again, verify_files
from seqrec.serving.sorted_ids import SortedIds
from seqrec.storage import files
from seqrec.user_hashes import user_rows

if TYPE_CHECKING:  # every Python worker of Spark loads this module, and the kinds of meta.json take a quarter of a second
    from seqrec.serving.exports import Export


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model ready to score: item i of the vocabulary is row i + 2 of `matrix`, `ids[i]` and `counts[i]`."""

    session: onnxruntime.InferenceSession
    matrix: NDArray[np.float32]  # (V + 2, D), memory-mapped
    ids: pa.Array  # (V,), int64 or string
    counts: NDArray[np.int64]  # (V,), training events
    has_vector: NDArray[np.bool_]  # (V,), whether the item's row is known by a vector of it
    max_len: int
    users: NDArray[np.int64] | None = None  # sorted hashes, memory-mapped; None for a model without embeddings of users

    def encode(self, histories: Ragged, batch_users: int, hashes: NDArray[np.int64]) -> NDArray[np.float32]:
        """The queries (N, D) of histories of the model's items; the hashes (N,) say whose they are."""
        rows = None if self.users is None else user_rows(hashes, self.users)
        dim = self.matrix.shape[1]
        return encode_histories(self.session, histories, max_len=self.max_len, dim=dim, batch_users=batch_users, users=rows)

    def without_unknown(self, lists: Ragged) -> Ragged:
        """The lists without padding, mask, and items that were added to the vocabulary after this model."""
        return lists.where((lists.values >= FIRST_ITEM) & (lists.values < len(self.matrix)))

    @property
    def popularity(self) -> NDArray[np.float64]:
        """The counts as an item matrix (V + 2, 1), for queries of 1."""
        counts: NDArray[np.float64] = np.concatenate([np.zeros(FIRST_ITEM), self.counts])
        return counts[:, None]

    @property
    def trained(self) -> NDArray[np.bool_]:
        """(V + 2,): the items with a training event."""
        return self.popularity[:, 0] > 0

    @property
    def recommendable(self) -> NDArray[np.bool_]:
        """(V + 2,): the items with a training event or a vector; no others are recommended."""
        marks: NDArray[np.bool_] = self.trained
        marks[FIRST_ITEM:] |= self.has_vector
        return marks

    @cached_property
    def sorted_ids(self) -> SortedIds:
        """The ids of the items in order."""
        return SortedIds.of(self.ids)

    @cached_property
    def mean_row(self) -> NDArray[np.float32]:
        """(D,): the mean of the rows of the items that may be recommended."""
        marks = self.recommendable.astype(np.float32)
        return np.asarray(marks @ self.matrix / max(1, np.count_nonzero(marks)), np.float32)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """The item matrix with rows of length 1; a row of zeros stays."""
        norms: NDArray[np.float32] = np.linalg.norm(self.matrix, axis=1, keepdims=True)
        directions: NDArray[np.float32] = self.matrix / np.where(norms > 0, norms, 1)
        return directions


def open_model(export: "Export", threads: int) -> Model:
    """The model of an export in a local folder."""
    return load_model(str(files.local_path(export.path)), export.scoring_files(), export.meta.max_len, threads)


def open_backwards(export: "Export", threads: int) -> onnxruntime.InferenceSession:
    """The session that has the query for the item before a history, of an export in a local folder; UserError if it has none.

    `encode_histories` runs it: give it the oldest max_len items of a longer history.
    """
    folder = files.local_path(export.path)
    verify_files(str(folder), export.backwards_files())
    return open_encoder(str(folder / BACKWARDS), threads)


@lru_cache(maxsize=2)
def load_model(folder: str, hashes: Hashes, max_len: int, threads: int) -> Model:
    """The model in a local folder, read once per process; other hashes in the same folder are another model.

    Raises UserError if a file is missing or isn't the one that was exported.
    """
    verify_files(folder, hashes)
    root = Path(folder)
    vocabulary = pq.read_table(root / VOCABULARY).combine_chunks()
    ids = vocabulary["item_id"].chunk(0) if len(vocabulary) else pa.array([], vocabulary.schema.field("item_id").type)
    matrix = np.load(root / MATRIX, mmap_mode="r")
    if matrix.dtype != np.float32 or len(matrix) != len(vocabulary) + FIRST_ITEM:
        raise UserError(
            f"{root / MATRIX} is {matrix.dtype} {matrix.shape}, {VOCABULARY} has {len(vocabulary)} items and needs "
            f"{len(vocabulary) + FIRST_ITEM} rows of float32: {export_again(folder)}"
        )
    counts = vocabulary["count"].to_numpy()
    marked = VECTOR in vocabulary.schema.names
    has_vector = vocabulary[VECTOR].to_numpy(zero_copy_only=False) if marked else np.zeros(len(vocabulary), bool)
    users = np.load(root / USERS, mmap_mode="r") if USERS in dict(hashes) else None
    session = open_encoder(str(root / ENCODER), threads)
    return Model(session=session, matrix=matrix, ids=ids, counts=counts, has_vector=has_vector, max_len=max_len, users=users)
