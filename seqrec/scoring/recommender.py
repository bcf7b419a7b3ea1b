"""Recommendations for one user from code, on ONNX Runtime alone: neither torch nor Spark is loaded."""

import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec import files
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.scoring import artifact
from seqrec.scoring.ragged import Ragged
from seqrec.scoring.topk import NONE, Catalogue, Items, Scores, top_k
from seqrec.users import hash_ids

BLOCK_ITEMS = 65536

Id = int | str


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """An exported model that takes and gives original item ids."""

    model: artifact.Model
    name: str
    run_id: str
    fetched: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)  # lives as long as the model

    @classmethod
    def load(cls, folder: str, *, threads: int = 1) -> "Recommender":
        """Open the model in a folder that export_onnx wrote to; a remote one is copied to a temporary folder.

        Raises UserError if the folder holds no exported model, or files of different exports.
        """
        fetched = None
        if not files.is_local(folder):
            names = [name for name, _ in artifact.scoring_files(artifact.read_sealed(folder))]
            fetched = tempfile.TemporaryDirectory(prefix="seqrec-model-")
            for name in ["meta.json", *names]:
                files.fetch(files.join(folder, name), Path(fetched.name))
        model, meta = artifact.open_sealed(fetched.name if fetched else folder, threads)
        return cls(model=model, name=meta["name"], run_id=meta["run_id"], fetched=fetched)

    def recommend(
        self,
        history: Sequence[Id],
        k: int = 10,
        *,
        user: Id | None = None,
        filter_seen: bool = True,
        allow: Collection[Id] | None = None,
        deny: Collection[Id] = (),
    ) -> list[tuple[Id, float]]:
        """The K best items after a history (oldest first) and their scores, best first, ties in the vocabulary's order.

        Unknown ids in the history are ignored; if none is left, the most popular items come, with their counts as scores. With
        `allow`, no other items are recommended; those in `deny` never are. Fewer than K come where no more are left. A model with
        embeddings of users takes the one of `user`; without, or for a user who wasn't trained on, the history alone.
        """
        known = Ragged.of([self._indices(history)])
        seen = known if filter_seen else Ragged.of([[]])
        available = self.model.trained & ~self._marked(deny)
        if allow is not None:
            available &= self._marked(allow)
        matrix: Scores = self.model.matrix if len(known.values) else self.model.popularity
        owner = np.zeros(1, np.int64) if user is None else hash_ids(pa.array([user]))
        query: Scores = self.model.encode(known, 1, owner) if len(known.values) else np.ones((1, 1))
        catalogue = Catalogue.of(matrix, available)
        items, scores = top_k(query, catalogue, k=k, seen=seen, batch_users=1, block_items=BLOCK_ITEMS)
        return self._named(items[0], scores[0])

    def neighbours(self, item_id: Id, k: int = 10) -> list[tuple[Id, float]]:
        """The K items most like an item, by the cosine of their rows of the item matrix, ties in the vocabulary's order.

        Items without a training event are left out. Raises UserError if the model doesn't know the item.
        """
        if item_id not in self._index:
            raise UserError(f"item {item_id!r} is not among the {len(self._index)} items that the model {self.name} knows")
        item = self._index[item_id]
        catalogue = Catalogue.of(self._directions, self.model.trained)
        query = self._directions[item : item + 1]
        items, scores = top_k(query, catalogue, k=k, seen=Ragged.of([[item]]), batch_users=1, block_items=BLOCK_ITEMS)
        return self._named(items[0], scores[0])

    @cached_property
    def _index(self) -> dict[Id, int]:
        """The item index of each id."""
        return {item_id: place + FIRST_ITEM for place, item_id in enumerate(self.model.ids.to_pylist())}

    @cached_property
    def _directions(self) -> NDArray[np.float32]:
        """The item matrix with rows of length 1; a row of zeros stays."""
        norms: NDArray[np.float32] = np.linalg.norm(self.model.matrix, axis=1, keepdims=True)
        directions: NDArray[np.float32] = self.model.matrix / np.where(norms > 0, norms, 1)
        return directions

    def _indices(self, ids: Iterable[Id]) -> list[int]:
        return [self._index[item_id] for item_id in ids if item_id in self._index]

    def _marked(self, ids: Iterable[Id]) -> NDArray[np.bool_]:
        marks = np.zeros(len(self.model.matrix), dtype=bool)
        marks[self._indices(ids)] = True
        return marks

    def _named(self, items: Items, scores: Scores) -> list[tuple[Id, float]]:
        found = items[items != NONE]
        ids = self.model.ids.take(pa.array(found - FIRST_ITEM)).to_pylist()
        return list(zip(ids, scores[: len(found)].tolist(), strict=True))
