"""What Spark's Python workers compute: batches of users into lists, ranks and embeddings.

A worker opens the model once (see seqrec.serving.model), and memory-maps the item matrix, which the workers of a host share.
`Encoded` and `Chooser` are the computation, and the functions on Arrow's batches, which make no Python object for each user, call
them; so does `series`, on pandas' Series.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.scoring.encoded_users import Encoded
from seqrec.scoring.shipping import Shipped
from seqrec.serving.candidate_rows import list_lengths
from seqrec.serving.explanations import Explainer, Explanation
from seqrec.serving.extension import Start, extend_sequences
from seqrec.serving.list_rules import ListRules, replaced_lists
from seqrec.serving.model import Model
from seqrec.serving.next_items import Scorer
from seqrec.serving.segment_popularity import SegmentLists, SegmentPopularity
from seqrec.serving.topk import DEFAULT_SIZES, NONE, BlockSizes, Catalogue, Items, Scores, top_k

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, kw_only=True)
class ListSettings:
    """The content of lists: at most top_k items, with filter_seen none of those in `seen`.

    With a horizon, there are as many next items beside them, in the order in which they come. Rules, opened by a task, put the
    items in order again. With segments, popular lists are those of the segment that a user is in. With an explanation, each item
    has those of the history that speak most for it.
    """

    top_k: int
    filter_seen: bool = True
    horizon: int | None = None
    rules: Callable[[], ListRules] | None = None
    segments: Callable[[], SegmentPopularity] | None = None
    explanation: Explanation | None = None


@dataclass(frozen=True, kw_only=True)
class ListTask:
    """What a task of recommending needs: where the model lies, a few numbers, and one bit for each item of the vocabulary."""

    model: Shipped
    lists: ListSettings
    available: bytes | None = None  # a bit for each row of the item matrix; None: all items may be recommended
    embeddings: bool = False
    sizes: BlockSizes = DEFAULT_SIZES


@dataclass(frozen=True, kw_only=True)
class Chooser:
    """An opened model and the items that may be recommended, by their rows of the matrix and by their counts."""

    model: Model
    catalogue: Catalogue
    popular: Catalogue
    task: ListTask
    rules: ListRules | None
    segments: SegmentLists | None

    @classmethod
    def of(cls, task: ListTask) -> "Chooser":
        """The chooser of a task, in its worker. Items with neither a training event nor a vector are never recommended.

        Those without a training event aren't among the popular ones.
        """
        model = task.model.open()
        allowed = model.recommendable
        if task.available is not None:
            allowed = allowed & np.unpackbits(np.frombuffer(task.available, np.uint8), count=len(allowed)).astype(bool)
        catalogue, popular = Catalogue.of(model.matrix, allowed), Catalogue.of(model.popularity, allowed & model.trained)
        rules = None if task.lists.rules is None else task.lists.rules()
        counted = None if task.lists.segments is None else task.lists.segments()
        segments = None if counted is None else SegmentLists(counted, popular, task.sizes)
        return cls(model=model, catalogue=catalogue, popular=popular, task=task, rules=rules, segments=segments)

    @property
    def pool(self) -> int:
        """How many candidates each user's list is chosen among: top_k, unless rules put lists in order again."""
        top_k = self.task.lists.top_k
        return top_k if self.rules is None else self.rules.rules.pool_of(top_k)

    def listed(self, users: Encoded) -> pa.ListArray:
        """The users' lists (N,) of structs of item_id and score and, under rules, model_score."""
        return self.ruled(listed_entries(*self.best(users), self.model.ids), users.seen, users.segments)

    def ruled(self, lists: pa.ListArray, seen: Ragged, segments: NDArray[np.object_]) -> pa.ListArray:
        """Lists (N,) of a pool, whoever scored it, put in order by the rules, if there are any; `seen` fills none up."""
        if self.rules is None:
            return lists
        length = self.task.lists.top_k
        ordered = self.rules.apply(lists, self.model, top_k=length)
        short = np.flatnonzero(list_lengths(ordered) < length)
        if not (self.rules.rules.fill and len(short)):
            return ordered
        popular = self._popular_lists(self._unwanted(seen).take(short), segments[short], self.pool)
        fillers = listed_entries(*popular, self.model.ids)
        filled = self.rules.apply(lists.take(pa.array(short)), self.model, top_k=length, fillers=fillers)
        return replaced_lists(ordered, short, filled)

    def best(self, users: Encoded) -> tuple[Items, Scores]:
        """Items and scores (N, K) of the users' pools, best first, short ones ended by NONE; K is at most the number of items."""
        seen = self._unwanted(users.seen)
        k = min(self.pool, max(1, len(self.catalogue.items)))
        items, scores = no_lists(len(users.histories), k)
        hidden = seen.take(users.warm)
        items[users.warm], scores[users.warm] = top_k(users.queries, self.catalogue, k=k, seen=hidden, sizes=self.task.sizes)
        items[users.cold], scores[users.cold] = self._popular_lists(seen.take(users.cold), users.segments[users.cold], k)
        return items, scores

    def following(self, users: Encoded, steps: int) -> tuple[Items, Scores]:
        """Items and scores (N, S) of the users' next items, in their order: the best each time, as by `Recommender.extend`.

        S is at most the number of items. Of items that a history has several times, the newest occurrence counts. Users without
        a query get the most popular items.
        """
        steps, seen, sizes = min(steps, max(1, len(self.catalogue.items))), self._unwanted(users.seen), self.task.sizes
        histories, hashes = users.histories.take(users.warm), users.hashes[users.warm]
        once, queries = histories.newest_once(), users.queries.copy()
        shorter = np.flatnonzero(once.lengths < histories.lengths)
        queries[shorter] = self.model.encode(once.take(shorter), sizes.users, hashes[shorter])
        start = Start(sequences=once, hidden=seen.take(users.warm), hashes=hashes, queries=queries)
        scorer = Scorer.of_model(self.model, self.catalogue, sizes=sizes, batch_users=sizes.users)
        added = extend_sequences(start, [False] * steps, scorer=scorer)
        items, scores = no_lists(len(users.histories), steps)
        reached = added.items.shape[1]  # none, if no item may be recommended
        items[users.warm, :reached], scores[users.warm, :reached] = added.items, added.scores
        items[users.cold], scores[users.cold] = self._popular_lists(seen.take(users.cold), users.segments[users.cold], steps)
        return items, scores

    def _popular_lists(self, seen: Ragged, segments: NDArray[np.object_], k: int) -> tuple[Items, Scores]:
        """Items and scores (N, K) of popular lists, by the segment of each user if there are segments."""
        if self.segments is not None:
            return self.segments.lists(seen, segments, k)
        return _popular(seen, partial(top_k, k=k, sizes=self.task.sizes, catalogue=self.popular))

    def _unwanted(self, seen: Ragged) -> Ragged:
        """The items that are left out of each user's lists, of those that the users have seen."""
        return seen if self.task.lists.filter_seen else seen.where(np.zeros(len(seen.values), bool))

    def explained(self, lists: pa.ListArray, histories: Ragged, hashes: NDArray[np.int64]) -> pa.ListArray:
        """The lists (N) with the reasons for each entry, if the task asks for them, see `Explainer.add_reasons`."""
        explanation = self.task.lists.explanation
        if explanation is None:
            return lists
        explainer = Explainer(model=self.model, explanation=explanation, batch_users=self.task.sizes.users)
        return explainer.add_reasons(lists, histories, hashes)


