"""Recommendations for one user from code, on ONNX Runtime alone: neither torch nor Spark is loaded."""

import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving import exports, sealed
from seqrec.serving.model import Model, open_sealed
from seqrec.serving.topk import NONE, Catalogue, Items, Scores, top_k
from seqrec.storage import files
from seqrec.user_hashes import hash_ids

BLOCK_ITEMS = 65536

Id = int | str
TYPES: dict[str, type[int] | type[str]] = {"bigint": int, "string": str}
BIGINT = range(-(2**63), 2**63)


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """An exported model that takes and gives original item ids."""

    model: Model
    name: str
    run_id: str
    id_types: dict[str, str]  # of user and item: bigint or string
    fetched: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)  # lives as long as the model

    @classmethod
    def load(cls, folder: str, *, threads: int = 1) -> "Recommender":
        """Open the current export of a model's folder, or an export itself (MODEL/exports/RUN_ID, or a copy of it).

        A remote one is copied to a temporary folder. Raises UserError if the model isn't exported, or if files are missing or
        aren't those of its meta.json.
        """
        folder, fetched = exports.locate(folder), None
        if not files.is_local(folder):
            names = [name for name, _ in sealed.scoring_files(exports.read_sealed(folder))]
            fetched = tempfile.TemporaryDirectory(prefix="seqrec-model-")
            for name in ["meta.json", *names]:
                files.fetch(files.join(folder, name), Path(fetched.name))
        model, meta = open_sealed(fetched.name if fetched else folder, threads)
        return cls(model=model, name=meta["name"], run_id=meta["run_id"], id_types=meta["id_types"], fetched=fetched)

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

        Ids that the model doesn't know (`knows` says which it does) are ignored; if none of the history is left, the most popular
        items come, with their counts as scores. With `allow`, no other items are recommended; those in `deny` never are. Fewer
        than K come where no more are left. A model with embeddings of users takes the one of `user`; without, or for a user who
        wasn't trained on, the history alone. Raises UserError for an id that isn't of the type of the model's ids, such as "318"
        where they are integers, and for a K below 1.
        """
        known = Ragged.of([self._indices(history, "history")])
        seen = known if filter_seen else Ragged.of([[]])
        available = self.model.trained & ~self._marked(deny, "deny")
        if allow is not None:
            available &= self._marked(allow, "allow")
        matrix: Scores = self.model.matrix if len(known.values) else self.model.popularity
        owner = np.zeros(1, np.int64) if user is None else hash_ids(pa.array([self._typed(user, "user", of="user")]))
        query: Scores = self.model.encode(known, 1, owner) if len(known.values) else np.ones((1, 1))
        return self._best(query, Catalogue.of(matrix, available), k, seen)

    def knows(self, item_id: Id) -> bool:
        """Whether the model's vocabulary has the item; UserError if the id isn't of the type of its ids."""
        return self._typed(item_id, "item_id") in self._index

    def neighbours(self, item_id: Id, k: int = 10) -> list[tuple[Id, float]]:
        """The K items most like an item, by the cosine of their rows of the item matrix, ties in the vocabulary's order.

        Items without a training event are left out. Raises UserError if the model doesn't know the item.
        """
        if not self.knows(item_id):
            raise UserError(f"item {item_id!r} is not among the {len(self._index)} items that the model {self.name} knows")
        item = self._index[self._typed(item_id, "item_id")]
        catalogue = Catalogue.of(self._directions, self.model.trained)
        return self._best(self._directions[item : item + 1], catalogue, k, Ragged.of([[item]]))

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

    def _typed(self, given: Any, argument: str, *, of: str = "item") -> Id:
        """The id as a Python value; UserError if it isn't of the type of the model's ids of users or items."""
        kind = self.id_types[of]
        plain = given.item() if isinstance(given, np.generic) else given
        fits = isinstance(plain, TYPES[kind]) and not isinstance(plain, bool)
        if not fits or (isinstance(plain, int) and plain not in BIGINT):
            raise UserError(f"{argument}: {given!r} is no {of} id of the model {self.name}, whose {of} ids are of type {kind}")
        typed: Id = plain
        return typed

    def _indices(self, ids: Iterable[Id], argument: str) -> list[int]:
        if isinstance(ids, str | bytes):
            raise UserError(f"{argument}={ids!r} is one id: give a list of ids, such as [{ids!r}]")
        typed = [self._typed(item_id, argument) for item_id in ids]
        return [self._index[item_id] for item_id in typed if item_id in self._index]

    def _marked(self, ids: Iterable[Id], argument: str) -> NDArray[np.bool_]:
        marks = np.zeros(len(self.model.matrix), dtype=bool)
        marks[self._indices(ids, argument)] = True
        return marks

    def _best(self, query: Scores, catalogue: Catalogue, k: int, seen: Ragged) -> list[tuple[Id, float]]:
        """The K best candidates and their scores; a list is never longer than the candidates."""
        if k < 1:
            raise UserError(f"k={k}: ask for at least 1 item")
        size = min(k, max(1, len(catalogue.items)))
        items, scores = top_k(query, catalogue, k=size, seen=seen, batch_users=1, block_items=BLOCK_ITEMS)
        return self._named(items[0], scores[0])

    def _named(self, items: Items, scores: Scores) -> list[tuple[Id, float]]:
        found = items[items != NONE]
        ids = self.model.ids.take(pa.array(found - FIRST_ITEM)).to_pylist()
        return list(zip(ids, scores[: len(found)].tolist(), strict=True))
