"""Items by the cosine of their vectors to another one, where a search in an index has found more than are wanted."""

from typing import Any

import numpy as np

Entities = list[dict[str, Any]]  # what Milvus calls its rows


def nearest_by_cosine(query: np.ndarray[Any, Any], entities: Entities, *, k: int, bias: bool) -> Entities:
    """The k entities nearest to the query by cosine; ties by item_idx. With `bias`, the last dimension is left out.

    >>> others = [{"item_id": "far", "item_idx": 2, "embedding": [9, 9]}, {"item_id": "near", "item_idx": 3, "embedding": [1, 0]}]
    >>> nearest_by_cosine(np.array([2.0, 0.0]), others, k=1, bias=False)
    [{'item_id': 'near', 'item_idx': 3, 'score': 1.0}]
    """
    if not entities:
        return []
    width = len(query) - bias
    matrix = np.asarray([entity["embedding"] for entity in entities], np.float64)[:, :width]  # (N, width)
    vector = np.asarray(query[:width], np.float64)  # (width,)
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector)
    scores = np.divide(matrix @ vector, lengths, out=np.zeros(len(entities)), where=lengths > 0)  # (N,)
    best = np.lexsort(([entity["item_idx"] for entity in entities], -scores))[:k].tolist()
    return [
        {"item_id": entities[row]["item_id"], "item_idx": entities[row]["item_idx"], "score": float(scores[row])} for row in best
    ]
