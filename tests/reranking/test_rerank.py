"""Lists under rules, against a loop over one user and one place at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seqrec.reranking.candidates import Candidates
from seqrec.reranking.item_values import ItemValues
from seqrec.reranking.limits import ROOM, CapLimit
from seqrec.reranking.rerank import NOWHERE, rerank
from seqrec.reranking.rules import Boost, Cap, Quota, Rules

GENRES = [["Drama"], ["War", "Drama"], ["War"], [], ["Comedy"], ["Drama"]]
YEARS = [["1990"], ["2000"], ["1995"], ["2010"], [], ["1990"]]
COLUMNS = {"genres": GENRES, "year": YEARS}


def candidates(scores: list[list[float]], *, rows: NDArray[np.int64] | None = None, fillers: int = 0) -> Candidates:
    """Candidates in the order of the table, whose vectors point to 0°, 30°, … 150°; the last ones may be fillers."""
    given = np.array(scores, np.float32)
    angles = np.arange(len(GENRES)) * np.pi / 6
    places = np.broadcast_to(np.arange(given.shape[1]), given.shape) if rows is None else rows
    filling = np.broadcast_to(np.arange(given.shape[1]) >= given.shape[1] - fillers, given.shape)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Candidates(scores=given, rows=places, items=places, vectors=vectors, fillers=filling)


def listed(rules: Rules, pool: Candidates, top_k: int) -> list[list[int]]:
    order = rerank(pool, rules, ItemValues.of(rules, COLUMNS, len(GENRES)), top_k=top_k)
    falls = [row[: np.count_nonzero(row > -np.inf)] for row in order.scores]
    assert all((np.diff(row) < 0).all() for row in falls)
    assert [len(row) for row in falls] == np.count_nonzero(order.chosen != NOWHERE, axis=1).tolist()
    return [[place for place in row if place != NOWHERE] for row in order.chosen.tolist()]


SIX = [[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]


def test_without_rules_the_order_and_the_scores_are_those_of_the_model() -> None:
    order = rerank(candidates(SIX), Rules(), ItemValues.of(Rules(), {}, len(GENRES)), top_k=4)
    assert order.chosen.tolist() == [[0, 1, 2, 3]]
    assert order.scores.tolist() == [[6.0, 5.0, 4.0, 3.0]]


def test_a_cap_leaves_out_an_item_that_has_any_full_value() -> None:
    """The first takes Drama, so the second, War and Drama, is left out and War stays free for the third."""
    assert listed(Rules(items="t", caps=(Cap("genres", 1),)), candidates(SIX), 6) == [[0, 2, 3, 4]]
    assert listed(Rules(items="t", caps=(Cap("genres", 2),)), candidates(SIX), 6) == [[0, 1, 2, 3, 4]]


def test_behind_the_ruled_places_the_others_follow_by_score() -> None:
    rules = Rules(items="t", caps=(Cap("genres", 1),), places=2)
    assert listed(rules, candidates(SIX), 5) == [[0, 2, 1, 3, 4]]


def test_a_list_that_rules_end_within_the_ruled_places_stays_short() -> None:
    rules = Rules(items="t", caps=(Cap("genres", 1),), places=5)
    assert listed(rules, candidates(SIX), 6) == [[0, 2, 3, 4]]


def test_a_quota_takes_the_best_items_that_count_and_no_other_gives_way() -> None:
    rules = Rules(items="t", quotas=(Quota(name="fresh", column="year", least=2, minimum=1995),))
    assert listed(rules, candidates([[6.0, 1.0, 2.0, 3.0, 5.0, 4.0]]), 3) == [[0, 3, 2]]
    assert listed(rules, candidates(SIX), 3) == [[0, 1, 2]]


def test_a_quota_beyond_what_there_is_takes_what_there_is() -> None:
    rules = Rules(items="t", quotas=(Quota(name="laughs", column="genres", least=3, equals="Comedy"),))
    assert listed(rules, candidates(SIX), 3) == [[0, 1, 4]]


def test_the_first_items_do_not_depend_on_how_many_follow() -> None:
    assert [Rules(places=20).pool_of(top_k) for top_k in (10, 100, 101)] == [100, 100, 101]
    assert [Rules(places=None).pool_of(top_k) for top_k in (10, 100)] == [50, 500]
    capped = Rules(items="t", caps=(Cap("genres", 1),))
    assert [capped.pool_of(top_k) for top_k in (10, 100, 501)] == [500, 500, 501]
    assert Rules(pool=30).pool_of(10) == replace(capped, pool=30).pool_of(10) == 30


def test_a_boost_moves_the_newest_up() -> None:
    """Relevance 1, .8, .6, .4, .2, 0 and year 0, .5, .25, 1, none, 0."""
    order = rerank(
        candidates(SIX),
        rules := Rules(items="t", boosts=(Boost("year", 1.0),)),
        ItemValues.of(rules, COLUMNS, len(GENRES)),
        top_k=6,
    )
    assert order.chosen.tolist() == [[3, 1, 0, 2, 4, 5]]
    assert order.scores[0].tolist() == pytest.approx([1.4, 1.3, 1.0, 0.85, 0.2, 0.0])


def test_diversity_by_hand() -> None:
    """λ = 1/2: after the first, at 0°, values are (.8 - .866) / 2, (.6 - .5) / 2, (.4 - 0) / 2, (.2 - 0) / 2 and 0.

    The one at 90° is next. Then the one at 30° is still .866 like the first, and all others lose more.
    """
    order = rerank(candidates(SIX), rules := Rules(mmr_lambda=0.5), ItemValues.of(rules, {}, len(GENRES)), top_k=3)
    assert order.chosen.tolist() == [[0, 3, 1]]
    assert order.scores[0].tolist() == pytest.approx([0.5, 0.2, 0.4 - np.cos(np.pi / 6) / 2], abs=1e-6)


def test_an_item_without_a_vector_is_like_no_other() -> None:
    pool = candidates(SIX)
    pool = replace(pool, items=np.where(pool.items == 1, -1, pool.items))
    assert listed(Rules(mmr_lambda=0.5), pool, 2) == [[0, 1]]


def test_fillers_come_behind_and_obey_the_rules() -> None:
    rules = Rules(items="t", caps=(Cap("genres", 1),))
    pool = candidates([[-7.0, -8.0, -9.0, 4.0, 9.0, 8.0]], fillers=3)
    assert listed(rules, pool, 6) == [[0, 2, 3, 4]]
    assert listed(Rules(mmr_lambda=0.0), pool, 6)[0][3:] == [3, 4, 5]
    nothing = candidates([[-np.inf, -np.inf, -np.inf, 4.0, 9.0, 8.0]], fillers=3)
    assert listed(Rules(), nothing, 2) == [[3, 4]]


def test_scores_that_tie_stay_in_the_models_order() -> None:
    assert listed(Rules(items="t", caps=(Cap("genres", 3),)), candidates([[1.0] * 6, [2.0] * 6]), 6) == [[0, 1, 2, 3, 4, 5]] * 2


def naive(pool: Candidates, rules: Rules, values: ItemValues, top_k: int) -> list[list[int]]:
    """One user, one place, one candidate at a time."""
    lists = []
    for user in range(len(pool.scores)):
        scores, rows = pool.scores[user].astype(float), pool.rows[user]
        there = [place for place in range(len(scores)) if np.isfinite(scores[place])]
        least, greatest = min(scores[there], default=0.0), max(scores[there], default=0.0)
        spread = greatest - least or 1.0
        utility = {p: 1 - (greatest - scores[p]) / spread + values.boost[rows[p]] for p in there}
        taken: list[int] = []
        reached: dict[int, float] = {}
        for place in range(min(top_k, len(scores))):
            allowed = [p for p in there if p not in taken and not full(p, taken, rows, rules, values)]
            lacking = []
            for quota, marks in zip(rules.quotas, values.quotas, strict=True):
                have = sum(bool(marks[rows[p]]) for p in taken)
                lacking.append(min(quota.least, sum(bool(marks[rows[p]]) for p in there)) - have)
            needed = [p for p in allowed if any(m[rows[p]] and n > 0 for m, n in zip(values.quotas, lacking, strict=True))]
            if sum(max(0, number) for number in lacking) >= min(top_k, len(scores)) - place and needed:
                allowed = needed
            if not allowed:
                break
            value = {p: worth(p, taken, pool, user, rules, utility) for p in allowed}
            best = max(allowed, key=lambda p: (value[p], -p))
            taken.append(best)
            reached[best] = value[best]
        lists.append(sorted(taken, key=lambda p: -reached[p]))
    return lists


def full(place: int, taken: list[int], rows: NDArray[np.int64], rules: Rules, values: ItemValues) -> bool:
    def of(numbers: NDArray[np.int64], offsets: NDArray[np.int64], p: int) -> set[int]:
        return set(numbers[offsets[rows[p]] : offsets[rows[p] + 1]].tolist())

    return any(
        sum(value in of(column.values, column.offsets, other) for other in taken) >= cap.most
        for cap, column in zip(rules.caps, values.caps, strict=True)
        for value in of(column.values, column.offsets, place)
    )


def worth(place: int, taken: list[int], pool: Candidates, user: int, rules: Rules, utility: dict[int, float]) -> float:
    if rules.mmr_lambda is None:
        return utility[place]

    def cosine(one: int, other: int) -> float:
        a, b = (pool.vectors[pool.items[user, p]].astype(float) for p in (one, other))
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    alike = max([0.0, *(cosine(place, other) for other in taken)])
    return rules.mmr_lambda * utility[place] - (1 - rules.mmr_lambda) * alike


@pytest.mark.parametrize("sellers", [3, 5000])
def test_caps_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch, sellers: int) -> None:
    """An item of many tags, and a column of many values."""
    made: list[CapLimit] = []
    build = CapLimit.of

    def noted(*given: Any) -> CapLimit:
        made.append(build(*given))
        return made[-1]

    monkeypatch.setattr(CapLimit, "of", noted)
    monkeypatch.setattr("seqrec.reranking.rerank.FLOATS", 2**14)
    random = np.random.default_rng(1)
    columns = {"tags": [[f"t{n}" for n in range(30 if item % 50 == 7 else 1)] for item in range(5000)]}
    columns["seller"] = [[f"s{item % sellers}"] for item in range(5000)]
    rules = Rules(items="t", caps=(Cap("tags", 2), Cap("seller", 1)))
    rows = np.stack([random.permutation(5000)[:8] for _ in range(200)])
    scores = -np.sort(-random.standard_normal(rows.shape), axis=1).astype(np.float32)
    given = Candidates(
        scores=scores, rows=rows, items=rows, vectors=np.zeros((5000, 2), np.float32), fillers=np.zeros(rows.shape, bool)
    )
    values = ItemValues.of(rules, columns, 5000)
    small = rerank(given, rules, values, top_k=4)
    assert max(limit.numbers.size * ROOM for limit in made) <= 2**14
    assert max(limit.taken.size for limit in made) <= 2 * 2**14 + 200
    monkeypatch.setattr("seqrec.reranking.rerank.FLOATS", 2**30)
    assert np.array_equal(rerank(given, rules, values, top_k=4).chosen, small.chosen)


@pytest.mark.parametrize("mmr_lambda", [None, 0.7, 0.3])
@pytest.mark.parametrize("boosts", [(), (Boost("year", 0.5), Boost("margin", -0.25))])
def test_all_rules_together_are_those_of_the_loop(
    monkeypatch: pytest.MonkeyPatch, mmr_lambda: float | None, boosts: tuple[Boost, ...]
) -> None:
    random = np.random.default_rng(3)
    items, users, pool = 40, 60, 20
    columns = {
        "genres": [sorted({f"g{g}" for g in random.integers(0, 6, random.integers(0, 4))}) for _ in range(items)],
        "seller": [[f"s{random.integers(0, 9)}"] for _ in range(items)],
        "year": [[str(random.integers(1980, 2020))] if random.random() < 0.9 else [] for _ in range(items)],
        "margin": [[str(random.random())] for _ in range(items)],
    }
    rules = Rules(
        items="t",
        mmr_lambda=mmr_lambda,
        caps=(Cap("genres", 3), Cap("seller", 2)),
        quotas=(Quota(name="new", column="year", least=3, minimum=2010), Quota(name="g", column="genres", least=2, equals="g1")),
        boosts=(*boosts, Boost("year", 1e-9)),
    )
    values = ItemValues.of(rules, columns, items)
    scores = -np.sort(-random.standard_normal((users, pool)), axis=1).astype(np.float32)
    scores[::7, 6:] = -np.inf
    scores[5] = -np.inf
    rows = np.stack([random.permutation(items)[:pool] for _ in range(users)])
    vectors = random.standard_normal((items, 5)).astype(np.float32)
    given = Candidates(scores=scores, rows=rows, items=rows, vectors=vectors, fillers=np.zeros(scores.shape, bool))
    expected = naive(given, rules, values, 8)
    assert [len(expected[user]) < 8 for user in (0, 1, 5)] == [True, False, True]
    for near, worth in ((2**23, 5), (2 * pool * 5, 5), (1, 5), (2**23, 0)):  # users together; all pairs or one
        monkeypatch.setattr("seqrec.reranking.rerank.NEAR", near)
        monkeypatch.setattr("seqrec.reranking.likeness.WORTH", worth)
        order = rerank(given, rules, values, top_k=8)
        assert [[place for place in row if place != NOWHERE] for row in order.chosen.tolist()] == expected
