"""A version of preferences: pairs of items that users took and didn't, made of the training events of a dataset."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.command.bars import working_on
from seqrec.dataset.windows import Filing, shuffle_into_files
from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.scoring.preference_pairs import (
    LOW_RATED,
    NEIGHBOURS,
    SCORED,
    draw_positions,
    list_pairs,
    reject_low_rated,
    training_histories,
)
from seqrec.scoring.rejected import search_matrix, search_scores, search_vectors
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import reject_items
from seqrec.serving.exports import Export, check_lineage, check_unlearned
from seqrec.storage import files, versions
from seqrec.storage.draft import Draft
from seqrec.storage.metadata import PreferencesMeta
from seqrec.tables import io, schemas
from seqrec.tables.datasets import Dataset

TABLE = "preferences"


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """How many pairs of each source a user has, and how rejected items are drawn: among the `top` best, by the seed."""

    quotas: Mapping[str, int]
    top: int
    seed: int
    filing: Filing


def write_preferences(
    draft: Draft, dataset: Dataset, *, settings: PairSettings, export: Export | None, vectors: str | None
) -> dict[str, int]:
    """Act: write the table preferences into a version; returns the counts, which its meta.json has too.

    The export scores; neighbours are those in a folder or table of vectors or, without one, in the export's item matrix. Raises
    UserError if the model doesn't fit the dataset, if a source has no pair, or if the events have no ratings that it needs.
    """
    quotas = {source: quota for source, quota in settings.quotas.items() if quota}
    if export is not None:
        _check_model(export, dataset)
    if LOW_RATED in quotas:
        _check_ratings(dataset)
    working_on("drawing the pairs")
    histories = training_histories(dataset.events).persist()
    rejecters = _rejecters(dataset, quotas, top=settings.top, export=export, vectors=vectors)
    parts = []
    for source, quota in quotas.items():
        drawn = draw_positions(histories, source=source, quota=quota, seed=settings.seed)
        rejected = rejecters[source](drawn)
        parts.append(list_pairs(rejected, source=source, max_len=dataset.meta.max_len, seed=settings.seed))
    drawn = reduce(DataFrame.unionByName, parts).persist(StorageLevel.DISK_ONLY)
    pairs = drawn.where(F.col("rejected") >= FIRST_ITEM)
    counts = _count(drawn, pairs, quotas, dataset)
    _write(pairs, files.join(draft.path, TABLE), settings.filing)
    drawn.unpersist()
    histories.unpersist()
    PreferencesMeta(
        run_id=draft.run_id,
        dataset=dataset.meta.run_id,
        max_len=dataset.meta.max_len,
        model=export.meta.run_id if export else None,
        export=export.meta.export if export else None,
        counts=counts,
        settings=draft.settings,
    ).write(draft.path)
    return counts


def read_vectors(dataset: Dataset, folder: str) -> NDArray[np.float32]:
    """Act: the vectors (V + 2, E) of a dataset's items, zeros for those without; UserError if none of them has one."""
    spark, path = dataset.spark, folder
    if files.exists(files.join(folder, versions.CURRENT)) or versions.RUN_ID.match(folder.rstrip("/").rpartition("/")[2]):
        path = files.join(versions.resolve(folder), "item_vectors")
    table = io.read_table(spark, path, schemas.item_vectors(dataset.item))
    io.assert_unique(table, key="item_id", path=path)
    ours = table.join(dataset.items.select("item_id", "item_idx"), "item_id").select("item_idx", "embedding").toArrow()
    if not len(ours):
        raise UserError(
            f"vectors={folder}: none of its {table.count():,} ids is an item of {dataset.path}: take the vectors of it"
        )
    rows = [np.asarray(row, np.float32) for row in ours["embedding"].to_pylist()]
    widths = {len(row) for row in rows}
    if len(widths) > 1 or not all(np.isfinite(row).all() for row in rows):
        raise UserError(
            f"vectors={folder}: the vectors have {sorted(widths)} numbers, or some that aren't finite: mend the table"
        )
    matrix = np.zeros((dataset.meta.vocabulary.size + FIRST_ITEM, widths.pop()), np.float32)
    matrix[ours["item_idx"].to_numpy()] = rows
    return matrix


def _write(pairs: DataFrame, path: str, filing: Filing) -> None:
    """Act: write pairs into files of near-equal rows, in the order of a hash."""
    buckets = {row["bucket"]: row["count"] for row in pairs.groupBy("bucket").count().collect()}
    schema = schemas.preferences()
    io.write_table(shuffle_into_files(pairs, buckets=buckets, filing=filing, columns=schema.fieldNames()), path, schema)


def _check_model(export: Export, dataset: Dataset) -> None:
    """Raise UserError for a model of another vocabulary, or one that may have learned what the dataset holds out."""
    check_lineage(export.meta, dataset.meta)
    check_unlearned(f"the model {export.meta.name}", export.meta, dataset.meta)


def _check_ratings(dataset: Dataset) -> None:
    """Act: raise UserError if no training event has a rating."""
    if dataset.events.where("split = 'train' and rating is not null").isEmpty():
        raise UserError(
            f"shares.low_rated needs ratings, and the events of {dataset.path} have none: run build_sequences with "
            "input.columns.rating=COLUMN, or set shares.low_rated=0"
        )


Rejecter = partial[DataFrame]  # drawn positions -> the same with `rejected`


def _rejecters(
    dataset: Dataset, quotas: Mapping[str, int], *, top: int, export: Export | None, vectors: str | None
) -> dict[str, Rejecter]:
    """Act: how each source of the quotas finds rejected items; the model is shipped, and vectors are broadcast."""
    spark, rejecters = dataset.spark, {LOW_RATED: partial(reject_low_rated)}
    model = None if export is None else ship(spark, export)
    if SCORED in quotas:
        assert model is not None  # the settings see to it
        rejecters[SCORED] = partial(reject_items, opened=partial(search_scores, model), top=top)
    if NEIGHBOURS in quotas and vectors is None:
        assert model is not None
        rejecters[NEIGHBOURS] = partial(reject_items, opened=partial(search_matrix, model), top=top)
    elif NEIGHBOURS in quotas:
        matrix, trained = read_vectors(dataset, str(vectors)), np.zeros(dataset.meta.vocabulary.size + FIRST_ITEM, bool)
        trained[dataset.items.where("count > 0").select("item_idx").toArrow()["item_idx"].to_numpy()] = True
        shared = spark.sparkContext.broadcast((matrix, trained))
        rejecters[NEIGHBOURS] = partial(reject_items, opened=lambda: search_vectors(*shared.value), top=top)
    return rejecters


def _count(drawn: DataFrame, pairs: DataFrame, quotas: Mapping[str, int], dataset: Dataset) -> dict[str, int]:
    """Act: the counts of meta.json; UserError for a source without a pair."""
    rows = {row["source"]: row["count"] for row in pairs.groupBy("source").count().collect()}
    for source in quotas:
        if not rows.get(source):
            raise UserError(f"{source} finds no pair in the training events of {dataset.path}: set shares.{source}=0")
    total = sum(rows.values())
    users = pairs.select("user_id").distinct().count()
    return {"pairs": total, "users": users, **{source: rows[source] for source in quotas}, "without": drawn.count() - total}
