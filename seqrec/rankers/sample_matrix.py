"""The rows of a split in memory, encoded: what trees are trained on, and what metrics are computed from."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from seqrec.command.free_memory import free_memory
from seqrec.errors import UserError
from seqrec.rankers.samples import ITEM_MEAN, USER, Labels, Samples
from seqrec.serving.feature_encoding import Encoding, Features, numbers
from seqrec.serving.ranker import Ranker
from seqrec.user_hashes import hash_ids


@dataclass(frozen=True, kw_only=True)
class SampleMatrix:
    """N rows: features (N, F), labels (N,), and the hashes (N,) of their users, 0 where the table has no users."""

    features: Features
    labels: Labels
    users: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class ScoredRows:
    """N rows: a ranker's scores, labels, the hashes of users, and the item's mean rating, NaN where there is none."""

    scores: NDArray[np.float32]
    labels: Labels
    users: NDArray[np.int64]
    item_means: NDArray[np.float32]


def read_matrix(samples: Samples, encoding: Encoding, *, split: str, rows: int) -> SampleMatrix:
    """All `rows` rows of a split with a label: 4 · F bytes a row; UserError if they need more than the free memory."""
    needed, free = 4 * rows * len(encoding.features), free_memory()
    if needed > free:
        raise UserError(
            f"{samples.place}: {rows:,} rows of {split} with {len(encoding.features)} features need {needed / 2**30:.1f} GiB of "
            f"memory, {free / 2**30:.1f} are free: name fewer columns, or give samples with fewer rows of {split}"
        )
    features: Features = np.empty((rows, len(encoding.features)), np.float32)
    labels, users, first = np.empty(rows, np.float32), np.empty(rows, np.int64), 0
    for batch in samples.labelled(split, [*encoding.names, *_there(samples, USER)]):
        block = slice(first, first + len(batch.labels))
        features[block], labels[block] = encoding.encode(batch.rows), batch.labels
        users[block] = _user_hashes(batch.rows)
        first = block.stop
    return SampleMatrix(features=features, labels=labels, users=users)


def score_rows(ranker: Ranker, samples: Samples, *, split: str) -> ScoredRows:
    """The scores of all rows of a split with a label: 24 bytes a row, and one batch of features at a time."""
    columns = [*ranker.encoding.names, *_there(samples, USER, ITEM_MEAN)]
    parts = [
        (ranker.score(batch.rows), batch.labels, _user_hashes(batch.rows), _item_means(batch.rows))
        for batch in samples.labelled(split, columns)
    ]
    scores, labels, users, item_means = (np.concatenate(column) for column in zip(*parts, strict=True))
    return ScoredRows(scores=scores, labels=labels, users=users, item_means=item_means)


def read_item_means(samples: Samples, *, split: str) -> tuple[NDArray[np.float32], Labels]:
    """The mean ratings of the items, NaN where there is none, and the labels of a split's rows: 8 bytes a row."""
    batches = samples.labelled(split, _there(samples, ITEM_MEAN))
    means, labels = zip(*((_item_means(batch.rows), batch.labels) for batch in batches), strict=True)
    return np.concatenate(means), np.concatenate(labels)


def _there(samples: Samples, *names: str) -> list[str]:
    """Those of the columns that the table has."""
    return [name for name in names if name in samples.arrow.names]


def _user_hashes(rows: pa.RecordBatch) -> NDArray[np.int64]:
    """The hashes (N,) of the rows' users."""
    if USER not in rows.schema.names:
        return np.zeros(len(rows), np.int64)
    encoded = rows.column(USER).dictionary_encode()
    hashes: NDArray[np.int64] = hash_ids(encoded.dictionary)[encoded.indices.to_numpy()]
    return hashes


def _item_means(rows: pa.RecordBatch) -> NDArray[np.float32]:
    """The mean ratings (N,) of the rows' items."""
    if ITEM_MEAN not in rows.schema.names:
        return np.full(len(rows), np.nan, np.float32)
    return numbers(rows.column(ITEM_MEAN), name=ITEM_MEAN)
