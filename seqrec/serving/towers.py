"""Two towers over features, opened: rows of users' and items' columns into vectors, on ONNX Runtime alone (no Spark, no torch).

    towers = Towers.open("/data/feature_towers")
    queries = towers.users.vectors(rows)          # (N, D) float32 of length 1; rows have the columns towers.users.encoding.names
    towers.recommend(queries, 10)                 # item ids and scores of each row, by exact search
    towers.recommend(queries, 10, had=[["50"]])   # without the items that the user of each row has had

A new user or item needs no training: what is unknown of it counts as missing. An export is a version MODEL/exports/RUN_ID with
two graphs (one input `features` (N, F), one output `vector` (N, D)), their encodings, the items' vectors, and a meta.json that
seals them. Items of which no feature is known all have one vector; they are never recommended.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving.feature_encoding import Encoding, Features
from seqrec.serving.queries import open_encoder
from seqrec.serving.sealed import EXPORTS, MATRIX, VOCABULARY, Hashes, verify_files
from seqrec.serving.topk import Catalogue, Lists, top_k
from seqrec.storage import files, versions
from seqrec.storage.meta import META

USER_GRAPH, ITEM_GRAPH = "user_tower.onnx", "item_tower.onnx"
USER_WEIGHTS, ITEM_WEIGHTS = "user_tower.onnx.data", "item_tower.onnx.data"  # large weights, beside their graph
USER_ENCODING, ITEM_ENCODING = "user_encoding.json", "item_encoding.json"
NEEDED_FILES = (USER_GRAPH, ITEM_GRAPH, USER_ENCODING, ITEM_ENCODING, MATRIX, VOCABULARY)
TOWER_FILES = (*NEEDED_FILES, USER_WEIGHTS, ITEM_WEIGHTS)  # what an export may have beside its item_embeddings
KNOWN = "known"  # column of an export's vocabulary: whether a feature of the item is known, so that it may be recommended
TOWER_INPUT, TOWER_OUTPUT = "features", "vector"
RUN_ROWS = 4096  # rows that ONNX Runtime takes at once
TRAIN_AGAIN = "run train_two_tower towers=features again"


@dataclass(frozen=True, kw_only=True)
class ServedTower:
    """A tower ready to embed."""

    session: onnxruntime.InferenceSession
    encoding: Encoding

    def vectors(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.float32]:
        """The vectors (N, D) of rows with the columns `encoding.names`; UserError for a column that is missing or unfit."""
        return self.embed(self.encoding.encode(rows))

    def embed(self, features: Features) -> NDArray[np.float32]:
        """The vectors (N, D) of encoded features (N, F); UserError if one is not finite."""
        blocks = [features[first : first + RUN_ROWS] for first in range(0, max(1, len(features)), RUN_ROWS)]
        vectors: NDArray[np.float32] = np.concatenate(
            [self.session.run([TOWER_OUTPUT], {TOWER_INPUT: block})[0] for block in blocks]
        )
        if not np.isfinite(vectors).all():
            raise UserError("a tower gave vectors that are not finite: train again with a lower features.optimizer.lr")
        return vectors


@dataclass(frozen=True, kw_only=True)
class Towers:
    """Both towers, and the items of the export: item i of `ids` is row i + 2 of `matrix`, and of `available`."""

    users: ServedTower
    items: ServedTower
    matrix: NDArray[np.float32]  # (V + 2, D), memory-mapped
    ids: pa.Array  # (V,), int64 or string
    available: NDArray[np.bool_]  # (V + 2,)

    @classmethod
    def open(cls, folder: str, *, threads: int = 1) -> "Towers":
        """The current export of a model's folder, or the export that a path names; a remote one is copied here first.

        Raises UserError if it isn't one of towers, or if its files aren't those that were written.
        """
        exports = files.join(folder, EXPORTS)
        path = versions.resolve(exports if files.exists(files.join(exports, versions.CURRENT)) else folder)
        hashes = tower_hashes(versions.read_meta(path).get("files"), path=path)
        if files.is_local(path):
            return load_towers(str(files.local_path(path)), hashes, threads)
        with tempfile.TemporaryDirectory(prefix="seqrec-towers-") as copy:
            for name, _ in hashes:
                files.fetch(files.join(path, name), Path(copy))
            return load_towers(copy, hashes, threads)

    def best(self, queries: NDArray[np.float32], k: int, *, seen: Ragged | None = None) -> Lists:
        """The indices (N, K) of the k best items of each query and their scores, see `topk.top_k`; K is at most the number of
        items that may be recommended.

        `seen` has the indices of the items that are left out, a list a query.
        """
        hidden = Ragged.of([[] for _ in queries]) if seen is None else seen
        catalogue = Catalogue.of(self.matrix, self.available)
        return top_k(queries, catalogue, k=min(k, max(1, len(catalogue.items))), seen=hidden)

    def recommend(
        self, queries: NDArray[np.float32], k: int, *, had: Sequence[Sequence[int | str]] | None = None
    ) -> list[list[tuple[int | str, float]]]:
        """The ids and scores of the k best items of each query, best first.

        `had` has the ids of the items that are left out, a list a query; ids that the export doesn't know are no error.
        """
        items, scores = self.best(queries, k, seen=None if had is None else Ragged.of_arrays([self._indices(of) for of in had]))
        lists = []
        for row, of_row in zip(items, scores, strict=True):
            filled = row >= FIRST_ITEM
            ids = self.ids.take(pa.array(row[filled] - FIRST_ITEM)).to_pylist()
            lists.append(list(zip(ids, of_row[filled].tolist(), strict=True)))
        return lists

    def _indices(self, ids: Sequence[int | str]) -> NDArray[np.int64]:
        """The indices of the ids that the export knows."""
        places = pc.drop_null(pc.index_in(pa.array(ids, self.ids.type), value_set=self.ids))
        indices: NDArray[np.int64] = places.to_numpy().astype(np.int64) + FIRST_ITEM
        return indices


def tower_hashes(hashes: object, *, path: str) -> Hashes:
    """Names and SHA-256 of the files that `load_towers` opens, of the `files` in the meta.json of an export in a folder.

    Raises UserError unless these are the files of two towers.
    """
    if not isinstance(hashes, dict) or not set(NEEDED_FILES) <= hashes.keys():
        raise UserError(f"{files.join(path, META)} names no two towers: give a model that train_two_tower towers=features wrote")
    return tuple((name, str(hashes[name])) for name in TOWER_FILES if name in hashes)


@lru_cache(maxsize=2)
def load_towers(folder: str, hashes: Hashes, threads: int) -> Towers:
    """The towers in a local folder, read once per process; UserError if a file is missing or isn't the one that was written."""
    verify_files(folder, hashes, remedy=TRAIN_AGAIN)
    users, items = (
        ServedTower(
            session=open_encoder(str(Path(folder, graph)), threads),
            encoding=Encoding.of_json(Path(folder, encoding).read_text("utf-8")),
        )
        for graph, encoding in ((USER_GRAPH, USER_ENCODING), (ITEM_GRAPH, ITEM_ENCODING))
    )
    items_of = pq.read_table(Path(folder, VOCABULARY), columns=["item_id", KNOWN])
    return Towers(
        users=users,
        items=items,
        matrix=np.load(Path(folder, MATRIX), mmap_mode="r"),
        ids=items_of["item_id"].combine_chunks(),
        available=np.concatenate([np.zeros(FIRST_ITEM, np.bool_), items_of[KNOWN].to_numpy()]),
    )
