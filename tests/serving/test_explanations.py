"""Explanations of lists, against double loops."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.serving import explanations
from seqrec.serving.explanations import By, Explainer, Explanation, Support
from seqrec.serving.exports import open_export
from seqrec.serving.model import Model, open_model
from seqrec.serving.recommender import Recommender
from tests.scoring.toy import write_model

MATRIX = np.array([[7, 7], [9, 9], [1, 0], [2, 0.2], [0, 1], [1, 1], [-1, 0], [0, 0]], np.float32)
IDS = ["a", "b", "c", "d", "e", "f"]  # a to f are 2 to 7

Explained = list[list[tuple[str, list[tuple[str, float]]]]]


def open_toy(folder: Path, matrix: Any = MATRIX, counts: Any = (9, 2, 7, 7, 1, 3), max_len: int = 4) -> Model:
    """The query is the sum of the rows of the newest max_len items."""
    write_model(folder / "toy", np.asarray(matrix, np.float32), IDS[: len(counts)], list(counts), max_len=max_len)
    return open_model(open_export(str(folder / "toy")), 1)


def explain(model: Model, lists: list[list[str]], histories: list[list[int]], by: By, most: int = 2) -> Explained:
    entries = pa.array([[{"item_id": item, "score": 0.5} for item in items] for items in lists])
    explainer = Explainer(model=model, explanation=Explanation(most=most, by=by))
    found = explainer.add_reasons(entries, Ragged.of(histories), np.zeros(len(histories), np.int64))
    return [
        [(entry["item_id"], [(why["item_id"], round(why["score"], 4)) for why in entry["because"]]) for entry in items]
        for items in found.to_pylist()
    ]


def test_items_that_are_alike_speak_for_one_another(tmp_path: Path) -> None:
    model = open_toy(tmp_path)
    lists = [["b", "d"], ["a", "e"], ["b"]]
    histories = [[2, 4], [5, 3, 4], []]
    assert explain(model, lists, histories, "vectors") == [
        [("b", [("a", 0.995), ("c", 0.0995)]), ("d", [("c", 0.7071), ("a", 0.7071)])],  # of equal ones the newer first
        [("a", [("b", 0.995), ("d", 0.7071)]), ("e", [])],  # e is opposite to all of them
        [("b", [])],  # nothing was had
    ]


def test_what_the_score_loses_without_an_item_speaks_for_it(tmp_path: Path) -> None:
    """Rows less their mean (0.5, 0.3667): b (1.5, -0.1667), d (0.5, 0.6333); without a the query loses a's row."""
    found = explain(open_toy(tmp_path), [["b", "d"]], [[2, 4]], "drop")
    assert found == [[("b", [("a", 1.5)]), ("d", [("c", 0.6333), ("a", 0.5)])]]


@pytest.mark.parametrize("by", ["vectors", "drop"])
def test_there_are_never_more_reasons_than_the_window_holds(tmp_path: Path, by: By) -> None:
    """Nor places for them, of which each item of a batch takes twelve bytes."""
    explainer = Explainer(model=open_toy(tmp_path), explanation=Explanation(most=9, by=by))
    found = [explainer.strongest(Ragged.of(lists), Ragged.of(lists), np.zeros(len(lists), np.int64)) for lists in ([[3]], [])]
    assert [items.shape for items, _ in found] == [(1, 4), (0, 4)]


@pytest.mark.parametrize("by", ["vectors", "drop"])
def test_only_the_window_counts_and_each_item_once(tmp_path: Path, by: By) -> None:
    model = open_toy(tmp_path)
    [[(_, found)]] = explain(model, [["b"]], [[4, 5, 5, 2, 2]], by, most=9)  # the window has no c
    assert [item for item, _ in found] == ["a", "d"]


def test_without_an_item_an_older_one_comes_into_the_window(tmp_path: Path) -> None:
    """Of [b, a, a, a, a], without a, b remains: (4, 0) - (2, 0.2), times b less the mean, (1.5, -0.1667)."""
    model = open_toy(tmp_path)
    assert explain(model, [["b"]], [[3, 2, 2, 2, 2]], "drop") == [[("b", [("a", 3.0333)])]]


def test_an_item_never_speaks_for_itself(tmp_path: Path) -> None:
    assert explain(open_toy(tmp_path), [["a"]], [[2, 3]], "vectors") == [[("a", [("b", 0.995)])]]


@pytest.mark.parametrize("by", ["vectors", "drop"])
def test_what_the_model_does_not_know_is_not_explained_and_explains_nothing(tmp_path: Path, by: By) -> None:
    found = explain(open_toy(tmp_path), [["new", "b"], []], [[2, 6, 99, 1, 0], [2]], by)
    assert [[(item, [why for why, _ in because]) for item, because in items] for items in found] == [
        [("new", []), ("b", ["a"])],
        [],
    ]


def test_one_user_from_code(tmp_path: Path) -> None:
    open_toy(tmp_path)
    recommender = Recommender.load(str(tmp_path / "toy"))
    found = recommender.explain(["a", "new", "c"], ["d", "new"], 2, by="drop")
    assert [[(item, round(score, 4)) for item, score in why] for why in found] == [[("c", 0.6333), ("a", 0.5)], []]
    assert [[item for item, _ in why] for why in recommender.explain(["a", "c"], ["d"], 1)] == [["c"]]
    assert recommender.explain([], ["d"]) == [[]]
    assert recommender.explain(["a"], []) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n": 0}, "0 items of the history can't explain an item: ask for at least 1"),
        ({"by": "attention"}, "by='attention': items are explained by vectors or by drop"),
        ({"items": [7]}, "items"),
        ({"items": "a"}, "is one id: give a list"),
        ({"history": [7]}, "history"),
    ],
)
def test_what_cannot_be_explained_is_said(tmp_path: Path, arguments: Any, said: str) -> None:
    open_toy(tmp_path)
    with pytest.raises(UserError, match=said):
        Recommender.load(str(tmp_path / "toy")).explain(**{"history": ["a"], "items": ["b"], **arguments})


