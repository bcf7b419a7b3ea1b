"""Vectors of items into a model's rows before its first step: projected to its width, and as large as drawn weights are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqrec.indices import FIRST_ITEM
from seqrec.models.encoder import Encoder
from seqrec.models.item_rows import CompletedRows, ProjectedRows
from seqrec.training.item_vectors import ItemVectors

NEAREST = 10  # trained items whose rows a cold item gets the mean of
BLOCK = 1024  # cold items that are compared at a time

Use = Literal["initialise", "project"]


@dataclass(frozen=True, kw_only=True)
class VectorStart:
    """How vectors enter a model: the arguments of its rows (see `build_rows`), and what is done before the first step."""

    arguments: dict[str, int]
    begin: Callable[[Encoder], None]


def plan_vectors(vectors: ItemVectors, *, use: Use, dim: int) -> VectorStart:
    """How vectors enter a model of a width."""
    if use == "project":
        reduced = principal_components(vectors.matrix, dim=dim)
        return VectorStart(
            arguments={"width": reduced.shape[1]}, begin=partial(_begin_projected, vectors=reduced, trained=vectors.trained)
        )
    cold = np.flatnonzero(vectors.known & ~vectors.trained)
    nearest = min(NEAREST, int(vectors.trained.sum()))
    return VectorStart(
        arguments={"cold": len(cold), "nearest": nearest}, begin=partial(_begin_completed, vectors=vectors, cold=cold, dim=dim)
    )


def principal_components(matrix: NDArray[np.float32], *, dim: int) -> NDArray[np.float32]:
    """Vectors (V, E) -> (V, min(E, dim)): centred, in the directions of their largest variance, of standard deviation 1 overall.

    >>> principal_components(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32), dim=1)
    array([[-1.],
           [ 1.]], dtype=float32)
    """
    centred = matrix.astype(np.float64) - matrix.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
    chosen = directions[:, ::-1][:, :dim]
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    reduced = centred @ (chosen * signs)
    spread = reduced.std()
    scaled: NDArray[np.float32] = (reduced / spread if spread else reduced).astype(np.float32)
    return scaled


def nearest_trained(
    vectors: ItemVectors, cold: NDArray[np.int64], *, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For cold items (C,), the places (C, K) of the trained items with the largest cosines, and shares (C, K) that sum to 1.

    Shares are the cosines above that of the first item left out, so that the last neighbours count least; ties go to the lower
    place.
    """
    lengths = np.linalg.norm(vectors.matrix, axis=1, keepdims=True)
    directions = vectors.matrix / np.where(lengths > 0, lengths, 1)
    trained = np.flatnonzero(vectors.trained)
    places, shares = np.zeros((len(cold), count), np.int64), np.zeros((len(cold), count), np.float32)
    for first in range(0, len(cold), BLOCK):
        rows = slice(first, first + BLOCK)
        cosines = directions[cold[rows]] @ directions[trained].T  # (C, T)
        order = np.argsort(-cosines, axis=1, kind="stable")[:, : count + 1]
        best = np.take_along_axis(cosines, order, axis=1)
        above = best[:, :count] - best[:, -1:] + 1e-6
        places[rows], shares[rows] = trained[order[:, :count]], above / above.sum(axis=1, keepdims=True)
    return places, shares


def _begin_projected(model: Encoder, *, vectors: NDArray[np.float32], trained: NDArray[np.bool_]) -> None:
    """Set the vectors; the projection begins as the first `width` rows of the unit matrix, as large as the free parts."""
    rows = model.get_submodule("items")
    assert isinstance(rows, ProjectedRows)
    with torch.no_grad():
        rows.vectors[FIRST_ITEM:] = _on(rows.vectors, vectors)
        rows.trained[FIRST_ITEM:] = _on(rows.trained, trained[:, None])
        rows.projection.copy_(torch.eye(*rows.projection.shape) * _drawn_spread(rows.free.weight))


def _begin_completed(model: Encoder, *, vectors: ItemVectors, cold: NDArray[np.int64], dim: int) -> None:
    """Set the rows to the vectors' components, as large as they were drawn; the components that vectors lack stay as drawn."""
    rows = model.get_submodule("items")
    assert isinstance(rows, CompletedRows)
    reduced = principal_components(vectors.matrix, dim=dim)
    places, shares = nearest_trained(vectors, cold, count=rows.nearest.shape[1])
    with torch.no_grad():
        spread = _drawn_spread(rows.free.weight)
        rows.free.weight[FIRST_ITEM:, : reduced.shape[1]] = _on(rows.free.weight, reduced) * spread
        rows.cold.copy_(torch.from_numpy(cold + FIRST_ITEM))
        rows.nearest.copy_(torch.from_numpy(places + FIRST_ITEM))
        rows.shares.copy_(torch.from_numpy(shares))


def _drawn_spread(weight: Tensor) -> float:
    """The standard deviation of the rows of items, as they were drawn."""
    return float(weight[FIRST_ITEM:].std(correction=0))


def _on(like: Tensor, array: NDArray[np.float32] | NDArray[np.bool_]) -> Tensor:
    """An array as a tensor of the type and on the device of another."""
    return torch.from_numpy(array).to(like)
