"""Sequences continued item by item, for a batch of users at once.

    step 1    7 12 31        the model's query of the sequence: the best item that may be added is 5
    step 2    7 12 31 5      the query of the longer sequence: 40
    step 3    7 12 31 5 40   …

A step encodes all sequences of the batch anew, scores the items, and adds one item to each sequence (see `next_items`), after its
end or before its start. An item that was added is never added again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.next_items import GREEDY, Choice, Picked, Scorer, Step, Weights, pick
from seqrec.serving.topk import Items, Scores


@dataclass(frozen=True, kw_only=True)
class Start:
    """N sequences of item indices, the items that may not be added to each, and the hashes (N,) of their users.

    `queries` (N, D) are those of the sequences, for the item after them, where they are computed already.
    """

    sequences: Ragged
    hidden: Ragged
    hashes: NDArray[np.int64]
    queries: Scores | None = None


@dataclass(frozen=True, kw_only=True)
class Additions:
    """Items (N, n) added to N sequences, in the order in which they were chosen, with their scores and log-probabilities.

    The item is NONE where none was left. Log-probabilities are nan where they weren't asked for.
    """

    items: Items
    scores: Scores
    log_probabilities: Weights


def extend_sequences(
    start: Start,
    before: Sequence[bool],
    *,
    scorer: Scorer,
    choice: Choice = GREEDY,
    rng: np.random.Generator | None = None,
    weigh: bool = False,
) -> Additions:
    """Add an item to each sequence for each flag of `before`: before its start where the flag is set, else after its end.

    `rng` draws what is sampled. With `weigh` the log-probabilities are computed, at the cost of a second product of queries and
    items.
    """
    grown, users = _Grown.of(start), len(start.sequences)
    for number, is_before in enumerate(before if len(scorer.catalogue.items) else ()):
        ready = start.queries if number == 0 and not is_before else None
        queries = scorer.queries(grown.sequences, grown.hashes, is_before) if ready is None else ready
        totals = grown.log_probabilities.sum(axis=1)
        step = Step(queries=queries, hidden=grown.hidden, totals=totals, users=users, weigh=weigh)
        grown = grown.with_items(pick(step, scorer, choice, rng), first=is_before)
    best = slice(None, None, max(1, len(grown.sequences) // max(1, users)))  # the first beam of each sequence
    return Additions(items=grown.items[best], scores=grown.scores[best], log_probabilities=grown.log_probabilities[best])


@dataclass(frozen=True, kw_only=True)
class _Grown:
    """R sequences on their way: with beams, those of a user follow one another, the best one first."""

    sequences: Ragged
    hidden: Ragged
    hashes: NDArray[np.int64]
    items: Items  # (R, t)
    scores: Scores  # (R, t)
    log_probabilities: Weights  # (R, t)

    @classmethod
    def of(cls, start: Start) -> "_Grown":
        none = np.zeros((len(start.sequences), 0))
        return cls(
            sequences=start.sequences,
            hidden=start.hidden,
            hashes=start.hashes,
            items=none.astype(np.int64),
            scores=none,
            log_probabilities=none,
        )

    def with_items(self, picked: Picked, *, first: bool) -> "_Grown":
        """Each picked item added to its sequence."""
        parents = picked.parents

        def beside(columns: NDArray[Any], column: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([columns[parents], column[:, None]], axis=1)

        return _Grown(
            sequences=self.sequences.take(parents).with_one_more(picked.items, first=first),
            hidden=self.hidden.take(parents).with_one_more(picked.items),
            hashes=self.hashes[parents],
            items=beside(self.items, picked.items),
            scores=beside(self.scores, picked.scores),
            log_probabilities=beside(self.log_probabilities, picked.log_probabilities),
        )
