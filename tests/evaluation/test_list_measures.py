"""Measures of lists against loops over users, items and pairs; and the faults of lists, each in a list of its own."""

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqrec.evaluation.exposure import gini
from seqrec.evaluation.list_measures import HEAD_SHARE, LIST_FAULTS, LIST_MEASURES, ItemFacts, list_values, measure_batches
from seqrec.serving.sorted_ids import SortedIds

V, K, GENRES, DIM = 40, 5, 4, 3
IDS = [f"i{number:02}" for number in random.Random(9).sample(range(100), V)]
COUNTS = [int(50 / (1 + place)) for place in range(V - 4)] + [0] * 4
DRAW = np.random.default_rng(7)
MARKS = DRAW.random((V, GENRES)) < 0.4
VECTORS = DRAW.normal(size=(V, DIM)).astype(np.float32)
MARKS[[3, 5]], VECTORS[[4, 6]] = False, 0
FACTS = ItemFacts(
    ids=SortedIds.of(pa.array(IDS)),
    counts=np.array(COUNTS),
    genres=MARKS,
    vectors=np.divide(VECTORS, np.linalg.norm(VECTORS, axis=1, keepdims=True), out=VECTORS.copy(), where=VECTORS.any(1)[:, None]),
)


def batch(users: Sequence[dict[str, Any]], *, indices: bool) -> pa.RecordBatch:
    """Users with lists of places, as Spark hands them over: lists of indices, or of structs with an id."""
    entry = pa.int32() if indices else pa.struct([("item_id", pa.string()), ("score", pa.float32())])

    def shown(place: int) -> Any:
        return place + 2 if indices else {"item_id": IDS[place] if place < V else "stranger", "score": 1.0}

    columns = {
        "user_id": pa.array(range(len(users)), pa.int64()),
        "targets": pa.array([[place + 2 for place in user["targets"]] for user in users], pa.list_(pa.int32())),
        "ranks": pa.array([user["ranks"] for user in users], pa.list_(pa.int64())),
        "items": pa.array([[shown(place) for place in user["items"]] for user in users], pa.list_(entry)),
        "seen": pa.array([[place + 2 for place in user["seen"]] for user in users], pa.list_(pa.int32())),
    }
    return pa.RecordBatch.from_pydict(columns)


def drawn_users(number: int) -> list[dict[str, Any]]:
    chooser = random.Random(5)
    users = []
    for user in range(number):
        targets = chooser.sample(range(V), 1 + user % 3)
        ranks = chooser.sample(range(9), len(targets))
        users.append({"items": chooser.sample(range(V), user % 9), "targets": targets, "ranks": ranks, "seen": []})
    return users


def naive(user: dict[str, Any]) -> dict[str, float]:
    """The measures of a user's list, by loops."""
    first, total = user["items"][:K], sum(COUNTS)
    if not first:
        return dict.fromkeys(LIST_MEASURES, math.nan)
    order = sorted(range(V), key=lambda place: (-COUNTS[place], place))
    tail, before = set(), 0
    for place in order:
        if before >= HEAD_SHARE * total:
            tail.add(place)
        before += COUNTS[place]
    pairs = list(itertools.combinations(first, 2))
    genres = {place: {genre for genre in range(GENRES) if MARKS[place, genre]} for place in first}
    by_genre = [1 - len(genres[a] & genres[b]) / len(genres[a] | genres[b]) for a, b in pairs if genres[a] and genres[b]]
    sizes = {place: math.sqrt(sum(float(x) ** 2 for x in VECTORS[place])) for place in first}
    by_vector = [1 - float(VECTORS[a] @ VECTORS[b]) / sizes[a] / sizes[b] for a, b in pairs if sizes[a] and sizes[b]]
    surprise = 0.0
    for place, rank in zip(user["targets"], user["ranks"], strict=True):
        popular = 1 + sum(count > COUNTS[place] for count in COUNTS) if COUNTS[place] else V + 1
        if 1 <= rank <= K:
            surprise += max(0.0, (V + 1 - rank) / V - (V + 1 - popular) / V)
    return {
        "novelty": sum(-math.log2(max(1, COUNTS[place]) / total) for place in first) / len(first),
        "popularity": sum(COUNTS[place] for place in first) / len(first),
        "long_tail": sum(place in tail for place in first) / len(first),
        "genre_diversity": sum(by_genre) / len(by_genre) if by_genre else math.nan,
        "vector_diversity": sum(by_vector) / len(by_vector) if by_vector else math.nan,
        "serendipity": surprise / K,
    }


@pytest.mark.parametrize("indices", [False, True], ids=["ids", "indices"])
def test_measures_are_those_of_a_loop(*, indices: bool) -> None:
    users = drawn_users(60)
    found = list_values(batch(users, indices=indices), FACTS, k=K)
    for name in LIST_MEASURES:
        expected = [naive(user)[name] for user in users]
        assert len({value for value in expected if not math.isnan(value)}) > 5
        assert found[name].tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_each_fault_is_found_in_the_lists_that_have_it_alone() -> None:
    """A target may be listed though it was seen; the whole list counts, beyond the first K too."""
    whole = {"items": list(range(10, 20)), "targets": [30], "ranks": [0], "seen": [1, 2]}
    users = [
        whole,
        whole | {"items": [10, 11]},
        whole | {"items": [*range(10, 20), 12]},
        whole | {"items": [*range(10, 20), 2]},
        whole | {"items": [*range(10, 20), 2], "targets": [2]},
        whole | {"items": [*range(10, 20), V]},
    ]
    found = list_values(batch(users, indices=False), FACTS, k=K)
    faulty = {name: np.flatnonzero(found[name]).tolist() for name in LIST_FAULTS}
    assert faulty == {"short_lists": [1], "repeated_items": [2], "seen_items": [3], "unknown_items": [5]}


def test_batches_are_measured_in_slices_and_what_is_undefined_is_null() -> None:
    users = drawn_users(600)
    given = batch(users, indices=False)
    plain = ItemFacts(ids=FACTS.ids, counts=FACTS.counts)
    [*parts] = measure_batches(iter([given.slice(0, 1), given.slice(1)]), facts=lambda: plain, k=K)
    found = pa.Table.from_batches(parts)
    assert found.column_names == ["user_id", *LIST_MEASURES, *LIST_FAULTS]
    assert found["user_id"].to_pylist() == list(range(600))
    assert found["novelty"].null_count == sum(not user["items"] for user in users) > 0
    assert found["genre_diversity"].null_count == found["vector_diversity"].null_count == 600
    expected = [naive(user)["popularity"] for user in users if user["items"]]
    assert found["popularity"].drop_null().to_pylist() == pytest.approx(expected)


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    shown = [0] * 7 + [1] * 3 + [4, 4, 9]
    pairs = [abs(a - b) for a in shown for b in shown]
    expected = sum(pairs) / len(shown) ** 2 / (2 * sum(shown) / len(shown))
    assert gini([1, 4, 9], [3, 2, 1], catalogue=len(shown)) == pytest.approx(expected)
    assert gini([], [], catalogue=5) == 0
