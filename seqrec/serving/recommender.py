"""Recommendations for one user from code, on ONNX Runtime alone: neither torch nor Spark is loaded.

recommender = Recommender.load("/data/model")
recommender.recommend(["318", "50"], k=10)    # [(item id, score), ...], the best first

recommender = Recommender.load("/data/model", candidates="/data/candidates", features="/data/features", ranker="/data/ranker")
recommender.recommend(["318", "50"], user="7")    # what batch_recommend with this ranker writes for the user

recommender.extend(["318", "50"], 5).sequence    # the five items that come next, each after those before it, at the end
"""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np
import onnxruntime
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.catalogue.titles import NO_TITLES, Titles, TitleSource, titles_from_code
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.reranking.rules import Rules
from seqrec.serving import exports
from seqrec.serving.explanations import By, Explainer, Explanation
from seqrec.serving.exports import Export
from seqrec.serving.extended_sequence import (
    ANYTHING,
    Conditions,
    Extended,
    Id,
    Mode,
    Steps,
    assemble,
    extend_one,
    without_repeats,
)
from seqrec.serving.extension import Start
from seqrec.serving.list_rules import ListRules
from seqrec.serving.model import Model, open_backwards, open_model
from seqrec.serving.model_ids import ModelIds
from seqrec.serving.next_items import GREEDY, Choice
from seqrec.serving.open_rules import open_rules
from seqrec.serving.ranked_users import RankedUsers, open_second
from seqrec.serving.topk import NONE, BlockSizes, Catalogue, Items, Scores, top_k
from seqrec.storage import files
from seqrec.storage.metadata import IdTypes
from seqrec.user_hashes import UNKNOWN, hash_ids, user_rows

SIZES = BlockSizes(users=1, items=65536)


