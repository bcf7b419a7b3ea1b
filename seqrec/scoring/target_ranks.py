"""What Spark's Python workers compute to evaluate a model: the ranks of held-out items, and lists of the same candidates."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.ragged import Ragged
from seqrec.scoring.encoded_users import Encoded
from seqrec.scoring.lists import Batches, listed_entries, no_lists
from seqrec.scoring.shipping import Shipped
from seqrec.serving.topk import BlockSizes, Catalogue, rank_targets, top_k


def rank_batches(batches: Batches, *, model: Shipped, k: int, sizes: BlockSizes) -> Batches:
    """user_id, targets, ranks, items and source, of batches of user_id, items, seen, targets and user (the hash)."""
    opened = model.open()
    for batch in batches:
        users = Encoded.of_batch(opened, batch, batch_users=sizes.users)
        targets = Ragged.of_arrow(batch.column("targets"))
        others = users.seen.where(~_in_lists(users.seen, targets))
        items, scores = no_lists(len(targets), k)
        ranks = np.zeros(len(targets.values), np.int64)
        counted = np.ones((len(users.cold), 1))
        for rows, query, matrix in ((users.warm, users.queries, opened.matrix), (users.cold, counted, opened.popularity)):
            mine = np.isin(targets.rows, rows)
            ranks[mine] = rank_targets(query, matrix, users.seen.take(rows), targets.take(rows), sizes=sizes)
            items[rows], scores[rows] = top_k(query, Catalogue.of(matrix), k=k, seen=others.take(rows), sizes=sizes)
        lists, sources = listed_entries(items, scores, opened.ids), pa.array(users.sources, pa.string())
        ranked = pa.ListArray.from_arrays(pa.array(targets.offsets, pa.int32()), pa.array(ranks))
        columns = [batch.column("user_id"), batch.column("targets"), ranked, lists, sources]
        yield pa.RecordBatch.from_arrays(columns, names=["user_id", "targets", "ranks", "items", "source"])


def _in_lists(items: Ragged, lists: Ragged) -> NDArray[np.bool_]:
    """Whether each item of N lists is in the list of the same number."""
    width = 1 + max(items.values.max(initial=0), lists.values.max(initial=0))
    return np.isin(items.rows * width + items.values, lists.rows * width + lists.values)
