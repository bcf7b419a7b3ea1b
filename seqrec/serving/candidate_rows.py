"""Candidates joined with features: a row for each candidate of a user, the same for a ranker's samples and for its scoring.

    lists (a user a row)                                          rows (a candidate a row)
    user_id  items                    user's features             user_id  user's  item_id  item_idx  item's  rank_S  score_S
    7        [{a, sources}, {b, …}]   age=31                  ->  7        31      a        5         …       1       0.8
                                                                  7        31      b        9         …       null    null

This is the only place where the two meet: build_ranker_samples writes these rows, batch_recommend and `Recommender` score them.
It is Arrow and NumPy alone, as Python's workers on Spark and a notebook call it. Lists are as in `schemas.candidates`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from seqrec.serving.sorted_ids import SortedIds

MERGED = "merged"  # the lists that are merged of all sources; settings refuse a source of that name
USERS_AT_ONCE = 256  # whose rows are in memory: 256 users with 100 candidates and 40 columns are 8 MB


@dataclass(frozen=True)
class ItemFeatures:
    """The features of all items in memory: their ids (I,), and a table of I rows."""

    ids: SortedIds
    columns: pa.Table

    @classmethod
    def of(cls, table: pa.Table) -> "ItemFeatures":
        """Of a table of item_id and features."""
        whole = table.combine_chunks()
        ids = whole["item_id"].chunk(0) if len(whole) else pa.array([], whole.schema.field("item_id").type)
        return cls(SortedIds.of(ids), whole.drop_columns(["item_id"]))

    def take(self, ids: pa.Array) -> pa.Table:
        """The features (N rows) of items by their ids (N,); nulls for an item that isn't there."""
        return self.columns.take(self.ids.find(ids))


def source_features(sources: Sequence[str]) -> list[str]:
    """The columns of a candidate's ranks and scores, in the merged lists and in those of each source.

    >>> source_features(["swing"])
    ['rank_merged', 'score_merged', 'rank_swing', 'score_swing']
    """
    return [f"{kind}_{name}" for name in (MERGED, *sources) for kind in ("rank", "score")]


def candidate_rows(lists: pa.RecordBatch, features: ItemFeatures, sources: Sequence[str]) -> pa.RecordBatch:
    """The candidates of N users: the columns of their users, item_id, item_idx, the features of the item, `source_features`.

    Lists have `items` beside the columns of the users. Ranks (from 1) and scores are floats, null where a source doesn't
    propose the item. Candidates stay in the order of the lists.
    """
    listed = lists.column("items")
    lengths = list_lengths(listed)
    entries, users = listed.flatten(), pa.array(np.repeat(np.arange(len(lengths)), lengths))
    columns = {name: lists.column(name).take(users) for name in lists.schema.names if name != "items"}
    ids = entries.field("item_id")
    columns |= {"item_id": ids, "item_idx": entries.field("item_idx")}
    described = features.take(ids).combine_chunks()
    columns |= {name: _plain(described[name]) for name in described.column_names}
    within = np.arange(len(entries)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
    columns |= {f"rank_{MERGED}": pa.array(within, pa.float32()), f"score_{MERGED}": entries.field("score")}
    columns |= _by_source(entries.field("sources"), sources)
    return pa.RecordBatch.from_pydict(columns)


def list_lengths(lists: pa.ListArray) -> NDArray[np.int64]:
    """The lengths (N,) of lists, 0 for a null."""
    lengths: NDArray[np.int64] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    return lengths


def slices(batch: pa.RecordBatch, rows: int = USERS_AT_ONCE) -> Iterator[pa.RecordBatch]:
    """A batch in pieces of at most so many rows."""
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _by_source(listed: pa.ListArray, sources: Sequence[str]) -> dict[str, pa.Array]:
    """The rank and the score that each source gives the N candidates of `listed`, lists of name, rank and score."""
    rows = np.repeat(np.arange(len(listed)), list_lengths(listed))
    entries, columns = listed.flatten(), {}
    names = entries.field("name")
    for source in sources:
        proposed = pc.equal(names, source).to_numpy(zero_copy_only=False)
        for kind in ("rank", "score"):
            values = np.full(len(listed), np.nan, np.float32)
            values[rows[proposed]] = entries.field(kind).to_numpy(zero_copy_only=False)[proposed]
            columns[f"{kind}_{source}"] = pa.array(values, from_pandas=True)  # NaN is null
    return columns


def _plain(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    pieces = column.combine_chunks()
    return pieces if isinstance(pieces, pa.Array) else pieces.chunk(0)