@dataclass(frozen=True, kw_only=True)
class Recommender:
    """An exported model that takes and gives original item ids."""

    model: Model
    name: str
    run_id: str
    id_types: IdTypes
    export: Export = field(repr=False)  # its files on this machine
    threads: int = 1
    titles: Titles = field(default=NO_TITLES, repr=False)
    fetched: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)  # lives as long as the model
    second: RankedUsers | None = field(default=None, repr=False)
    rules: ListRules | None = field(default=None, repr=False)

    @classmethod
    def load(
        cls,
        folder: str,
        *,
        threads: int = 1,
        titles: TitleSource = None,
        candidates: str | None = None,
        features: str | None = None,
        ranker: str | None = None,
        rerank: Rules | None = None,
    ) -> "Recommender":
        """Open the current export of a model's folder, or an export itself (MODEL/exports/RUN_ID, or a copy of it).

        A remote one is copied to a temporary folder. `titles` are {id: title}, or a file of them (see `read_titles`). Candidates,
        features and ranker are folders of a second stage, and `rerank` puts lists in order again, as in batch_recommend. Raises
        UserError if the model isn't exported, if files are missing or aren't those of a meta.json, if no title is of an item of
        the model, or if the second stage or the rules don't fit.
        """
        export, fetched = exports.locate(folder), None
        if not files.is_local(export.path):
            fetched = tempfile.TemporaryDirectory(prefix="seqrec-model-")
            export = exports.fetch(export, fetched.name)
        meta, model, known = export.meta, open_model(export, threads), titles_from_code(titles)
        second = open_second((candidates, features, ranker), id_types=meta.id_types, threads=threads)
        if words := known.mismatch(model.ids.to_pylist() if known.texts else []):
            raise UserError(words)
        return cls(
            model=model,
            name=meta.name,
            run_id=meta.run_id,
            id_types=meta.id_types,
            export=export,
            threads=threads,
            titles=known,
            fetched=fetched,
            second=second,
            rules=None if rerank is None else open_rules(rerank, model.ids),
        )

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
        fewer than K items if no more are left. With a second stage, a `user` with candidates gets these as the ranker ranks them,
        without the items of the history; the model answers for all others. A model with embeddings of users uses that of `user`;
        without `user`, or for a user who wasn't in the training, it uses the history alone. Under rules, the order and the scores
        are the final ones. Popular items are those of all users, never of a segment. Raises UserError for an id that isn't of the
        type of the model's ids, such as "318" where they are integers, and for a K below 1.
        """
        items = Ragged.of([self._ids.indices(history, "history")])
        available, hashes = self._available(allow, deny), self._hash(user)
        seen, pool = items if filter_seen else Ragged.of([[]]), k if self.rules is None else self.rules.rules.pool_of(k)
        counted = Catalogue.of(self.model.popularity, available & self.model.trained)
        popular = partial(self._best, np.ones((1, 1)), counted, pool, seen)
        listed = self._ranked(user, pool, allow, [*deny, *history] if filter_seen else deny)
        if not listed and len(items.values):
            listed = self._best(self.model.encode(items, 1, hashes), Catalogue.of(self.model.matrix, available), pool, seen)
        listed = listed or popular()
        return listed if self.rules is None else self.rules.order_one(listed, self.model, top_k=k, popular=popular)

    def extend(
        self,
        sequence: Sequence[Id],
        n: int,
        mode: Mode = "post",
        *,
        seed: int = 0,
        choice: Choice = GREEDY,
        conditions: Conditions = ANYTHING,
    ) -> Extended:
        """Up to N new items after a sequence (oldest first), before it (`pre`), or each at an end drawn by the seed (`both`).

        Each item is chosen as if those before had been taken, by `choice`: the best one, by beams, or drawn by the seed at a
        temperature. A new item is no other new one and, unless filter_seen=False, none of the sequence; there are fewer than N if
        no more are left. Of an item that the sequence has several times one occurrence stays, see `Conditions.keep`. The newest
        max_len items of a longer sequence count for what comes after it, the oldest for what comes before. Ids that the model
        doesn't know stay where they are, and are ignored; without a known one the most popular items are added, with their counts
        as scores. Raises UserError for N below 1, another mode, a seed below 0, ids of another type, and for `pre` and `both` if
        the model isn't bidirectional.
        """
        steps = Steps(n=n, mode=mode, seed=seed, choice=choice)
        backwards = None if mode == "post" else self._backwards
        typed = self._ids.typed_items(sequence, "sequence")
        kept = without_repeats(typed, conditions.occurrence(mode))
        items = Ragged.of([self._ids.indices(kept, "sequence")])
        hidden = items if conditions.filter_seen else Ragged.of([[]])
        start = Start(sequences=items, hidden=hidden, hashes=self._hash(conditions.user))
        available = self._available(conditions.allow, conditions.deny)
        additions, before = extend_one(start, steps, model=self.model, available=available, backwards=backwards)
        listed = self._with_ids(additions.items[0], additions.scores[0])
        return assemble(kept, listed, additions.log_probabilities[0], before=before, repeated=len(typed) - len(kept))

    def explain(
        self, history: Sequence[Id], items: Sequence[Id], n: int = 3, *, by: By = "vectors", user: Id | None = None
    ) -> list[list[tuple[Id, float]]]:
        """For each of the items the N items of the history (oldest first) that speak most for it, and how much; maybe none.

        `by` is vectors or drop, see `explanations`. Raises UserError for ids of another type, for N below 1, and another `by`.
        """
        explainer, had = (
            Explainer(model=self.model, explanation=Explanation(most=n, by=by)),
            self._ids.indices(history, "history"),
        )
        return explainer.reasons(self._ids.typed_items(items, "items"), Ragged.of([had]), self._hash(user))

    def knows(self, item_id: Id) -> bool:
        """Whether the model's vocabulary has the item; UserError if the id isn't of the type of its ids."""
        return self._ids.typed(item_id, "item_id") in self._ids.index

    def knows_user(self, user: Id) -> bool:
        """Whether the model has an embedding of the user; UserError if the id isn't of the type of its ids of users."""
        hashes = hash_ids(pa.array([self._ids.typed(user, "user", of="user")]))
        return self.model.users is not None and bool(user_rows(hashes, self.model.users)[0] != UNKNOWN)

    def title(self, item_id: Id) -> str | None:
        """The title of an item; None if it has none, or if no titles were loaded."""
        return self.titles.of(self._ids.typed(item_id, "item_id"))

    def neighbours(self, item_id: Id, k: int = 10) -> list[tuple[Id, float]]:
        """The K items most like an item, by the cosine of their rows of the item matrix, ties in the vocabulary's order.

        Items with neither a training event nor a vector are left out. Raises UserError if the model doesn't know the item.
        """
        if not self.knows(item_id):
            raise UserError(f"item {item_id!r} is not among the {len(self._ids.index)} items that the model {self.name} knows")
        item = self._ids.index[self._ids.typed(item_id, "item_id")]
        catalogue = Catalogue.of(self.model.directions, self.model.recommendable)
        return self._best(self.model.directions[item : item + 1], catalogue, k, Ragged.of([[item]]))

    @cached_property
    def _ids(self) -> ModelIds:
        """The ids of the model's items, and their types."""
        return ModelIds(items=self.model.ids, types=self.id_types, model=self.name)

    @cached_property
    def _backwards(self) -> onnxruntime.InferenceSession:
        """The session of the item before a history; UserError if the model isn't bidirectional."""
        return open_backwards(self.export, self.threads)

    def _hash(self, user: Id | None) -> NDArray[np.int64]:
        """The hash (1,) of a user; 0 for none."""
        return np.zeros(1, np.int64) if user is None else hash_ids(pa.array([self._ids.typed(user, "user", of="user")]))

    def _available(self, allow: Collection[Id] | None, deny: Collection[Id]) -> NDArray[np.bool_]:
        """True (V + 2,) at the items that may be recommended."""
        allowed = self.model.recommendable if allow is None else self.model.recommendable & self._ids.marks(allow, "allow")
        return allowed & ~self._ids.marks(deny, "deny")

    def _ranked(self, user: Id | None, k: int, allow: Collection[Id] | None, deny: Collection[Id]) -> list[tuple[Id, float]]:
        """The user's list by the second stage; empty without it or a user, or if the user has no candidate."""
        if self.second is None or user is None or k < 1:
            return []
        kind = self.model.ids.type
        kept = None if allow is None else pa.array(self._ids.typed_items(allow, "allow"), kind)
        hidden = pa.array(self._ids.typed_items(deny, "deny"), kind)
        return self.second.best(self._ids.typed(user, "user", of="user"), k, allow=kept, deny=hidden)

    def _best(self, query: Scores, catalogue: Catalogue, k: int, seen: Ragged) -> list[tuple[Id, float]]:
        """The K best candidates and their scores; a list is never longer than the candidates."""
        if k < 1:
            raise UserError(f"k={k}: ask for at least 1 item")
        items, scores = top_k(query, catalogue, k=min(k, max(1, len(catalogue.items))), seen=seen, sizes=SIZES)
        return self._with_ids(items[0], scores[0])

    def _with_ids(self, items: Items, scores: Scores) -> list[tuple[Id, float]]:
        """The ids and scores of a list, which may end in NONE."""
        listed = items != NONE
        ids = self.model.ids.take(pa.array(items[listed] - FIRST_ITEM)).to_pylist()
        return list(zip(ids, scores[listed].tolist(), strict=True))
