"""Exact top-K and exact ranks over a catalogue in blocks.

A user's scores depend neither on who else is in the batch nor on the number of partitions: see `product`. A batch of one user is
filled up to two rows, unless batches are of one user. Memory is users * items of `BlockSizes`, in floats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqrec.indices import FIRST_ITEM
from seqrec.ragged import Ragged
from seqrec.serving.product import product

NONE = -1  # fills up a list that has fewer than K items

Scores = NDArray[np.floating[Any]]
Items = NDArray[np.int64]
Lists = tuple[Items, Scores]


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """How many users, and how many items of the catalogue, are multiplied at a time."""

    users: int = 256
    items: int = 16384


DEFAULT_SIZES = BlockSizes()


@dataclass(frozen=True)
class Catalogue:
    """Candidates: `items` (N,) are ascending rows of `matrix` (V + 2, D); `positions` (V + 2,) are theirs in `items`, else -1."""

    matrix: Scores
    items: Items
    positions: Items

    @classmethod
    def of(cls, matrix: Scores, available: NDArray[np.bool_] | None = None) -> "Catalogue":
        """The items 2 to V + 1 of the matrix, or those of them that are marked in `available` (V + 2,)."""
        items = np.arange(FIRST_ITEM, len(matrix)) if available is None else np.flatnonzero(available)
        items = items[items >= FIRST_ITEM]
        positions = np.full(len(matrix), NONE)
        positions[items] = np.arange(len(items))
        return cls(matrix, items, positions)

    def rows(self, start: int, stop: int) -> Scores:
        """The matrix's rows of candidates start to stop: a view where they are contiguous, else a copy."""
        block = self.items[start:stop]
        contiguous = block[-1] - block[0] == len(block) - 1
        return self.matrix[block[0] : block[-1] + 1] if contiguous else self.matrix[block]


def top_k(
    queries: Scores, catalogue: Catalogue, *, k: int, seen: Ragged, sizes: BlockSizes = DEFAULT_SIZES
) -> tuple[Items, Scores]:
    """The K best candidates of each query that are not in its `seen`: item indices and scores, both (Q, K), best first.

    Ties go to the lower index. Where fewer than K are left, the row ends in -1 with score -inf. Raises ValueError if a score
    is not finite.

    >>> matrix = np.array([[0.0], [0.0], [1.0], [3.0], [2.0]], dtype=np.float32)
    >>> items, scores = top_k(np.ones((1, 1), np.float32), Catalogue.of(matrix), k=3, seen=Ragged.of([[3]]))
    >>> items.tolist(), scores.tolist()
    ([[4, 2, -1]], [[2.0, 1.0, -inf]])
    """
    items = np.full((len(queries), k), NONE)
    best = np.full((len(queries), k), -np.inf, dtype=queries.dtype)
    for first in range(0, len(queries), sizes.users):
        batch = slice(first, first + sizes.users)
        hidden = _seen_positions(catalogue, seen.take(np.arange(len(queries))[batch]))
        for start, scores in _blocks(queries[batch], catalogue, sizes):
            _hide(scores, start, *hidden)
            rows, columns = _better(scores, best[batch, -1], k)
            _merge(items[batch], best[batch], rows, catalogue.items[start + columns], scores[rows, columns])
    return items, best


def all_scores(queries: Scores, catalogue: Catalogue, *, seen: Ragged, sizes: BlockSizes = DEFAULT_SIZES) -> Scores:
    """The scores (Q, N) of all candidates, in their order; -inf for those in the query's `seen`.

    Memory isn't bounded by the sizes: for a few queries. Raises ValueError if a score is not finite.

    >>> matrix = np.array([[0.0], [0.0], [1.0], [3.0], [2.0]], dtype=np.float32)
    >>> all_scores(np.ones((1, 1), np.float32), Catalogue.of(matrix), seen=Ragged.of([[3]])).tolist()
    [[1.0, -inf, 2.0]]
    """
    every = np.full((len(queries), len(catalogue.items)), -np.inf, dtype=queries.dtype)
    for first in range(0, len(queries), sizes.users):
        batch = slice(first, first + sizes.users)
        for start, scores in _blocks(queries[batch], catalogue, sizes):
            every[batch, start : start + scores.shape[1]] = scores
        _hide(every[batch], 0, *_seen_positions(catalogue, seen.take(np.arange(len(queries))[batch])))
    return every


def rank_targets(queries: Scores, matrix: Scores, seen: Ragged, targets: Ragged, *, sizes: BlockSizes = DEFAULT_SIZES) -> Items:
    """The rank, from 1, of each target (T,) of the queries (Q lists) among items 2 to V + 1 without the query's seen items.

    A query's targets are distinct, and none of them is left out as seen. Ties count against a target, those with other targets
    too. A target that the matrix doesn't have gets rank V + 1, behind all. Raises ValueError if a score is not finite.

    >>> matrix = np.array([[0.0], [0.0], [1.0], [3.0], [1.0], [2.0]], dtype=np.float32)
    >>> rank_targets(np.ones((2, 1), np.float32), matrix, Ragged.of([[3], []]), Ragged.of([[2, 5], [5]])).tolist()
    [3, 1, 2]
    """
    catalogue, rows = Catalogue.of(matrix), targets.rows
    ranks = np.full(len(rows), len(matrix) - FIRST_ITEM + 1)
    known = np.flatnonzero(targets.values < len(matrix))
    for first in range(0, len(queries), sizes.users):
        batch = np.arange(len(queries))[first : first + sizes.users]
        of_batch = known[(rows[known] >= first) & (rows[known] < first + len(batch))]
        pairs = _Pairs(rows[of_batch] - first, catalogue.positions[targets.values[of_batch]])
        hidden = _seen_positions(catalogue, seen.take(batch))
        scores_of = np.full(len(of_batch), -np.inf, dtype=queries.dtype)
        for start, scores in _blocks(queries[batch], catalogue, sizes):
            here = pairs.inside(start, scores.shape[1])
            scores_of[here] = scores[pairs.rows[here], pairs.positions[here] - start]
        ranks[of_batch] = 0
        for start, scores in _blocks(queries[batch], catalogue, sizes):
            here = pairs.inside(start, scores.shape[1])
            _hide(scores, start, *hidden)
            scores[pairs.rows[here], pairs.positions[here] - start] = scores_of[here]
            ranks[of_batch] += _at_least(scores, pairs.rows, scores_of)
    return ranks


