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

from seqrec.reranking.candidates import Candidates
from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.likeness import Likeness, all_pairs
from seqrec.reranking.limits import CapLimit, Wanted, users_within
from seqrec.reranking.rules import Rules

NOWHERE = -1  # fills up a list that is shorter than the others
FLOATS = 2**23  # of the candidates, or of a cap, of the users that go through together: 32 MB
NEAR = 2**19  # of their vectors, or of the products of all pairs: 2 MB, which stay near the processor until all places are filled

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Order:
    """Lists of N users: which candidate is at each place (N, K), NOWHERE behind the last, and the final scores, which fall."""

    chosen: Integers
    scores: NDArray[np.float32]


def rerank(candidates: Candidates, rules: Rules, values: ItemValues, *, top_k: int) -> Order:
    """The lists of N users under the rules; a list is shorter than K if the rules leave no more of the candidates."""
    users, pool = candidates.scores.shape
    width = min(top_k, pool)
    ruled = min(width, rules.places or width)
    step = _users_together(candidates, rules, values, places=ruled)
    chosen, reached = np.full((users, width), NOWHERE), np.full((users, width), -np.inf)
    for first in range(0, users, step):
        part = slice(first, first + step)
        _rerank(candidates.part(part), rules, values, ruled, chosen[part], reached[part])
    return Order(chosen, falling(reached))


def _users_together(candidates: Candidates, rules: Rules, values: ItemValues, *, places: int) -> int:
    """How many users go through together, at least 1."""
    pool = max(1, candidates.scores.shape[1])
    together = [FLOATS // pool, *(users_within(cap, pool=pool, floats=FLOATS) for cap in values.caps)]
    if rules.mmr_lambda is not None:
        widest = max(candidates.vectors.shape[1], pool if all_pairs(pool=pool, places=places) else 0)
        together.append(NEAR // max(1, pool * widest))
    return max(1, min(together))


def _rerank(candidates: Candidates, rules: Rules, values: ItemValues, ruled: int, chosen: Integers, reached: Floats) -> None:
    """Fill the lists (N, K) of users that fit into memory together, whose first R places are ruled, and their values."""
    width = chosen.shape[1]
    utility = utilities(candidates, rules, values)
    limits = [CapLimit.of(cap, numbers, candidates.rows) for cap, numbers in zip(rules.caps, values.caps, strict=True)]
    quotas = Wanted.of(rules.quotas, [marks[candidates.rows] for marks in values.quotas], np.isfinite(utility))
    alike = None if rules.mmr_lambda is None else Likeness.of(candidates, rules.mmr_lambda, places=ruled)
    share = 1.0 if rules.mmr_lambda is None else rules.mmr_lambda
    values_of = np.where(candidates.fillers | ~np.isfinite(utility), utility, share * np.where(np.isfinite(utility), utility, 0))
    chooser = _Chooser(values_of, limits, quotas, alike)
    for place in range(ruled):
        chosen[:, place], reached[:, place] = chooser.take(left=ruled - place)
    _sort_places(chosen[:, :ruled], reached[:, :ruled])
    if ruled < width:
        _append(chosen, reached, ~chooser.taken, utility, ruled=ruled)


def utilities(candidates: Candidates, rules: Rules, values: ItemValues) -> Floats:
    """The utility (N, P) of each candidate, -inf where there is none; a filler's is below those of all others."""
    scores = candidates.scores.astype(np.float64)
    there = np.isfinite(scores) & ~candidates.fillers
    utility = relevance(scores, there) + values.boost[candidates.rows] if rules.is_scored_anew else scores
    utility = np.where(there, utility, -np.inf)
    least = np.where(there, utility, 0.0).min(axis=1, initial=0.0)  # a value is at least this - 1
    behind = least[:, None] - 1 - np.cumsum(candidates.fillers, axis=1)
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
    scores = values.T.astype(np.float32, order="C")  # (K, N)
    for place in range(1, len(scores)):
        below = np.nextafter(scores[place - 1], np.float32(-np.inf))
        np.minimum(scores[place], below, out=scores[place])
    return np.ascontiguousarray(scores.T)


@dataclass
class _Chooser:
    """N users' candidates, of which one after another is taken, and the value (N, P) of each; -inf if it can't be taken."""

    values: Floats
    limits: Sequence[CapLimit]
    quotas: Wanted
    alike: Likeness | None
    base: Floats = field(init=False)  # (N, P): the values before anything was taken
    taken: Marks = field(init=False)  # (N, P)

    def __post_init__(self) -> None:
        self.base, self.taken = self.values.copy(), np.zeros(self.values.shape, bool)

    def take(self, *, left: int) -> tuple[Integers, Floats]:
        """The next candidate (N,) of each user, NOWHERE if the rules leave none, and its value, with so many places left."""
        values = self.values
        if len(self.quotas.marks):
            needed = self.quotas.needed(left) & np.isfinite(values)
            values = np.where(needed | ~needed.any(axis=1, keepdims=True), values, -np.inf)
        chosen = values.argmax(axis=1)
        reached = values[np.arange(len(values)), chosen]
        users = np.flatnonzero(np.isfinite(reached))
        self.taken[users, chosen[users]] = True
        if left > 1:
            self._note(users, chosen)
        return np.where(np.isfinite(reached), chosen, NOWHERE), reached

    def _note(self, users: Integers, chosen: Integers) -> None:
        """What the chosen candidates (N,) of some users (U,) change; the other users have none left, whose values stay -inf."""
        self.values[users, chosen[users]] = -np.inf
        if self.alike is not None:  # the greatest similarity makes the least value
            np.minimum(self.values, self.base - self.alike.to(chosen), out=self.values)
        for limit in self.limits:
            limit.note(users, chosen[users], self.values)
        if len(self.quotas.marks):
            self.quotas.note(users, chosen[users])


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
