"""Recommendations for one user from code, on ONNX Runtime alone: neither torch nor Spark is loaded.

recommender = Recommender.load("/data/model")
recommender.recommend(["318", "50"], k=10)    # [(item id, score), ...], the best first

recommender = Recommender.load("/data/model", titles="movies.csv")
[(recommender.title(item), score) for item, score in recommender.recommend(["318", "50"])]
"""

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.catalogue.titles import NO_TITLES, Titles, read_titles
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving import exports
from seqrec.serving.exports import Export
from seqrec.serving.model import Model, open_model
from seqrec.serving.topk import NONE, BlockSizes, Catalogue, Items, Scores, top_k
from seqrec.storage import files
from seqrec.storage.meta import META
from seqrec.storage.metadata import IdTypes
from seqrec.user_hashes import UNKNOWN, hash_ids, user_rows

SIZES = BlockSizes(users=1, items=65536)
FROM_CODE = "titles=read_titles(FILE, 'ID,TITLE')"  # what says, from code, which columns of a file of titles are meant

Id = int | str
Source = str | Mapping[int, str] | Mapping[str, str] | Titles | None  # a file of titles, or the titles themselves
TYPES: dict[str, type[int] | type[str]] = {"bigint": int, "string": str}
BIGINT = range(-(2**63), 2**63)


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """An exported model that takes and gives original item ids."""

    model: Model
    name: str
    run_id: str
    id_types: IdTypes
    titles: Titles = field(default=NO_TITLES, repr=False)
    fetched: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)  # lives as long as the model

    @classmethod
    def load(cls, folder: str, *, threads: int = 1, titles: Source = None) -> "Recommender":
        """Open the current export of a model's folder, or an export itself (MODEL/exports/RUN_ID, or a copy of it).

        A remote one is copied to a temporary folder. `titles` are {id: title}, or a file of them (see `read_titles`). Raises
        UserError if the model isn't exported, if files are missing or aren't those of its meta.json, or if titles are given and
        none is of an item of the model.
        """
        export, fetched = exports.locate(folder), None
        if not files.is_local(export.path):
            fetched = tempfile.TemporaryDirectory(prefix="seqrec-model-")
            export = _fetch(export, fetched.name)
        meta, model, known = export.meta, open_model(export, threads), _titles(titles)
        if words := known.mismatch(model.ids.to_pylist() if known.texts else []):
            raise UserError(words)
        return cls(model=model, name=meta.name, run_id=meta.run_id, id_types=meta.id_types, titles=known, fetched=fetched)

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

        Ids that the model doesn't know (see `knows`) are ignored; if none of the history is left, the most popular items are
        returned, with their counts as scores. With `allow`, no other items are recommended; those in `deny` never are. A list has
        fewer than K items if no more are left. A model with embeddings of users uses that of `user`; without `user`, or for a
        user who wasn't in the training, it uses the history alone. Raises UserError for an id that isn't of the type of the
        model's ids, such as "318" where they are integers, and for a K below 1.
        """
        items = Ragged.of([self._indices(history, "history")])
        available = self.model.recommendable & ~self._marks(deny, "deny")
        if allow is not None:
            available &= self._marks(allow, "allow")
        hashes = np.zeros(1, np.int64) if user is None else hash_ids(pa.array([self._typed(user, "user", of="user")]))
        seen = items if filter_seen else Ragged.of([[]])
        if len(items.values):
            return self._best(self.model.encode(items, 1, hashes), Catalogue.of(self.model.matrix, available), k, seen)
        return self._best(np.ones((1, 1)), Catalogue.of(self.model.popularity, available & self.model.trained), k, seen)

    def knows(self, item_id: Id) -> bool:
        """Whether the model's vocabulary has the item; UserError if the id isn't of the type of its ids."""
        return self._typed(item_id, "item_id") in self._index

    def knows_user(self, user: Id) -> bool:
        """Whether the model has an embedding of the user; UserError if the id isn't of the type of its ids of users."""
        hashes = hash_ids(pa.array([self._typed(user, "user", of="user")]))
        return self.model.users is not None and bool(user_rows(hashes, self.model.users)[0] != UNKNOWN)

    def title(self, item_id: Id) -> str | None:
        """The title of an item; None if it has none, or if no titles were loaded."""
        return self.titles.of(self._typed(item_id, "item_id"))

    def neighbours(self, item_id: Id, k: int = 10) -> list[tuple[Id, float]]:
        """The K items most like an item, by the cosine of their rows of the item matrix, ties in the vocabulary's order.

        Items with neither a training event nor a vector are left out. Raises UserError if the model doesn't know the item.
        """
        if not self.knows(item_id):
            raise UserError(f"item {item_id!r} is not among the {len(self._index)} items that the model {self.name} knows")
        item = self._index[self._typed(item_id, "item_id")]
        catalogue = Catalogue.of(self._directions, self.model.recommendable)
        return self._best(self._directions[item : item + 1], catalogue, k, Ragged.of([[item]]))

    @cached_property
    def _index(self) -> dict[Id, int]:
        """The item index of each id."""
        return {item_id: index for index, item_id in enumerate(self.model.ids.to_pylist(), start=FIRST_ITEM)}

    @cached_property
    def _directions(self) -> NDArray[np.float32]:
        """The item matrix with rows of length 1; a row of zeros stays."""
        norms: NDArray[np.float32] = np.linalg.norm(self.model.matrix, axis=1, keepdims=True)
        directions: NDArray[np.float32] = self.model.matrix / np.where(norms > 0, norms, 1)
        return directions

    def _typed(self, value: Any, argument: str, *, of: Literal["user", "item"] = "item") -> Id:
        """The id as a Python value; UserError if it isn't of the type of the model's ids of users or items."""
        kind = self.id_types.user if of == "user" else self.id_types.item
        plain = value.item() if isinstance(value, np.generic) else value
        fits = isinstance(plain, TYPES[kind]) and not isinstance(plain, bool)
        if not fits or (isinstance(plain, int) and plain not in BIGINT):
            raise UserError(f"{argument}: {value!r} is no {of} id of the model {self.name}, whose {of} ids are of type {kind}")
        typed: Id = plain
        return typed

    def _indices(self, ids: Iterable[Id], argument: str) -> list[int]:
        """The item indices of the ids that the model knows."""
        if isinstance(ids, str | bytes):
            raise UserError(f"{argument}={ids!r} is one id: give a list of ids, such as [{ids!r}]")
        typed = [self._typed(item_id, argument) for item_id in ids]
        return [self._index[item_id] for item_id in typed if item_id in self._index]

    def _marks(self, ids: Iterable[Id], argument: str) -> NDArray[np.bool_]:
        """True (V + 2,) at the indices of the ids."""
        marks = np.zeros(len(self.model.matrix), dtype=bool)
        marks[self._indices(ids, argument)] = True
        return marks

    def _best(self, query: Scores, catalogue: Catalogue, k: int, seen: Ragged) -> list[tuple[Id, float]]:
        """The K best candidates and their scores; a list is never longer than the candidates."""
        if k < 1:
            raise UserError(f"k={k}: ask for at least 1 item")
        items, scores = top_k(query, catalogue, k=min(k, max(1, len(catalogue.items))), seen=seen, sizes=SIZES)
        return self._with_ids(items[0], scores[0])

    def _with_ids(self, items: Items, scores: Scores) -> list[tuple[Id, float]]:
        """The ids and scores of a list, which may end in NONE."""
        listed = items[items != NONE]
        ids = self.model.ids.take(pa.array(listed - FIRST_ITEM)).to_pylist()
        return list(zip(ids, scores[: len(listed)].tolist(), strict=True))


def _titles(given: Source) -> Titles:
    """The titles that `load` was given."""
    if isinstance(given, Mapping):
        return Titles({str(item_id): title for item_id, title in given.items()}, f"{len(given):,} titles", FROM_CODE)
    if isinstance(given, str):
        return read_titles(given, option=FROM_CODE)
    return given or NO_TITLES


def _fetch(export: Export, folder: str) -> Export:
    """A copy, in a local folder, of what scoring needs of an export."""
    for name in [META, *(name for name, _ in export.scoring_files())]:
        files.fetch(files.join(export.path, name), Path(folder))
    return Export(folder, export.meta)
