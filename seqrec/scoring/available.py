"""Which items of a model may be recommended: those with a training event or a vector that an allow- and a deny-list leave."""

import logging

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.serving.exports import Export
from seqrec.serving.sealed import VECTOR
from seqrec.tables import io, schemas
from seqrec.tables.id_lists import read_ids

log = logging.getLogger("seqrec")


def mark_available(spark: SparkSession, export: Export, *, allow: str | None, deny: str | None) -> NDArray[np.bool_] | None:
    """Act: marks (V + 2,) of the items that an allow-list and a deny-list (paths, see `read_ids`) leave; None without lists.

    Ids that the model doesn't know are counted in a warning; lists that leave no item that is recommended are a UserError.
    """
    if allow is None and deny is None:
        return None
    size = export.meta.vocab_size
    marks = np.full(size + FIRST_ITEM, allow is None)
    if allow is not None:
        marks[_read_indices(spark, export, allow)] = True
    if deny is not None:
        marks[_read_indices(spark, export, deny)] = False
    named = " and ".join(f"{key}={path}" for key, path in (("allow", allow), ("deny", deny)) if path is not None)
    leaves = "leave" if allow and deny else "leaves"
    if not marks[FIRST_ITEM:].any():
        raise UserError(
            f"{named} {leaves} no item of the {size} that the model knows: allow more, or give ids of the dataset's items"
        )
    if not count_available(spark, export, marks):
        left = f"{marks[FIRST_ITEM:].sum()} of the {size} items that the model knows"
        raise UserError(
            f"{named} {leaves} {left}, and 0 of them have a training event or a vector: only items with one "
            f"are recommended, so every list would be empty; widen the lists, or train with these items"
        )
    return marks


def count_available(spark: SparkSession, export: Export, marks: NDArray[np.bool_] | None) -> int:
    """Act: how many of the marked items (None: of all) have a training event or a vector; only they are recommended."""
    vocabulary = _vocabulary(spark, export)
    items = vocabulary.where(is_recommendable(vocabulary)).select("item_idx").toArrow()["item_idx"].to_numpy()
    return len(items) if marks is None else int(marks[items].sum())


def withheld_items(spark: SparkSession, export: Export) -> list[int]:
    """Act: sorted indices of a model's items without a training event and without a vector, which are never recommended."""
    vocabulary = _vocabulary(spark, export)
    withheld: list[int] = vocabulary.where(~is_recommendable(vocabulary)).select("item_idx").toArrow()["item_idx"].to_pylist()
    return sorted(withheld)


def is_recommendable(vocabulary: DataFrame) -> Column:
    """Of a model's vocabulary: whether an item is recommended; a model that took no vectors has no column of them."""
    trained = F.col("count") > 0
    return trained | F.col(VECTOR) if VECTOR in vocabulary.columns else trained


def _vocabulary(spark: SparkSession, export: Export) -> DataFrame:
    """The model's vocabulary: item_id, item_idx, count, and maybe vector."""
    return io.read_parquet(spark, export.vocabulary)


def _read_indices(spark: SparkSession, export: Export, path: str) -> NDArray[np.int64]:
    """Act: indices of the ids in a list that the model knows."""
    ids = read_ids(spark, path, column="item_id", kind=schemas.IDS[export.meta.id_types.item])
    vocabulary = _vocabulary(spark, export).select("item_id", "item_idx")
    column = ids.join(vocabulary, "item_id").select("item_idx").toArrow()["item_idx"]
    indices: NDArray[np.int64] = column.to_numpy().astype(np.int64)
    listed = ids.count()
    if len(indices) < listed:
        log.warning("%d of the %d items in %s are unknown to the model", listed - len(indices), listed, path)
    return indices