@dataclass(frozen=True)
class _Pairs:
    """Targets of a batch of queries: the query's row, and the target's position among the candidates."""

    rows: Items
    positions: Items

    def inside(self, start: int, length: int) -> Items:
        """Which of them are in a block of candidates."""
        return np.flatnonzero((self.positions >= start) & (self.positions < start + length))


def _at_least(scores: Scores, rows: Items, floors: Scores) -> Items:
    """How many scores of the rows (T,) of (Q, V) are at least the floors (T,), Q rows at a time."""
    counts = np.zeros(len(rows), dtype=np.int64)
    for first in range(0, len(rows), len(scores)):
        part = slice(first, first + len(scores))
        all_once = np.array_equal(rows[part], np.arange(len(scores)))  # one target a query: nothing is copied
        block = scores if all_once else scores[rows[part]]
        counts[part] = np.count_nonzero(block >= floors[part, None], axis=1)
    return counts


def _blocks(queries: Scores, catalogue: Catalogue, sizes: BlockSizes) -> Iterator[tuple[int, Scores]]:
    """The first candidate and the scores (Q, block) of each block."""
    batch = np.repeat(queries, 2, axis=0) if len(queries) == 1 and sizes.users > 1 else queries
    multiply = product if queries.dtype == np.float32 else _multiply  # counts as scores: exact in any order
    for start in range(0, len(catalogue.items), sizes.items) if len(queries) else ():
        scores = multiply(batch, catalogue.rows(start, start + sizes.items))[: len(queries)]  # (Q, D) · (block, D) -> (Q, block)
        if not (np.isfinite(scores.min()) and np.isfinite(scores.max())):
            raise ValueError("a score is not finite: the model or its item matrix is broken; train and export it again")
        yield start, scores


def _multiply(queries: Scores, rows: Scores) -> Scores:
    """The product by numpy, of counts in double precision."""
    scores: Scores = queries @ rows.T
    return scores


def _seen_positions(catalogue: Catalogue, seen: Ragged) -> tuple[Items, Items]:
    """Row and candidate position of each seen item; items that are no candidates, or not in the matrix, are left out."""
    seen = seen.where((seen.values >= 0) & (seen.values < len(catalogue.positions)))
    positions = catalogue.positions[seen.values]
    return seen.rows[positions >= 0], positions[positions >= 0]


def _hide(scores: Scores, start: int, rows: Items, positions: Items) -> None:
    """Set the scores at the given rows and candidate positions to -inf, where they are in this block."""
    here = (positions >= start) & (positions < start + scores.shape[1])
    scores[rows[here], positions[here] - start] = -np.inf


def _better(scores: Scores, floor: Scores, k: int) -> tuple[Items, Items]:
    """Rows and columns, in order, of the scores above the row's floor (Q,): at most the K best of a row, ties by column."""
    chosen = scores > floor[:, None]
    crowded = np.flatnonzero(np.count_nonzero(chosen, axis=1) > k)
    if len(crowded):
        among = scores if len(crowded) == len(scores) else scores[crowded]
        least = np.partition(among, -k, axis=1)[:, -k, None]
        marks = among >= least
        for row in np.flatnonzero(np.count_nonzero(marks, axis=1) > k):
            tied = np.flatnonzero(among[row] == least[row])
            room = k - np.count_nonzero(among[row] > least[row])
            marks[row, tied[room:]] = False
        chosen[crowded] = marks
    rows, columns = np.divmod(np.flatnonzero(chosen), scores.shape[1])
    return rows, columns


def _merge(items: Items, best: Scores, rows: Items, new_items: Items, new_scores: Scores) -> None:
    """Merge new items, ordered by row and index, into the lists (Q, K); their indices are all above those in the lists."""
    if not len(rows):
        return
    counts = np.bincount(rows, minlength=len(items))
    columns = items.shape[1] + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = items.shape[1] + counts.max()
    both_items = np.full((len(items), width), NONE)
    both_scores = np.full((len(items), width), -np.inf, dtype=best.dtype)
    both_items[:, : items.shape[1]], both_scores[:, : items.shape[1]] = items, best
    both_items[rows, columns], both_scores[rows, columns] = new_items, new_scores
    order = np.argsort(-both_scores, axis=1, kind="stable")[:, : items.shape[1]]
    items[:] = np.take_along_axis(both_items, order, axis=1)
    best[:] = np.take_along_axis(both_scores, order, axis=1)
