"""The order of lists under rules: one item after another, each the best of those that the rules still leave.

    utility  = relevance + boosts                relevance: the model's scores of a user's candidates, from 0 to 1
    value    = λ utility - (1 - λ) similarity    similarity: the greatest cosine to an item chosen before, at least 0

That is maximal marginal relevance (Carbonell & Goldstein 1998, https://doi.org/10.1145/290941.291025), of which caps and quotas
leave out some candidates at each place. Without λ the value is the utility; without boosts, too, it is the model's score itself.
A user's list depends on the user's candidates alone, ties go to the one that the model has first. Cost: places * candidates *
(dimension of the vectors) multiplications a user; users go through together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.limits import CapLimit, Wanted
from seqrec.reranking.rules import Rules

NOWHERE = -1  # fills up a list that is shorter than the others
FLOATS = 2**23  # of the vectors of the users that go through together: 64 MB

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The candidates of N users, P each, the model's best first; those that aren't there have the score -inf, and come last.

    `rows` (N, P) are those of `ItemValues`. `vectors` has the vectors of items (…, D), and `items` (N, P) say which row of them
    is whose, -1 for an item without one. `fillers` (N, P) are popular items, which come behind all others.
    """

    scores: NDArray[np.float32]
    rows: Integers
    items: Integers
    vectors: NDArray[np.float32]
    fillers: Marks

    def part(self, users: slice) -> "Candidates":
        """The candidates of some users."""
        return Candidates(
            scores=self.scores[users],
            rows=self.rows[users],
            items=self.items[users],
            vectors=self.vectors,
            fillers=self.fillers[users],
        )


@dataclass(frozen=True)
class Order:
    """Lists of N users: which candidate is at each place (N, K), NOWHERE behind the last, and the final scores, which fall."""

    chosen: Integers
    scores: NDArray[np.float32]


