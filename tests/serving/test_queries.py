"""Histories into queries, in batches by length."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.serving.queries import RUN_TOKENS, encode_histories, length_classes, open_encoder
from tests.scoring.toy import sum_of_embeddings

MATRIX = np.array([[0, 0], [9, 9], [1, 0], [0, 1], [2, 2]], np.float32)


class Recorder:
    """A session that keeps the shapes it was run with."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.shapes: list[tuple[int, int]] = []

    def run(self, outputs: list[str], inputs: dict[str, NDArray[np.int64]]) -> Any:
        users, length = inputs["items"].shape
        self.shapes.append((users, length))
        return self.session.run(outputs, inputs)


@pytest.fixture
def session(tmp_path: Path) -> Recorder:
    onnx.save(sum_of_embeddings(MATRIX), tmp_path / "encoder.onnx")
    return Recorder(open_encoder(str(tmp_path / "encoder.onnx"), 1))


def test_only_the_last_items_count_and_an_empty_history_is_zero(session: Recorder) -> None:
    histories = Ragged.of([[2, 3], [], [4, 2, 2, 3, 3], [4]])
    queries = encode_histories(session, histories, max_len=3, dim=2)
    assert queries.tolist() == [[1, 1], [0, 0], [1, 2], [2, 2]]


def test_the_shape_of_a_run_depends_on_the_length_alone(session: Recorder) -> None:
    encode_histories(session, Ragged.of([[2] * 30]), max_len=30, dim=2)
    encode_histories(session, Ragged.of([[3] * size for size in range(31)] * 5), max_len=30, dim=2, batch_users=256)
    by_length: dict[int, set[int]] = {}
    for users, length in session.shapes:
        by_length.setdefault(length, set()).add(users)
    assert all(len(users) == 1 for users in by_length.values())
    assert by_length[30] == {RUN_TOKENS // 30}
    assert by_length[1] == {256}


def test_no_history_is_padded_by_more_than_a_sixth() -> None:
    classes = length_classes(200)
    lengths = np.arange(1, 201)
    padded = classes[np.searchsorted(classes, lengths)]
    assert padded.max() == 200
    assert ((padded - lengths) <= np.ceil(lengths / 6)).all()


def test_a_query_that_is_not_finite_raises(tmp_path: Path) -> None:
    onnx.save(sum_of_embeddings(np.where(MATRIX == 9, np.nan, MATRIX)), tmp_path / "encoder.onnx")
    with pytest.raises(ValueError, match="not finite"):
        encode_histories(open_encoder(str(tmp_path / "encoder.onnx"), 1), Ragged.of([[1]]), max_len=3, dim=2)
