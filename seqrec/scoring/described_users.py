"""What Spark's Python workers compute of two towers: users' features into vectors, and these into lists."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from seqrec.ragged import Ragged
from seqrec.scoring.encoded_users import MODEL
from seqrec.scoring.lists import Batches, listed_entries
from seqrec.scoring.shipping import ShippedTowers

SEEN = "_seen"  # the column of item indices, beside features of any names


@dataclass(frozen=True, kw_only=True)
class TowerTask:
    """What a task needs: where the towers lie, and how many items a list has."""

    towers: ShippedTowers
    top_k: int


def recommend_described(batches: Batches, *, task: TowerTask) -> Batches:
    """user_id, items, source and embedding, of batches of user_id, the users' features, and the column SEEN."""
    towers = task.towers.open()
    for batch in batches:
        vectors = towers.users.vectors(batch)
        items, scores = towers.best(vectors, task.top_k, seen=Ragged.of_arrow(batch.column(SEEN)))
        offsets = pa.array(np.arange(len(vectors) + 1) * vectors.shape[1], pa.int32())
        columns = {
            "user_id": batch.column("user_id"),
            "items": listed_entries(items, scores, towers.ids),
            "source": pa.array([MODEL] * len(vectors), pa.string()),
            "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel())),
        }
        yield pa.RecordBatch.from_pydict(columns)