def rerank(candidates: Candidates, rules: Rules, values: ItemValues, *, top_k: int) -> Order:
    """The lists of N users under the rules; a list is shorter than K if the rules leave no more of the candidates."""
    users, pool = candidates.scores.shape
    width = min(top_k, pool)
    dimension = candidates.vectors.shape[1] if rules.mmr_lambda is not None else 1
    step = max(1, FLOATS // max(1, pool * dimension))
    chosen, scores = np.full((users, width), NOWHERE), np.full((users, width), -np.inf, np.float32)
    for first in range(0, users, step):
        part = slice(first, first + step)
        chosen[part], scores[part] = _rerank(candidates.part(part), rules, values, width)
    return Order(chosen, scores)


def _rerank(candidates: Candidates, rules: Rules, values: ItemValues, width: int) -> tuple[Integers, NDArray[np.float32]]:
    """The lists of users that fit into memory together."""
    utility = utilities(candidates, rules, values)
    limits = [CapLimit.of(cap, numbers, candidates.rows) for cap, numbers in zip(rules.caps, values.caps, strict=True)]
    ruled = min(width, rules.places or width)
    quotas = Wanted.of(rules.quotas, [marks[candidates.rows] for marks in values.quotas], np.isfinite(utility))
    chooser = _Chooser(utility, candidates, rules, limits, quotas)
    chosen, reached = np.full((len(utility), width), NOWHERE), np.full((len(utility), width), -np.inf)
    for place in range(ruled):
        chosen[:, place], reached[:, place] = chooser.take(left=ruled - place)
    _sort_places(chosen[:, :ruled], reached[:, :ruled])
    if ruled < width:
        _append(chosen, reached, chooser.free, utility, ruled=ruled)
    return chosen, falling(reached)


def utilities(candidates: Candidates, rules: Rules, values: ItemValues) -> Floats:
    """The utility (N, P) of each candidate, -inf where there is none; a filler's is below those of all others."""
    scores = candidates.scores.astype(np.float64)
    there = np.isfinite(scores) & ~candidates.fillers
    utility = relevance(scores, there) + values.boost[candidates.rows] if rules.is_scored_anew else scores
    utility = np.where(there, utility, -np.inf)
    least = np.where(there, utility, 0.0).min(axis=1, initial=0.0)  # a value is at least this - 1
    behind = least[:, None] - 2 - np.arange(scores.shape[1])
    return np.where(candidates.fillers, behind, utility)


def relevance(scores: Floats, there: Marks) -> Floats:
    """The scores (N, P) of each user from 0, the least of those that are there, to 1, the greatest; 1 if they are equal.

    >>> relevance(np.array([[4.0, 3.0, 2.0], [7.0, 7.0, -np.inf]]), np.array([[True] * 3, [True, True, False]])).tolist()
    [[1.0, 0.5, 0.0], [1.0, 1.0, 0.0]]
    """
    greatest = np.where(there, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    least = np.where(there, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    spread = np.subtract(greatest, least, where=greatest > least, out=np.ones_like(greatest))
    below = np.where(there, greatest, 0.0) - np.where(there, scores, 0.0)
    shares: Floats = np.where(there, 1 - below / spread, 0.0)
    return shares


def falling(values: Floats) -> NDArray[np.float32]:
    """Values (N, K) in single precision, each at most the greatest number below the one before it.

    So the order of a list is that of its scores, though a rule has put an item behind others of less value.

    >>> falling(np.array([[0.5, 0.75, 0.25, -np.inf]])).tolist()
    [[0.5, 0.4999999701976776, 0.25, -inf]]
    """
    scores = values.astype(np.float32)
    for place in range(1, scores.shape[1]):
        below = np.nextafter(scores[:, place - 1], np.float32(-np.inf))
        there = scores[:, place] > -np.inf
        scores[there, place] = np.minimum(scores[:, place], below)[there]
    return scores


@dataclass
class _Chooser:
    """The candidates of N users, of which one after another is taken."""

    utility: Floats
    candidates: Candidates
    rules: Rules
    limits: Sequence[CapLimit]
    quotas: Wanted
    free: Marks = field(init=False)  # (N, P): not yet taken
    similarity: Floats = field(init=False)  # (N, P): the greatest one to a taken item, at least 0
    directions: NDArray[np.float32] | None = field(init=False)  # (N, P, D)

    def __post_init__(self) -> None:
        self.free, self.similarity = np.isfinite(self.utility), np.zeros(self.utility.shape)
        self.directions = None if self.rules.mmr_lambda is None else directions(self.candidates)

    def take(self, *, left: int) -> tuple[Integers, Floats]:
        """The next candidate (N,) of each user, NOWHERE if the rules leave none, and its value, with so many places left."""
        allowed = self.free.copy()
        for limit in self.limits:
            allowed &= ~limit.full
        values = self.utility
        if self.rules.mmr_lambda is not None:
            share = self.rules.mmr_lambda
            values = np.where(self.candidates.fillers, values, share * values - (1 - share) * self.similarity)
        if len(self.quotas.marks):
            needed = allowed & self.quotas.needed(left)
            allowed = np.where(needed.any(axis=1, keepdims=True), needed, allowed)
        values = np.where(allowed, values, -np.inf)
        chosen = values.argmax(axis=1)
        reached = values[np.arange(len(values)), chosen]
        users = np.flatnonzero(np.isfinite(reached))
        self._note(users, chosen[users])
        return np.where(np.isfinite(reached), chosen, NOWHERE), reached

    def _note(self, users: Integers, chosen: Integers) -> None:
        """Take the chosen candidates (U,) of some users."""
        self.free[users, chosen] = False
        for limit in self.limits:
            limit.note(users, chosen)
        self.quotas.note(users, chosen)
        if self.directions is not None:
            latest = np.zeros((len(self.free), self.directions.shape[2], 1), np.float32)
            latest[users, :, 0] = self.directions[users, chosen]
            cosines = np.matmul(self.directions, latest)[:, :, 0]  # (N, P, D) @ (N, D, 1) -> (N, P)
            np.maximum(self.similarity, cosines, out=self.similarity)


def directions(candidates: Candidates) -> NDArray[np.float32]:
    """The candidates' vectors (N, P, D) at length 1; zeros for an item without one, which is like no other."""
    known = candidates.items >= 0
    rows = candidates.vectors[np.where(known, candidates.items, 0)] * known[:, :, None]
    norms = np.linalg.norm(rows, axis=2, keepdims=True)
    lengths: NDArray[np.float32] = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
    return lengths


def _sort_places(chosen: Integers, reached: Floats) -> None:
    """Put the chosen candidates (N, K) in the order of their values: one that a quota wanted may stand before others."""
    order = np.argsort(-reached, axis=1, kind="stable")
    chosen[:], reached[:] = np.take_along_axis(chosen, order, axis=1), np.take_along_axis(reached, order, axis=1)


def _append(chosen: Integers, reached: Floats, free: Marks, utility: Floats, *, ruled: int) -> None:
    """Fill lists (N, K), of which the first R places are ruled, up with the candidates that weren't taken, by their utility.

    A list that the rules ended before place R gets none: they would stand in ruled places.
    """
    full = chosen[:, ruled - 1] != NOWHERE
    rest = np.where(free & full[:, None], utility, -np.inf)
    order = np.argsort(-rest, axis=1, kind="stable")[:, : chosen.shape[1] - ruled]
    values = np.take_along_axis(rest, order, axis=1)
    chosen[:, ruled:], reached[:, ruled:] = np.where(np.isfinite(values), order, NOWHERE), values
