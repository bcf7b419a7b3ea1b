"""Vectors of texts by their words, against numpy's singular value decomposition of the dense matrix."""

import random

import numpy as np
import pytest

from seqrec.texts.terms import LEAST_TEXTS, SparseRows, fit_terms, main_directions, multiply, transpose, weigh, words

TEXTS = [
    f"{kind} {colour} {number % 7}"
    for number, (kind, colour) in enumerate(
        [(kind, colour) for kind in ("car", "bus", "train", "bike", "boat") for colour in ("red", "blue", "green", "black red")]
    )
]


def test_the_directions_are_those_of_the_dense_matrix() -> None:
    basis = fit_terms(TEXTS, dimension=5, most_terms=100, seed=3)
    dense = np.zeros((len(TEXTS), len(basis.terms)))
    for row, text in enumerate(TEXTS):
        places, weights = weigh(text, basis.places, basis.idf)
        dense[row, places] = weights
    _, values, rows = np.linalg.svd(dense, full_matrices=False)
    assert values[4] - values[5] > 1e-3  # else the directions aren't unique
    np.testing.assert_allclose(np.abs(basis.directions.T @ rows[:5].T), np.eye(5), atol=1e-4)
    encoded = dense @ basis.directions
    expected = encoded / np.linalg.norm(encoded, axis=1, keepdims=True)
    np.testing.assert_allclose(basis.encode(TEXTS), expected, atol=1e-6)
    assert (basis.directions[np.abs(basis.directions).argmax(axis=0), np.arange(5)] > 0).all()


def test_weights_are_those_worked_out_by_hand() -> None:
    """Of 4 texts, 2 have car and 3 have red: idf 1 + ln(5/3) and 1 + ln(5/4); red is there twice: 1 + ln 2."""
    basis = fit_terms(["red red car", "red car", "red bus", "boat"], dimension=1, most_terms=10, seed=0)
    assert basis.terms == ("car", "red")
    raw = np.array([1 + np.log(5 / 3), (1 + np.log(2)) * (1 + np.log(5 / 4))])
    np.testing.assert_allclose(weigh("red red car", basis.places, basis.idf)[1], raw / np.linalg.norm(raw), rtol=1e-6)


def test_vectors_depend_neither_on_the_order_of_the_texts_nor_on_the_others() -> None:
    shuffled = random.Random(1).sample(TEXTS, len(TEXTS))
    basis, other = (fit_terms(texts, dimension=4, most_terms=8, seed=1) for texts in (TEXTS, shuffled))
    assert basis.sha256() == other.sha256()
    assert len(basis.terms) == 8
    alone = np.concatenate([basis.encode([text]) for text in TEXTS])
    assert np.array_equal(basis.encode(TEXTS), alone)
    assert not basis.encode(["of other words", ""]).any()


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_sparse_products_are_those_of_dense_matrices(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqrec.texts.terms.CHUNK", chunk)
    draw = np.random.default_rng(0)
    dense = draw.standard_normal((6, 4)) * (draw.random((6, 4)) < 0.5)
    dense[:, 0] = dense[0] = 1.0
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(6))
    matrix = SparseRows(starts, columns, dense[rows, columns], 4)
    other = draw.standard_normal((4, 3))
    np.testing.assert_allclose(multiply(matrix, other), dense @ other)
    np.testing.assert_allclose(multiply(transpose(matrix), dense @ other), dense.T @ dense @ other)
    assert main_directions(matrix, dimension=2, seed=0).shape == (4, 2)


def test_words_of_one_text_alone_count_for_nothing() -> None:
    assert LEAST_TEXTS == 2
    assert fit_terms(["Heat", "Casino"], dimension=2, most_terms=10, seed=0).directions.shape == (0, 0)
    assert words("L'été_2: Zoë’s") == ["l", "été", "2", "zoë", "s"]
