"""Candidates that a ranker orders: what a user doesn't get leaves the others' features as they were."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.candidate_rows import ItemFeatures
from seqrec.serving.second_stage import SecondStage
from seqrec.serving.sorted_ids import SortedIds

ITEMS = pa.table({"item_id": ["a", "b", "c", "d"], "year": [1, 2, 3, 4]})
LISTS = {7: [5, 3, 2], 8: [4, 5]}  # the candidates of two users, by index


def by_rank(rows: pa.RecordBatch) -> NDArray[np.float32]:
    """As a score, the rank in the merged list: what stands behind comes first."""
    scores: NDArray[np.float32] = rows.column("rank_merged").to_numpy()
    return scores


def best(**left_out: Any) -> list[list[tuple[str, float]]]:
    """The lists of the two users."""
    entries = [
        [{"item_id": "abcd"[item - 2], "item_idx": item, "score": 1.0, "sources": []} for item in items]
        for items in LISTS.values()
    ]
    source = pa.struct({"name": pa.string(), "rank": pa.int32(), "score": pa.float32()})
    entry = pa.struct({"item_id": pa.string(), "item_idx": pa.int32(), "score": pa.float32(), "sources": pa.list_(source)})
    lists = pa.RecordBatch.from_pydict({"user_id": list(LISTS), "items": pa.array(entries, pa.list_(entry))})
    stage = SecondStage(score=by_rank, features=ItemFeatures.of(ITEMS), sources=[])
    return [[(one["item_id"], one["score"]) for one in user] for user in stage.best(lists, 9, **left_out).to_pylist()]


def test_all_candidates_in_the_order_of_their_scores() -> None:
    assert best() == [[("a", 3.0), ("b", 2.0), ("d", 1.0)], [("d", 2.0), ("c", 1.0)]]


def test_what_is_hidden_from_a_user_leaves_the_ranks_of_the_others() -> None:
    hidden = Ragged.of([[3, 9], []])
    assert best(hidden=hidden) == [[("a", 3.0), ("d", 1.0)], [("d", 2.0), ("c", 1.0)]]
    denied = SortedIds.of(pa.array(["d"]))
    assert best(hidden=hidden, deny=denied) == [[("a", 3.0)], [("c", 1.0)]]
    assert best(hidden=Ragged.of([[2, 3, 5], [4]])) == [[], [("d", 2.0)]]
