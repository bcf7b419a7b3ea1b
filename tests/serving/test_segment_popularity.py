"""Popular lists of a segment of users."""

import numpy as np
import pytest

from seqrec.ragged import Ragged
from seqrec.serving import segment_popularity
from seqrec.serving.segment_popularity import SegmentLists, SegmentPopularity
from seqrec.serving.topk import DEFAULT_SIZES, Catalogue, top_k


def test_items_whose_scores_are_written_alike_stand_in_the_order_of_their_indices() -> None:
    """Of 1000 + 1.2e-4 and 1000 + 1.4e-4 single precision makes the same number; 1000 + 0.9 is another."""
    popularity = SegmentPopularity({"FR": np.array([2, 3, 4])}, {"FR": np.array([1000, 1000, 1000])})
    overall = np.array([0.0, 0.0, 1.2e3, 1.4e3, 9e6, 1e6])[:, None]
    items, scores = top_k(np.ones((1, 1)), Catalogue.of(popularity.matrix("FR", overall)), k=4, seen=Ragged.of([[]]))
    assert items.tolist() == [[4, 2, 3, 5]]
    assert scores[0, 1] == scores[0, 2] == np.float32(1000 + 1.2e-4)


@pytest.mark.parametrize("available", [60, 2, 0])
def test_lists_are_those_of_each_user_and_a_segment_is_put_in_order_once(monkeypatch: pytest.MonkeyPatch, available: int) -> None:
    draw = np.random.default_rng(5)
    overall = draw.integers(0, 30, (62, 1)).astype(np.float64)
    items_of = {name: draw.permutation(np.arange(2, 62))[:20] for name in "ab"}
    popularity = SegmentPopularity(items_of, {name: draw.integers(1, 9, 20) for name in "ab"})
    catalogue = Catalogue.of(overall, np.arange(62) < 2 + available)
    lists, calls = SegmentLists(popularity, catalogue, DEFAULT_SIZES), []

    def counted(*given: object, **named: object) -> object:
        calls.append(named["k"])
        return top_k(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(segment_popularity, "top_k", counted)
    monkeypatch.setattr(segment_popularity, "USERS", 7)
    for _ in range(2):
        segments = draw.choice(np.array(["a", "b", "c", None], dtype=object), 50)
        seen = Ragged.of([draw.permutation(np.arange(0, 70))[:size].tolist() for size in draw.integers(0, 9, 50)])
        items, scores = lists.lists(seen, segments, 6)
        for user, name in enumerate(segments):
            alone = Catalogue.of(popularity.matrix(name, overall), np.arange(62) < 2 + available)
            of_one = top_k(np.ones((1, 1)), alone, k=6, seen=seen.take(np.array([user])))
            assert items[user].tolist() == of_one[0][0].tolist()
            assert scores[user].tolist() == of_one[1][0].tolist()
    assert len(calls) == 4
