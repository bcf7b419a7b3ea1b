"""seqrec.planted against the whole matrix, in loops."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from numpy.random import default_rng

from seqrec.planted import TOP, Chain, best_lists, gains, plant, topics, walk


def chances_after(chain: Chain, past: list[int]) -> list[float]:
    """P(j | past) for every item, from its definition."""
    row = []
    for item in range(len(chain.popularity)):
        chance = chain.noise * chain.popularity[item]
        for slot, successor in enumerate(chain.successors[past[-1]]):
            if successor == item:
                chance += (1 - chain.noise) * chain.steps[slot]
        row.append(0.0 if item in past else float(chance))
    return [chance / sum(row) for chance in row]


def expected_ndcg(order: tuple[int, ...], chances: list[float]) -> float:
    return sum(chances[item] / math.log2(2 + place) for place, item in enumerate(order[:TOP]))


@pytest.fixture(scope="module")
def chain() -> Chain:
    return plant(items=20, successors=3, noise=0.2, seed=1)


def test_a_chain_has_distinct_successors_in_the_topic_and_its_likeliest_form_a_cycle() -> None:
    chain = plant(items=130, successors=5, seed=3)
    for topic in topics(130):
        for item in topic:
            row = chain.successors[item].tolist()
            assert len(set(row)) == 5
            assert item not in row
            assert set(row) <= set(topic.tolist())
        visited, item = [], int(topic[0])
        while item not in visited:
            visited.append(item)
            item = int(chain.successors[item, 0])
        assert sorted(visited) == topic.tolist()
    assert chain.steps.sum() == pytest.approx(1)
    assert chain.popularity.sum() == pytest.approx(1)


def test_the_best_lists_are_the_likeliest_unseen_items_of_the_whole_catalogue(chain: Chain) -> None:
    lengths = default_rng(0).integers(2, 10, 200)
    paths = walk(chain, lengths, default_rng(1))
    lists, chances = best_lists(chain, paths, lengths - 1)
    for user, length in enumerate(lengths):
        past = paths[user, : length - 1].tolist()
        row = chances_after(chain, past)
        best = sorted(range(20), key=lambda item: -row[item])[:TOP]
        assert lists[user].tolist() == best
        assert chances[user].tolist() == pytest.approx([row[item] for item in best])


def test_no_order_of_the_items_is_expected_to_do_better() -> None:
    chain = plant(items=7, successors=2, noise=0.3, seed=2)
    paths = np.array([[4, 0, -1], [2, 5, 1]])
    lengths = np.array([1, 2])
    lists, _ = best_lists(chain, paths, lengths)
    for user, length in enumerate(lengths):
        past = paths[user, :length].tolist()
        row = chances_after(chain, past)
        best = max(expected_ndcg(order, row) for order in itertools.permutations(set(range(7)) - set(past)))
        assert expected_ndcg(tuple(item for item in lists[user].tolist() if item >= 0), row) == pytest.approx(best)


def test_gains_sum_the_expected_and_the_drawn_ndcg() -> None:
    chain = plant(items=7, successors=2, noise=0.3, seed=2)
    paths = np.array([[4, 0], [2, 5]])
    lists, _ = best_lists(chain, paths, np.array([1, 1]))
    orders = [tuple(item for item in row if item >= 0) for row in lists.tolist()]
    expected = sum(expected_ndcg(orders[user], chances_after(chain, [first])) for user, first in enumerate([4, 2]))
    drawn = 1 / math.log2(2 + orders[0].index(0)) + 1 / math.log2(2 + orders[1].index(5))
    assert gains(chain, paths, np.array([1, 1])).tolist() == pytest.approx([expected, drawn])


def test_users_walk_by_the_chances_and_have_nothing_twice(chain: Chain) -> None:
    paths = walk(chain, np.full(60_000, 3), default_rng(4))
    assert all(len(set(path)) == 3 for path in paths.tolist())
    (first, second), often = Counter(map(tuple, paths[:, :2].tolist())).most_common(1)[0]
    chosen = paths[(paths[:, 0] == first) & (paths[:, 1] == second), 2]
    found = np.bincount(chosen, minlength=20) / often
    row = np.array(chances_after(chain, [first, second]))
    assert often > 1000
    assert np.abs(found - row).max() < 4 * math.sqrt(0.25 / often)


def test_short_walks_are_filled_up(chain: Chain) -> None:
    paths = walk(chain, np.array([1, 4, 2]), default_rng(5))
    assert (paths >= 0).sum(axis=1).tolist() == [1, 4, 2]
    assert paths[0, 1:].tolist() == [-1, -1, -1]