def recommend_batches(batches: Batches, *, task: ListTask) -> Batches:
    """user_id, items, source and, if asked, next_items and embedding, of batches of user_id, items, seen and user (the hash)."""
    chooser = Chooser.of(task)
    for batch in batches:
        users = Encoded.of_batch(chooser.model, batch, batch_users=task.sizes.users)
        columns = {"user_id": batch.column("user_id")}
        columns["items"] = chooser.explained(chooser.listed(users), users.histories, users.hashes)
        if task.lists.horizon is not None:
            columns["next_items"] = listed_entries(*chooser.following(users, task.lists.horizon), chooser.model.ids)
        columns["source"] = pa.array(users.sources, pa.string())
        if task.embeddings:
            columns["embedding"] = _embeddings(users)
        yield pa.RecordBatch.from_pydict(columns)


def embed_batches(batches: Batches, *, model: Shipped, batch_users: int) -> Batches:
    """user_id and embedding, of batches of user_id, items and user (the hash)."""
    opened = model.open()
    for batch in batches:
        users = Encoded.of_batch(opened, batch, batch_users=batch_users)
        yield pa.RecordBatch.from_arrays([batch.column("user_id"), _embeddings(users)], names=["user_id", "embedding"])


def no_lists(users: int, k: int) -> tuple[Items, Scores]:
    """Items and scores (N, K) of lists without an item."""
    return np.full((users, k), NONE), np.full((users, k), -np.inf, np.float32)


def _popular(seen: Ragged, choose: Callable[..., tuple[Items, Scores]]) -> tuple[Items, Scores]:
    """Lists of popular items; users who have seen nothing share a list, which is computed once."""
    with_seen = np.flatnonzero(seen.lengths)
    distinct = seen.take(np.append(with_seen, np.flatnonzero(seen.lengths == 0)[:1]))
    items, scores = choose(np.ones((len(distinct), 1)), seen=distinct)
    row = np.full(len(seen), len(with_seen))
    row[with_seen] = np.arange(len(with_seen))
    return items[row], scores[row]


def listed_entries(items: Items, scores: Scores, ids: pa.Array) -> pa.ListArray:
    """Item indices and scores (N, K), -1 where there is none, as lists of structs with the original ids."""
    filled = items >= FIRST_ITEM
    offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(filled, axis=1))])
    listed = ids.take(pa.array(items[filled] - FIRST_ITEM))
    values = pa.StructArray.from_arrays([listed, pa.array(scores[filled].astype(np.float32))], names=["item_id", "score"])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def _embeddings(users: Encoded) -> pa.ListArray:
    """The queries of the warm users as lists, null for the others."""
    has = users.histories.lengths > 0
    offsets = np.concatenate([[0], np.cumsum(has)]) * users.queries.shape[1]
    marked = pa.array(offsets, pa.int32(), mask=np.append(~has, False))
    return pa.ListArray.from_arrays(marked, pa.array(users.queries.ravel()))
