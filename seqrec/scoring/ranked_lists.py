"""What Spark's Python workers compute of candidates: rows with features, and lists that a ranker has ranked.

The features of the items are broadcast, so a worker holds them once: 1,000,000 items with 12 numbers each are 80 MB. Those of the
users come with their lists. Rows are made by `candidate_rows` in both functions, for a few hundred users at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from seqrec.ragged import Ragged
from seqrec.scoring.encoded_users import Encoded
from seqrec.scoring.lists import Batches, Chooser, ListTask, listed_entries
from seqrec.serving.candidate_rows import ItemFeatures, candidate_rows, list_lengths, slices
from seqrec.serving.list_rules import replaced_lists
from seqrec.serving.second_stage import RANKER, SecondStage
from seqrec.serving.sorted_ids import SortedIds

HISTORY = ("_items", "_seen", "_user", "_segment")  # columns of a user's history, hash and segment, beside features of any names

Opened = Callable[[], SecondStage]


@dataclass(frozen=True, kw_only=True)
class RankTask:
    """What a task of ranking needs: how to open the second stage, the lists of users without a candidate, and ids to leave out.

    `allow` and `deny` are ids of items, None without such a list. With `excluded`, a user's `seen` has items that the candidates
    may have too.
    """

    opened: Opened
    fallback: ListTask
    allow: SortedIds | None = None
    deny: SortedIds | None = None
    excluded: bool = False


def describe_batches(batches: Batches, *, features: Callable[[], ItemFeatures], sources: Sequence[str]) -> Batches:
    """The rows of candidates with features (see `candidate_rows`), of batches of lists with the columns of their users."""
    items = features()
    for batch in batches:
        for lists in slices(batch):
            yield candidate_rows(lists, items, sources)


def rank_candidate_batches(batches: Batches, *, task: RankTask) -> Batches:
    """user_id, items and source, of batches of user_id, items (candidates), the user's features, and the history.

    The history is in the columns HISTORY: a user without a candidate gets the list that the sequence model gives, or the popular
    one.
    """
    stage, chooser = task.opened(), Chooser.of(task.fallback)
    for batch in batches:
        for users in slices(batch):
            yield _ranked(users, stage, chooser, task)


def _ranked(users: pa.RecordBatch, stage: SecondStage, chooser: Chooser, task: RankTask) -> pa.RecordBatch:
    """The lists of N users."""
    lists = users.select([name for name in users.schema.names if name not in HISTORY])
    hidden = Ragged.of_arrow(users.column(HISTORY[1])) if task.excluded else None
    items = stage.best(lists, chooser.pool, allow=task.allow, deny=task.deny, hidden=hidden)
    sources = np.full(len(items), RANKER, dtype=object)
    without = np.flatnonzero(list_lengths(items) == 0)
    if len(without):
        columns = [users.column(name).take(pa.array(without)) for name in HISTORY]
        others = pa.RecordBatch.from_arrays(columns, names=["items", "seen", "user", "segment"])
        encoded = Encoded.of_batch(chooser.model, others, batch_users=task.fallback.sizes.users)
        items = replaced_lists(items, without, listed_entries(*chooser.best(encoded), chooser.model.ids))
        sources[without] = encoded.sources
    seen, segments = chooser.model.without_unknown(Ragged.of_arrow(users.column("_seen"))), users.column("_segment")
    items = chooser.ruled(items, seen, segments.to_numpy(zero_copy_only=False))
    items = chooser.explained(items, Ragged.of_arrow(users.column(HISTORY[0])), users.column(HISTORY[2]).to_numpy())
    ranked = [users.column("user_id"), items, pa.array(sources, pa.string())]
    return pa.RecordBatch.from_arrays(ranked, names=["user_id", "items", "source"])
