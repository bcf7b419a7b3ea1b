"""Exact top-K and ranks against naive double loops."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.topk import BlockSizes, Catalogue, rank_targets, top_k

Floats = NDArray[np.floating[Any]]
Problem = tuple[Floats, Floats, list[list[int]]]


def naive_top_k(scores: Floats, k: int, seen: set[int], available: set[int]) -> list[int]:
    left = [item for item in sorted(available) if item not in seen]
    return sorted(left, key=lambda item: (-scores[item], item))[:k]


def naive_ranks(scores: Floats, targets: list[int], seen: set[int]) -> list[int]:
    listed = [item for item in range(2, len(scores)) if item in targets or item not in seen]
    return [1 + sum(bool(scores[item] >= scores[target]) for item in listed if item != target) for target in targets]


@pytest.fixture
def problem() -> Problem:
    """Small whole numbers, so that products are exact and ties abound."""
    random = np.random.default_rng(7)
    queries = random.integers(-2, 3, (23, 3)).astype(np.float32)
    matrix = random.integers(-2, 3, (42, 3)).astype(np.float32)
    seen = [random.choice(np.arange(2, 42), size, replace=False).tolist() for size in random.integers(0, 39, 23)]
    return queries, matrix, seen


@pytest.mark.parametrize("block_items", [1, 7, 100])
@pytest.mark.parametrize("batch_users", [1, 10, 64])
@pytest.mark.parametrize("k", [1, 5, 60])
def test_top_k_is_the_naive_one(problem: Problem, k: int, batch_users: int, block_items: int) -> None:
    queries, matrix, seen = problem
    available = np.arange(42) % 5 != 0
    allowed = set(np.flatnonzero(available)) - {0, 1}
    items, scores = top_k(
        queries,
        Catalogue.of(matrix, available),
        k=k,
        seen=Ragged.of(seen),
        sizes=BlockSizes(users=batch_users, items=block_items),
    )
    for row, query in enumerate(queries):
        expected = naive_top_k(matrix @ query, k, set(seen[row]), allowed)
        assert items[row].tolist() == expected + [-1] * (k - len(expected))
        assert scores[row].tolist() == [*(matrix @ query)[expected], *[-np.inf] * (k - len(expected))]


@pytest.mark.parametrize("most", [1, 30])
@pytest.mark.parametrize("block_items", [1, 7, 100])
def test_ranks_are_the_naive_ones(problem: Problem, block_items: int, most: int) -> None:
    """Some targets were had before; a query has up to `most` of them."""
    queries, matrix, seen = problem
    draw = np.random.default_rng(8)
    targets = [draw.choice(np.arange(2, 42), size, replace=False).tolist() for size in draw.integers(1, most + 1, 23)]
    sizes = BlockSizes(users=10, items=block_items)
    ranks = rank_targets(queries, matrix, Ragged.of(seen), Ragged.of(targets), sizes=sizes)
    naive = (naive_ranks(matrix @ q, t, set(s)) for q, t, s in zip(queries, targets, seen, strict=True))
    assert ranks.tolist() == [rank for of_query in naive for rank in of_query]


def test_a_target_that_was_seen_still_has_its_rank() -> None:
    matrix = np.array([[0], [0], [3], [2], [1]], np.float32)
    ranks = rank_targets(np.ones((1, 1), np.float32), matrix, Ragged.of([[2, 3]]), Ragged.of([[3]]))
    assert ranks.tolist() == [1]


def test_an_unknown_target_ranks_behind_all_and_an_unknown_seen_item_hides_nothing() -> None:
    matrix = np.array([[0], [0], [3], [2], [1]], np.float32)
    ranks = rank_targets(np.ones((2, 1), np.float32), matrix, Ragged.of([[9], [9]]), Ragged.of([[7], [4, 8]]))
    assert ranks.tolist() == [4, 3, 4]


def test_scores_that_are_not_finite_raise() -> None:
    matrix = np.array([[0], [0], [3], [np.nan], [1]], np.float32)
    with pytest.raises(ValueError, match="not finite"):
        top_k(np.ones((1, 1), np.float32), Catalogue.of(matrix), k=2, seen=Ragged.of([[]]))
    with pytest.raises(ValueError, match="not finite"):
        rank_targets(np.full((1, 1), np.inf, np.float32), np.ones((4, 1), np.float32), Ragged.of([[]]), Ragged.of([[2]]))


def test_scores_do_not_depend_on_the_company() -> None:
    random = np.random.default_rng(3)
    queries = random.standard_normal((300, 64)).astype(np.float32)
    catalogue = Catalogue.of(random.standard_normal((1000, 64)).astype(np.float32))
    seen = Ragged.of([[] for _ in range(300)])
    items, scores = top_k(queries, catalogue, k=20, seen=seen)
    order = random.permutation(300)
    shuffled_items, shuffled_scores = top_k(queries[order], catalogue, k=20, seen=seen)
    alone = [top_k(queries[row : row + 1], catalogue, k=20, seen=Ragged.of([[]])) for row in range(0, 300, 37)]
    assert np.array_equal(shuffled_items, items[order])
    assert np.array_equal(shuffled_scores, scores[order])
    assert np.array_equal(np.concatenate([scored for _, scored in alone]), scores[::37])


def test_no_queries_no_rows() -> None:
    items, _ = top_k(np.zeros((0, 2), np.float32), Catalogue.of(np.ones((4, 2), np.float32)), k=3, seen=Ragged.of([]))
    assert items.shape == (0, 3)


def test_no_candidates_no_items() -> None:
    catalogue = Catalogue.of(np.ones((4, 2), np.float32), np.zeros(4, bool))
    items, _ = top_k(np.ones((1, 2), np.float32), catalogue, k=3, seen=Ragged.of([[]]))
    assert items.tolist() == [[-1, -1, -1]]
