"""Items by the cosine of their vectors to another one, found by searches in an index that may order by the inner product."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Entities = list[dict[str, Any]]  # what Milvus calls its rows
LEAST_HITS, MOST_HITS = 100, 10_000  # of a search
SAMPLE = 1000  # vectors by which `short_length` is estimated
WIDER = 10  # times as many hits has the next search, where the last may have missed some


def search_nearest(
    search: Callable[[int], Entities],
    query: np.ndarray[Any, Any],
    *,
    k: int,
    short: float | None,
    bias: bool,
    most: int = MOST_HITS,
) -> Entities:
    """The k entities nearest to the query by cosine, of those that search(n) finds: the first n in the order of the index.

    An index by the inner product has long vectors first. It is searched again for more, up to `most`, while a vector of the
    length `short` (see `short_length`), or as short as those that were found, could be among the k and not be found. None: the
    index is by the cosine.
    """
    limit = min(max(10 * k, LEAST_HITS), MOST_HITS)
    most = max(limit, min(most, MOST_HITS))
    while True:
        entities = search(limit)
        nearest = nearest_by_cosine(query, entities, k=k, bias=bias)
        if short is None or len(entities) < limit or limit == most:
            return nearest
        products = _vectors(entities, width=len(query) - bias) @ np.asarray(query[: len(query) - bias], np.float64)  # (N,)
        length = min(short, short_length(entities, bias=bias)) * np.linalg.norm(query[: len(query) - bias])
        if len(nearest) == k and products.min() <= nearest[-1]["score"] * length:
            return nearest
        limit = min(WIDER * limit, most)


def short_length(entities: Entities, *, bias: bool) -> float:
    """The length below which 1 % of the vectors lie, without those of zeros; infinite without any.

    With `bias`, the last dimension is left out.
    """
    lengths = np.linalg.norm(_vectors(entities, width=-1 if bias else None), axis=1) if entities else np.zeros(0)
    return float(np.quantile(lengths[lengths > 0], 0.01)) if lengths.any() else np.inf


def _vectors(entities: Entities, *, width: int | None) -> NDArray[np.float64]:
    """The vectors (N, width) of N entities, of which there is at least one."""
    return np.asarray([entity["embedding"] for entity in entities], np.float64).reshape(len(entities), -1)[:, :width]


def nearest_by_cosine(query: np.ndarray[Any, Any], entities: Entities, *, k: int, bias: bool) -> Entities:
    """The k entities nearest to the query by cosine; ties by item_idx. With `bias`, the last dimension is left out.

    >>> others = [{"item_id": "far", "item_idx": 2, "embedding": [9, 9]}, {"item_id": "near", "item_idx": 3, "embedding": [1, 0]}]
    >>> nearest_by_cosine(np.array([2.0, 0.0]), others, k=1, bias=False)
    [{'item_id': 'near', 'item_idx': 3, 'score': 1.0}]
    """
    if not entities:
        return []
    width = len(query) - bias
    matrix = _vectors(entities, width=width)
    vector = np.asarray(query[:width], np.float64)  # (width,)
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    scores = np.divide(matrix @ vector, lengths, out=np.zeros(len(entities)), where=lengths > 0)  # (N,)
    best = np.lexsort(([entity["item_idx"] for entity in entities], -scores))[:k].tolist()
    return [
        {"item_id": entities[row]["item_id"], "item_idx": entities[row]["item_idx"], "score": float(scores[row])} for row in best
    ]