def test_lists_that_are_a_slice_of_longer_ones(tmp_path: Path) -> None:
    model = open_toy(tmp_path)
    entries = pa.array([[{"item_id": item}] for item in ("c", "b", "d", "a")])
    explainer, histories = Explainer(model=model, explanation=Explanation(most=1)), Ragged.of([[2], [4]])
    found = explainer.add_reasons(entries.slice(1, 2), histories, np.zeros(2, np.int64)).to_pylist()
    assert [[(entry["item_id"], entry["because"][0]["item_id"]) for entry in items] for items in found] == [
        [("b", "a")],
        [("d", "c")],
    ]


def strongest_by_loops(support: Support, lists: Ragged, most: int) -> list[list[tuple[int, float]]]:
    """For each listed item: all products with the user's history, those above 0, the greatest first, then the newest."""
    found = []
    for user, item in zip(lists.rows, lists.values, strict=True):
        vector, first = support.listed(np.array([[item]]))[0, 0], support.histories.offsets[user]
        had = support.histories.values[first : support.histories.offsets[user + 1]].tolist()
        scored = [(item_had, float(vector @ support.had(np.array(first + place)))) for place, item_had in enumerate(had)]
        speaking = [pair for pair in reversed(scored) if pair[1] > 1e-6 and pair[0] != item]
        found.append(sorted(speaking, key=lambda pair: -pair[1])[:most])
    return found


@pytest.mark.parametrize("block", [1, 700, 2**20])
def test_the_strongest_are_those_of_a_double_loop(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is computed at a time."""
    monkeypatch.setattr(explanations, "BLOCK", block)
    draw = np.random.default_rng(3)
    rows = draw.standard_normal((60, 8)).astype(np.float32)
    histories = Ragged.of([draw.permutation(np.arange(2, 60))[:size].tolist() for size in draw.integers(0, 20, 50)])
    lists = Ragged.of([draw.integers(2, 60, size).tolist() for size in draw.choice([0, 3, 10], 50)])
    had = rows[histories.values].__getitem__
    support = Support(dim=8, histories=histories, had=had, listed=rows.__getitem__, longest=20)
    items, scores = support.strongest(lists, 4)
    found = [
        [pair for pair in zip(*row, strict=True) if pair[0] >= 0] for row in zip(items.tolist(), scores.tolist(), strict=True)
    ]
    expected = strongest_by_loops(support, lists, 4)
    assert [[item for item, _ in pairs] for pairs in found] == [[item for item, _ in pairs] for pairs in expected]
    ours, theirs = ([score for pairs in lists_of for _, score in pairs] for lists_of in (found, expected))
    assert np.allclose(ours, theirs, atol=1e-5)  # in float32 a processor adds in an order of its own


def test_so_many_vectors_are_in_memory_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user two of eight numbers each, so of ten users 160."""
    monkeypatch.setattr(explanations, "BLOCK", 160)
    rows, users = np.ones((9, 8), np.float32), list[int]()

    def had(entries: Any) -> Any:
        users.append(len(entries))
        return np.ones((*entries.shape, 8), np.float32)

    support = Support(dim=8, histories=Ragged.of([[2]] * 25), had=had, listed=rows.__getitem__, longest=1)
    support.strongest(Ragged.of([[3]] * 25), 1)
    assert users == [10, 10, 5]


def test_an_item_without_a_direction_is_like_no_other(tmp_path: Path) -> None:
    assert explain(open_toy(tmp_path), [["b", "f"]], [[7, 2]], "vectors", most=1) == [[("b", [("a", 0.995)]), ("f", [])]]


@pytest.mark.parametrize("block", [64, 2**20])
@pytest.mark.parametrize("by", ["vectors", "drop"])
def test_who_else_is_explained_changes_no_bit(tmp_path: Path, by: By, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor how many are computed at a time."""
    monkeypatch.setattr(explanations, "BLOCK", block)
    draw = np.random.default_rng(4)
    matrix = draw.standard_normal((302, 16))
    write_model(tmp_path / "toy", matrix.astype(np.float32), list(range(300)), [1] * 300, max_len=20)
    explainer = Explainer(model=open_model(open_export(str(tmp_path / "toy")), 1), explanation=Explanation(most=3, by=by))
    histories = Ragged.of([draw.integers(2, 302, size).tolist() for size in draw.integers(0, 30, 40)])
    lists = Ragged.of([draw.integers(2, 302, 12).tolist() for _ in range(40)])
    items, scores = explainer.strongest(lists, histories, np.zeros(40, np.int64))
    for user in range(40):
        alone = np.array([user])
        of_one = explainer.strongest(lists.take(alone), histories.take(alone), np.zeros(1, np.int64))
        assert np.array_equal(of_one[0], items[12 * user : 12 * user + 12])
        assert np.array_equal(of_one[1], scores[12 * user : 12 * user + 12])
