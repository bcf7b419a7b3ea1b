"""seqrec.planted against its definition, in loops; and that it rewards a memory longer than one item."""

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.random import default_rng
from numpy.typing import NDArray

from seqrec import planted
from seqrec.planted import TOP, Chain, best_lists, gains, plant, topics, walk

Scores = Callable[[list[int]], NDArray[np.float64]]


def lag_weights(weights: NDArray[np.float64], past: list[int]) -> list[tuple[int, float]]:
    """The earlier items, newest first, and the probabilities of the lags that the past has."""
    pairs = list(zip(reversed(past), weights.tolist(), strict=False))
    return [(item, weight / sum(weight for _, weight in pairs)) for item, weight in pairs]


def chances_after(chain: Chain, past: list[int]) -> list[float]:
    """P(j | past) for every item, from the definition."""
    pairs, mass = 1 - chain.noise - chain.taste, [0.0] * (chain.topic[-1] + 1)
    for item, topic in enumerate(chain.topic):
        mass[topic] += chain.popularity[item]
    row = [chain.noise * popularity for popularity in chain.popularity]
    for earlier, weight in lag_weights(chain.tastes, past):
        for item, topic in enumerate(chain.topic):
            if topic == chain.topic[earlier]:
                row[item] += chain.taste * weight * chain.popularity[item] / mass[topic]
    for earlier, weight in lag_weights(chain.follows, past):
        for slot, successor in enumerate(chain.successors[earlier]):
            row[successor] += pairs * weight * chain.steps[slot]
    assert sum(row) == pytest.approx(1)
    row = [0.0 if item in past else float(chance) for item, chance in enumerate(row)]
    return [chance / sum(row) for chance in row]


def expected_ndcg(order: tuple[int, ...], chances: list[float]) -> float:
    return sum(chances[item] / math.log2(2 + place) for place, item in enumerate(order[:TOP]))


@pytest.fixture(scope="module")
def chain() -> Chain:
    """20 items in three topics, and users who recall 4 pairs and 6 topics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planted, "TOPIC_SIZE", 6)
        planned = plant(items=20, successors=3, noise=0.2, taste=0.3, seed=1)
    return dataclasses.replace(planned, follows=np.array([0.4, 0.1, 0.3, 0.2]), tastes=np.full(6, 1 / 6))


def test_a_chain_has_distinct_successors_in_the_topic_and_its_likeliest_form_a_cycle() -> None:
    chain = plant(items=130, successors=5, seed=3)
    for number, topic in enumerate(topics(130)):
        assert chain.topic[topic].tolist() == [number] * len(topic)
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
    for chances in (chain.steps, chain.popularity, chain.follows, chain.tastes):
        assert chances.sum() == pytest.approx(1)
    assert chain.follows[0] < 0.2  # most pairs follow at a distance


def test_the_best_lists_are_the_likeliest_unseen_items_of_the_whole_catalogue(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planted, "BLOCK", 20 * 30)  # blocks of 30 users
    lengths = default_rng(0).integers(2, 10, 100)
    paths = walk(chain, lengths, default_rng(1))
    lists, chances = best_lists(chain, paths, lengths - 1)
    for user, length in enumerate(lengths):
        past = paths[user, : length - 1].tolist()
        row = chances_after(chain, past)
        best = sorted(range(20), key=lambda item: -row[item])[:TOP]
        assert lists[user].tolist() == best
        assert chances[user].tolist() == pytest.approx([row[item] for item in best])


def test_the_best_of_many_topics_are_found() -> None:
    chain = plant(items=1500, seed=5)  # 75 topics, of which those of the ten best items are sorted
    lengths = np.full(9, 12)
    paths = walk(chain, lengths, default_rng(1))
    lists, _ = best_lists(chain, paths, lengths)
    for user, path in enumerate(paths.tolist()):
        row = chances_after(chain, path)
        assert lists[user].tolist() == sorted(range(1500), key=lambda item: -row[item])[:TOP]


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
    """At each step, each item is drawn as often as the chances of all users' pasts add up to, and so is each rank."""
    users = 2000
    paths = walk(chain, np.full(users, 6), default_rng(4))
    assert all(len(set(path)) == 6 for path in paths.tolist())
    for step in (1, 5):
        rows = np.array([chances_after(chain, path[:step]) for path in paths.tolist()])  # (users, 20)
        drawn = np.eye(20)[paths[:, step]]
        order = np.argsort(-rows, axis=1)
        by_rank = [np.take_along_axis(table, order, axis=1) for table in (rows, drawn)]
        for chances, found in ((rows, drawn), (by_rank[0], by_rank[1])):
            error = np.sqrt((chances * (1 - chances)).sum(axis=0))  # of a sum of draws with these chances
            assert (np.abs(found.sum(axis=0) - chances.sum(axis=0)) <= 4 * error + 1e-9).all()


