"""Sequences continued, against loops over Python's lists."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqrec.errors import UserError
from seqrec.ragged import Ragged
from seqrec.serving.extended_sequence import Conditions
from seqrec.serving.extension import Start, extend_sequences
from seqrec.serving.next_items import Choice, Scorer
from seqrec.serving.recommender import Recommender
from seqrec.serving.topk import NONE, BlockSizes, Catalogue
from tests.scoring.toy import write_model

ITEMS, WINDOW = 9, 4
DRAWN = np.random.default_rng(5)
MATRIX = DRAWN.integers(-3, 4, (ITEMS + 2, 3)).astype(np.float32)  # small integers: all scores are exact
BEFORE = DRAWN.integers(-3, 4, (ITEMS + 2, 3)).astype(np.float32)
COUNTS = [5, 1, 9, 7, 7, 2, 3, 4, 0]  # item 9 was never seen in training
LONG = [3, 1, 2, 4, 1, 7]  # longer than the window, and 1 is in it twice


@pytest.fixture
def recommender(tmp_path: Path) -> Recommender:
    return load(tmp_path)


def load(folder: Path, before: Any = BEFORE) -> Recommender:
    write_model(folder / "toy", MATRIX, list(range(1, ITEMS + 1)), COUNTS, max_len=WINDOW, before=before)
    return Recommender.load(str(folder / "toy"))


def scores_of(sequence: Sequence[int], *, before: bool = False) -> dict[int, float]:
    """The score of each item that may be added, by the definition of the toy: item i is row i + 1."""
    window, rows = (sequence[:WINDOW], BEFORE) if before else (sequence[-WINDOW:], MATRIX)
    query = sum(rows[item + 1] for item in window)
    return {item: float(query @ MATRIX[item + 1]) for item in range(1, ITEMS) if item not in sequence}


def weights_of(scores: dict[int, float]) -> dict[int, float]:
    """The log-probabilities."""
    total = np.log(sum(np.exp(score) for score in scores.values()))
    return {item: score - total for item, score in scores.items()}


@pytest.mark.parametrize("sequence", [[3], LONG])
@pytest.mark.parametrize("mode", ["post", "pre", "both"])
def test_greedy_takes_the_best_item_of_each_step(recommender: Recommender, sequence: list[int], mode: Any) -> None:
    longer = recommender.extend(sequence, 3, mode, seed=4)
    grown = sequence if sequence != LONG else [3, 1, 2, 4, 7] if mode == "pre" else [3, 2, 4, 1, 7]
    sides = [item.place < longer.sequence.index(grown[0]) for item in longer.added]
    assert (mode == "post", mode == "pre") == (not any(sides), all(sides))
    for item, before in zip(longer.added, sides, strict=True):
        scores = scores_of(grown, before=before)
        best = min(scores, key=lambda other: (-scores[other], other))
        assert (item.item_id, item.score) == (best, scores[best])
        assert item.log_probability == pytest.approx(weights_of(scores)[best])
        grown = [best, *grown] if before else [*grown, best]
    assert longer.sequence == grown
    assert [longer.sequence[item.place] for item in longer.added] == [item.item_id for item in longer.added]
    assert longer.repeated == len(sequence) - len(set(sequence))


def test_the_ends_of_both_are_drawn_by_the_seed(recommender: Recommender) -> None:
    longer = [recommender.extend([3], 5, "both", seed=seed) for seed in range(20)]
    assert len({tuple(one.sequence) for one in longer}) > 5
    assert longer[7] == recommender.extend([3], 5, "both", seed=7)
    fewer = recommender.extend([3], 3, "both", seed=7)
    assert [one.item_id for one in fewer.added] == [one.item_id for one in longer[7].added][:3]
    shares = [sum(item.place < one.sequence.index(3) for item in one.added) / 5 for one in longer]
    assert 0.3 < np.mean(shares) < 0.7


def naive_beams(sequence: list[int], n: int, beams: int) -> tuple[list[int], float]:
    """The best sequence of a beam search, and its sum of log-probabilities."""
    kept: list[tuple[list[int], float]] = [(sequence, 0.0)]
    for _ in range(n):
        longer = [
            ([*grown, item], total + weight) for grown, total in kept for item, weight in weights_of(scores_of(grown)).items()
        ]
        kept = sorted(longer, key=lambda one: -one[1])[:beams]
    return kept[0]


@pytest.mark.parametrize("beams", [2, 3, 500])
def test_beams_keep_the_likeliest_sequences(recommender: Recommender, beams: int) -> None:
    likeliest, total = naive_beams([3], 3, beams)
    longer = recommender.extend([3], 3, choice=Choice(beams=beams))
    assert longer.log_probability == pytest.approx(total)
    assert longer.sequence == likeliest
    if beams == 500:  # more than there are sequences: the best of all
        assert total == pytest.approx(max(total_of(order) for order in itertools.permutations(set(range(1, ITEMS)) - {3}, 3)))


def total_of(added: Sequence[int]) -> float:
    """The log-probability of items after item 3."""
    return sum(weights_of(scores_of([3, *added[:step]]))[item] for step, item in enumerate(added))


def test_beams_of_several_users_are_those_of_each(recommender: Recommender) -> None:
    model, sizes = recommender.model, BlockSizes(users=3, items=4)
    scorer = Scorer.of_model(model, Catalogue.of(model.matrix, model.recommendable), sizes=sizes, batch_users=4)
    histories = Ragged.of([[4], [3, 5], [9, 4, 2]])
    start = Start(sequences=histories, hidden=histories, hashes=np.zeros(3, np.int64))
    added = extend_sequences(start, [False] * 3, scorer=scorer, choice=Choice(beams=3))
    for row, history in enumerate(([3], [2, 4], [8, 3, 1])):
        assert (added.items[row] - 1).tolist() == recommender.extend(history, 3, choice=Choice(beams=3)).sequence[-3:]


@pytest.mark.parametrize(("temperature", "top"), [(1.0, None), (3.0, None), (2.0, 3)])
def test_draws_follow_the_softmax(recommender: Recommender, temperature: float, top: int | None) -> None:
    model, draws = recommender.model, 20_000
    scorer = Scorer.of_model(model, Catalogue.of(model.matrix, model.recommendable), sizes=BlockSizes(), batch_users=256)
    start = Start(sequences=Ragged.of([[4]] * draws), hidden=Ragged.of([[4]] * draws), hashes=np.zeros(draws, np.int64))
    choice = Choice(temperature=temperature, top_k=top)
    added = extend_sequences(start, [False], scorer=scorer, choice=choice, rng=np.random.default_rng(1), weigh=True)
    scores = scores_of([3])
    among = sorted(scores, key=lambda item: (-scores[item], item))[:top]
    expected = {item: np.exp(weight) for item, weight in weights_of({i: scores[i] / temperature for i in among}).items()}
    drawn = added.items[:, 0] - 1
    for item in scores:
        assert np.mean(drawn == item) == pytest.approx(expected.get(item, 0), abs=0.015)
        assert added.log_probabilities[drawn == item, 0] == pytest.approx(weights_of(scores)[item])


def test_draws_are_repeated_by_their_seed(recommender: Recommender) -> None:
    choice = Choice(temperature=4.0)
    longer = recommender.extend([3], 5, "both", seed=2, choice=choice)
    assert longer == recommender.extend([3], 5, "both", seed=2, choice=choice)
    fewer = recommender.extend([3], 3, "both", seed=2, choice=choice)
    assert [one.item_id for one in fewer.added] == [one.item_id for one in longer.added][:3]
    assert len({tuple(recommender.extend([3], 3, seed=seed, choice=choice).sequence) for seed in range(20)}) > 5
    cold = recommender.extend(LONG, 3, choice=Choice(temperature=1e-300))
    assert cold.sequence == recommender.extend(LONG, 3).sequence


def test_nothing_is_added_twice_and_at_the_end_nothing(recommender: Recommender) -> None:
    for choice in (Choice(), Choice(beams=4), Choice(temperature=9.0), Choice(temperature=9.0, top_k=2)):
        for mode in ("post", "both"):
            longer = recommender.extend(LONG, 10**9, mode, choice=choice)
            assert sorted(longer.sequence) == [1, 2, 3, 4, 5, 6, 7, 8]
            assert len(longer.added) == 3
            assert np.isfinite(longer.log_probability)
            assert recommender.extend([3], 2, choice=choice, conditions=Conditions(allow=[9])).added == []


def test_conditions(recommender: Recommender) -> None:
    best = recommender.extend([3], 2).sequence[1:]
    assert not {*best} & {*recommender.extend([3], 2, conditions=Conditions(deny=best)).sequence[1:]}
    assert {*recommender.extend([3], 9, conditions=Conditions(allow=[2, 5, 3])).sequence} == {2, 3, 5}
    again = recommender.extend([3], 9, conditions=Conditions(filter_seen=False, allow=[3, 5])).sequence
    assert sorted(again) == [3, 3, 5]
    whole = recommender.extend(LONG, 1, conditions=Conditions(keep="all"))
    assert (whole.sequence[:-1], whole.repeated) == (LONG, 0)
    assert (whole.sequence[-1], whole.added[0].score) == recommender.recommend(LONG, k=1)[0]
    assert recommender.extend(LONG, 1, conditions=Conditions(keep="oldest")).sequence[:-1] == [3, 1, 2, 4, 7]


def test_unknown_items_stay_and_have_no_say(recommender: Recommender) -> None:
    longer = recommender.extend([77, 3, 99, 77, 1], 2, "both", seed=1)
    known = recommender.extend([3, 1], 2, "both", seed=1)
    assert [item for item in longer.sequence if item not in (77, 99)] == known.sequence
    assert [item for item in longer.sequence if item in (77, 99, 3, 1)] == [3, 99, 77, 1]
    assert [longer.sequence[one.place] for one in longer.added] == [one.item_id for one in known.added]


def test_without_a_known_item_the_popular_ones_are_added(recommender: Recommender) -> None:
    longer = recommender.extend([77], 3)
    assert (
        [(one.item_id, one.score) for one in longer.added] == recommender.recommend([77], k=3) == [(3, 9.0), (4, 7.0), (5, 7.0)]
    )
    assert longer.sequence == [77, 3, 4, 5]
    assert longer.added[0].log_probability == pytest.approx(np.log(9 / sum(COUNTS)))
    assert longer.added[1].log_probability == pytest.approx(np.log(7 / (sum(COUNTS) - 9)))
    drawn = [recommender.extend([], 1, seed=seed, choice=Choice(temperature=1.0)).sequence[0] for seed in range(300)]
    assert np.mean([item == 3 for item in drawn]) == pytest.approx(9 / sum(COUNTS), abs=0.09)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda to: to.extend([3], 0), "n=0: ask for at least 1 new item"),
        (lambda to: to.extend([3], 1, "past"), "mode='past': take post"),
        (lambda to: to.extend([3], 1, seed=-1), "seed=-1: take a whole number from 0"),
        (lambda to: to.extend("3", 1), "sequence='3' is one id"),
        (lambda to: to.extend(["3"], 1), "sequence: '3' is no item id of the model toy"),
        (lambda to: to.extend([3], 1, conditions=Conditions(deny=["3"])), "deny: '3' is no item id"),
        (lambda _: Conditions(keep="first"), "keep='first': of a repeated item"),  # type: ignore[arg-type]
        (lambda _: Choice(beams=0), "beams=0: keep at least 1"),
        (lambda _: Choice(temperature=0), "temperature=0: it must be above 0"),
        (lambda _: Choice(temperature=float("nan")), "temperature=nan: it must be above 0"),
        (lambda _: Choice(beams=2, temperature=1), "beams=2 and temperature=1: leave one of them out"),
        (lambda _: Choice(top_k=5), "top_k=5 limits what is drawn: give a temperature"),
        (lambda _: Choice(temperature=1, top_k=0), "top_k=0: draw among at least 1"),
    ],
)
def test_what_makes_no_sense_is_an_error(recommender: Recommender, call: Callable[[Recommender], Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(recommender)


def test_a_causal_model_has_nothing_to_say_of_what_comes_before(tmp_path: Path) -> None:
    causal = load(tmp_path, before=None)
    assert len(causal.extend([3], 2).added) == 2
    for mode in ("pre", "both"):
        with pytest.raises(
            UserError, match=r"toy has no encoder_backwards.onnx: only a model that sees both sides predicts what"
        ):
            causal.extend([3], 2, mode)


def test_a_row_that_is_through_waits_for_the_others(recommender: Recommender) -> None:
    model = recommender.model
    scorer = Scorer.of_model(model, Catalogue.of(model.matrix, model.recommendable), sizes=BlockSizes(), batch_users=4)
    histories = Ragged.of([[2, 3, 4, 5, 6, 7, 8], [4]])
    start = Start(sequences=histories, hidden=histories, hashes=np.zeros(2, np.int64))
    added = extend_sequences(start, [False] * 3, scorer=scorer)
    assert added.items[0].tolist() == [9, NONE, NONE]
    assert (added.items[1] - 1).tolist() == recommender.extend([3], 3).sequence[1:]
