"""Texts into vectors without any model: TF-IDF, and the directions in which the texts differ most.

    basis = fit_terms(["Heat. Crime", "Casino. Crime", ...], dimension=128, most_terms=20_000, seed=42)
    basis.encode(["Ronin. Crime"])      # (1, 128), rows of length 1; rows of 0 for texts without a known word

This is latent semantic analysis (Deerwester et al. 1990): the right singular vectors of the texts' TF-IDF matrix, found by seeded
subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4). A basis is kept with the vectors, and new texts are encoded
by it, so that vectors of older items stay as they are.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"[^\W_]+")
LEAST_TEXTS = 2  # that have a word: one that a single text has says nothing about others
ROUNDS, SPARE = 6, 16  # of the iteration, and directions beyond those that are kept
CHUNK = 100_000  # entries of the sparse matrix that are multiplied at a time


class SparseRows(NamedTuple):
    """A sparse matrix (N, T): rows start at `starts` (N,), none is empty; columns and weights (E,) of the entries."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    weights: NDArray[np.float64]
    width: int


@dataclass(frozen=True, kw_only=True)
class TermBasis:
    """Words (T,) in order, the inverse document frequency of each (T,), and its coordinates in the directions (T, D)."""

    terms: tuple[str, ...]
    idf: NDArray[np.float32]
    directions: NDArray[np.float32]

    @cached_property
    def places(self) -> dict[str, int]:
        """The row of each word."""
        return {term: place for place, term in enumerate(self.terms)}

    def sha256(self) -> str:
        """A hash of the words and numbers."""
        digest = hashlib.sha256("\n".join(self.terms).encode())
        for array in (self.idf, self.directions):
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """texts (N) -> vectors (N, D) of length 1, of 0 where no word is known; bits depend on the text alone."""
        vectors = np.zeros((len(texts), self.directions.shape[1]), np.float32)
        for row, text in enumerate(texts):
            found, weights = weigh(text, self.places, self.idf)
            vector = weights @ self.directions[found].astype(np.float64)
            length = np.linalg.norm(vector)
            vectors[row] = vector / length if length > 1e-9 else 0
        return vectors


def words(text: str) -> list[str]:
    """The words of a text, small.

    >>> words("Léon: The Professional (1994)")
    ['léon', 'the', 'professional', '1994']
    """
    return WORD.findall(text.casefold())


def weigh(text: str, places: dict[str, int], idf: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The rows of a text's known words, ascending, and their TF-IDF weights (1 + ln tf) · idf, of length 1."""
    counts = Counter(places[word] for word in words(text) if word in places)
    found = np.array(sorted(counts), np.int64)
    times = np.array([counts[place] for place in found.tolist()], np.float64)
    weights = (1 + np.log(times)) * idf[found]
    return found, weights / max(float(np.linalg.norm(weights)), 1e-12)


def fit_terms(texts: Iterable[str], *, dimension: int, most_terms: int, seed: int) -> TermBasis:
    """The basis of distinct texts, whose order doesn't matter: words that at least LEAST_TEXTS have, the most frequent ones.

    It has fewer directions than asked for where there are fewer words or texts; none if no word occurs in two texts.
    idf = 1 + ln((1 + n) / (1 + texts with the word)).

    >>> basis = fit_terms(["red car", "red bus", "blue car", "blue bus"], dimension=2, most_terms=10, seed=0)
    >>> basis.terms, basis.directions.shape
    (('blue', 'bus', 'car', 'red'), (4, 2))
    """
    ordered = sorted(texts)
    frequencies = Counter(word for text in ordered for word in set(words(text)))
    frequent = sorted((-times, word) for word, times in frequencies.items() if times >= LEAST_TEXTS)[:most_terms]
    terms = tuple(sorted(word for _, word in frequent))
    idf = np.array([1 + np.log((1 + len(ordered)) / (1 + frequencies[term])) for term in terms], np.float32)
    unrotated = TermBasis(terms=terms, idf=idf, directions=np.zeros((len(terms), 0), np.float32))
    rows = [weigh(text, unrotated.places, idf) for text in ordered]
    rows = [row for row in rows if len(row[0])]
    dimension = min(dimension, len(rows), len(terms))
    if not dimension:
        return unrotated
    starts = np.cumsum([0, *(len(found) for found, _ in rows[:-1])])
    matrix = SparseRows(starts, np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows]), len(terms))
    directions = main_directions(matrix, dimension=dimension, seed=seed)
    return TermBasis(terms=terms, idf=idf, directions=directions.astype(np.float32))


def main_directions(matrix: SparseRows, *, dimension: int, seed: int) -> NDArray[np.float64]:
    """The right singular vectors (T, D) of the largest singular values, largest first; the largest entry of each is positive."""
    width = min(dimension + SPARE, matrix.width)
    turned = transpose(matrix)
    basis = np.random.default_rng(seed).standard_normal((matrix.width, width))
    for _ in range(ROUNDS):
        basis, _ = np.linalg.qr(multiply(turned, multiply(matrix, basis)))  # (T, D')
    images = multiply(matrix, basis)  # (N, D')
    values, vectors = np.linalg.eigh(images.T @ images)
    directions = basis @ vectors[:, np.argsort(-values, kind="stable")[:dimension]]
    largest = np.argmax(np.abs(directions), axis=0)
    signed: NDArray[np.float64] = directions * np.sign(directions[largest, np.arange(dimension)])
    return signed


def multiply(matrix: SparseRows, dense: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, T) · (T, D) -> (N, D).

    >>> multiply(SparseRows(np.array([0, 2]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]), 2), np.array([[1.0], [10.0]]))
    array([[21.],
           [30.]])
    """
    product = np.empty((len(matrix.starts), dense.shape[1]))
    ends = np.append(matrix.starts[1:], len(matrix.columns))
    first = 0
    while first < len(product):
        last = max(first + 1, int(np.searchsorted(ends, matrix.starts[first] + CHUNK, side="right")))
        entries = slice(int(matrix.starts[first]), int(ends[last - 1]))
        weighted = dense[matrix.columns[entries]] * matrix.weights[entries, None]  # (E, D)
        product[first:last] = np.add.reduceat(weighted, matrix.starts[first:last] - entries.start, axis=0)
        first = last
    return product


def transpose(matrix: SparseRows) -> SparseRows:
    """(N, T) -> (T, N); each column of the matrix has an entry.

    >>> transpose(SparseRows(np.array([0, 2]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]), 2)).columns.tolist()
    [0, 0, 1]
    """
    sizes = np.diff(np.append(matrix.starts, len(matrix.columns)))
    rows = np.repeat(np.arange(len(matrix.starts)), sizes)
    order = np.argsort(matrix.columns, kind="stable")
    starts = np.searchsorted(matrix.columns[order], np.arange(matrix.width))
    return SparseRows(starts, rows[order], matrix.weights[order], len(matrix.starts))