def test_short_walks_are_filled_up(chain: Chain) -> None:
    paths = walk(chain, np.array([1, 4, 2]), default_rng(5))
    assert (paths >= 0).sum(axis=1).tolist() == [1, 4, 2]
    assert paths[0, 1:].tolist() == [-1, -1, -1]


@pytest.fixture(scope="module")
def histories() -> tuple[Chain, NDArray[np.int64]]:
    """2000 users with 40 items of 240 each; the last is the target."""
    chain = plant(items=240, seed=6)
    return chain, walk(chain, np.full(2000, 40), default_rng(6))


def ndcg_of(scores: Scores, paths: NDArray[np.int64]) -> NDArray[np.float64]:
    """NDCG@10 of each user's target, by the scores of the items that the user hasn't had."""
    found = np.zeros(len(paths))
    for user, path in enumerate(paths):
        row = scores(path[:-1].tolist())
        row[path[:-1]] = -np.inf
        rank = 1 + (row > row[path[-1]]).sum()
        found[user] = 1 / math.log2(1 + rank) if rank <= TOP else 0.0
    return found


def counted(paths: NDArray[np.int64], *, lags: int) -> NDArray[np.float64]:
    """How often each item (row) was followed by each one (column) at these lags, of all but the targets."""
    table = np.zeros((240, 240))
    for lag in range(1, lags + 1):
        np.add.at(table, (paths[:, : -1 - lag].ravel(), paths[:, lag:-1].ravel()), 1)
    return table


def test_nothing_beats_the_best_lists_and_one_item_of_memory_is_far_from_them(
    histories: tuple[Chain, NDArray[np.int64]],
) -> None:
    chain, paths = histories
    short = dataclasses.replace(chain, follows=np.ones(1), tastes=np.ones(1))  # the truth about the last item alone
    first, many = counted(paths, lags=1), counted(paths, lags=3)
    together = np.eye(240)[paths[:, :-1]].sum(axis=1)  # (users, items)
    alike = together.T @ together / np.sqrt(np.outer(together.sum(axis=0), together.sum(axis=0)))
    np.fill_diagonal(alike, 0)
    rivals: dict[str, Scores] = {
        "popularity": lambda past: together.sum(axis=0),
        "markov": lambda past: first[past[-1]].copy(),
        "the true last step": lambda past: short.weigh(np.array([past]), np.array([len(past)]))[0],
        "item_cf": lambda past: alike[past].sum(axis=0),
        "item_cf of the last items": lambda past: alike[past[-3:]].sum(axis=0),
        "pairs at three lags": lambda past: chain.follows[::-1] @ many[past[-3:]],
    }
    best = ndcg_of(lambda past: chain.weigh(np.array([past]), np.array([len(past)]))[0], paths)
    expected, drawn = gains(chain, paths, np.full(len(paths), 39)) / len(paths)
    assert drawn == pytest.approx(best.mean())
    assert abs(drawn - expected) < 3 * best.std() / math.sqrt(len(paths))
    reached = {name: ndcg_of(scores, paths) for name, scores in rivals.items()}
    for name, found in reached.items():
        lead = best - found
        assert lead.mean() > -3 * lead.std() / math.sqrt(len(paths)), name
    for name in ("popularity", "markov", "the true last step", "item_cf", "item_cf of the last items"):
        assert reached[name].mean() < 0.7 * drawn, name
    assert reached["pairs at three lags"].mean() > 0.85 * drawn
