"""A version of recommendations: the tables that a batch of scoring reads and writes."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.indices import FIRST_ITEM
from seqrec.scoring.shipping import ship
from seqrec.scoring.udf import POPULAR, embed_users, recommend_users
from seqrec.serving import exports, sealed
from seqrec.storage import files, versions
from seqrec.tables import io, schemas
from seqrec.tables.id_lists import read_ids

log = logging.getLogger("seqrec")

LISTED = ("top_k", "filter_seen")  # what meta.json says of the lists
TABLES = {"full": "sequences", "valid": "valid", "test": "test"}


def read_users(spark: SparkSession, dataset: str, users: list[str] | str | None) -> DataFrame | None:
    """Act: the users of a subset (see `read_ids`) with the id type of a dataset's version; None stands for all."""
    if users is None:
        return None
    kind = schemas.IDS[versions.read_meta(dataset, "dataset")["id_types"]["user"]]
    return read_ids(spark, users, column="user_id", kind=kind).persist()


def write_version(
    spark: SparkSession,
    folder: str,
    *,
    dataset: str,
    model: str,
    history: str,
    write: Sequence[str],
    generated_at: datetime,
    facts: dict[str, Any],
    users: DataFrame | None = None,
    allow: str | None = None,
    deny: str | None = None,
    **scoring: Any,
) -> dict[str, int]:
    """Act: score the users of a dataset's version into a version folder; returns the counts, which meta.json has too.

    `model` is an export's folder (see exports.locate); `scoring` is top_k, filter_seen, batch_users and block_items of
    recommend_users; `facts` (run_id at least) go into the meta.json. Raises UserError, before anything is written, if the model
    isn't exported, isn't whole or has another vocabulary, if there is no user to score, or if the lists leave no item.
    """
    meta, dataset_meta = exports.read_sealed(model), versions.read_meta(dataset, "dataset to train on")
    if unknown := sealed.check_lineage(meta, dataset_meta):
        log.warning("%d items of the dataset are newer than the model: they are ignored as input", unknown)
    shipped = ship(spark, model)
    sealed.verify_embeddings(model, meta)
    available = available_items(spark, model, allow=allow, deny=deny)
    histories = read_histories(spark, dataset, history=history, user_type=dataset_meta["id_types"]["user"], users=users)
    if "recommendations" in write:
        embeddings = "user_embeddings" in write
        scored = recommend_users(histories, model=shipped, available=available, embeddings=embeddings, **scoring)
    else:
        scored = embed_users(histories, model=shipped, batch_users=scoring["batch_users"])
    copied = copy_item_embeddings(spark, model, folder, item_type=shipped.item_type)
    stamps = {"model": meta["name"], "run_id": facts["run_id"], "generated_at": generated_at}
    counts = write_tables(scored, folder, item_type=shipped.item_type, stamps=stamps, write=write) | {"item_embeddings": copied}
    asked = {"dataset": dataset_meta["run_id"], "id_types": dataset_meta["id_types"], "history": history}
    asked |= {key: scoring[key] for key in LISTED} | {"available": count_available(spark, model, available)}
    versions.write_meta(folder, {**exports.origin(meta), **asked, **facts, "counts": counts})
    return counts


def read_histories(
    spark: SparkSession, dataset: str, *, history: str, user_type: str, users: DataFrame | None = None
) -> DataFrame:
    """Act: user_id, items and seen of a dataset's version, of the given users alone if any; history is full, valid or test.

    Raises UserError if there is no such user; users that the table doesn't have are counted in a warning.
    """
    kind = schemas.IDS[user_type]
    path = files.join(dataset, TABLES[history])
    table = io.read_table(spark, path, schemas.sequences(kind) if history == "full" else schemas.held_out(kind))
    histories = table.select("user_id", "items", "seen")
    if users is not None:
        absent = users.join(histories, "user_id", "left_anti").count()
        if absent:
            log.warning("%d of the %d users asked for are not in %s", absent, users.count(), path)
        histories = histories.join(users, "user_id", "left_semi")
    if histories.isEmpty():
        raise UserError(f"{path} has no user to score{' among those of users=' if users is not None else ''}")
    return histories


def available_items(spark: SparkSession, model: str, *, allow: str | None, deny: str | None) -> NDArray[np.bool_] | None:
    """Act: marks (V + 2,) of the items that an allow-list and a deny-list (paths, see `read_ids`) leave; None without lists.

    Ids that the model doesn't know are counted in a warning; lists that leave no item with a training event are a UserError.
    """
    if allow is None and deny is None:
        return None
    meta = exports.read_sealed(model)
    marks = np.full(meta["vocab_size"] + FIRST_ITEM, allow is None)
    if allow is not None:
        marks[_indices(spark, model, meta, allow)] = True
    if deny is not None:
        marks[_indices(spark, model, meta, deny)] = False
    if not marks[FIRST_ITEM:].any():
        raise UserError(f"allow={allow} and deny={deny} leave no item of the {meta['vocab_size']} that the model knows")
    if not count_available(spark, model, marks):
        left = f"{marks[FIRST_ITEM:].sum()} of the {meta['vocab_size']} items that the model knows"
        raise UserError(
            f"allow={allow} and deny={deny} leave {left}, and 0 of them have a training event: only items with one are "
            f"recommended, so every list would be empty; widen the lists, or train with these items"
        )
    return marks


def count_available(spark: SparkSession, model: str, available: NDArray[np.bool_] | None) -> int:
    """Act: how many of the available items (None: of all) have a training event; only they are recommended."""
    vocabulary = io.read_parquet(spark, files.join(model, sealed.VOCABULARY))
    trained = vocabulary.where("count > 0").select("item_idx").toArrow()["item_idx"].to_numpy()
    return len(trained) if available is None else int(available[trained].sum())


def write_tables(
    scored: DataFrame, folder: str, *, item_type: str, stamps: dict[str, Any], write: Sequence[str]
) -> dict[str, int]:
    """Act: write recommendations and user_embeddings, whichever are asked; returns their counts.

    `scored` is what recommend_users or embed_users gives; `stamps` are columns with one value. With both tables, it is kept on
    the executors' disks, so that it isn't computed twice.
    """
    spark, user = scored.sparkSession, scored.schema["user_id"].dataType
    stamped = scored.withColumns({name: F.lit(value) for name, value in stamps.items()})
    stamped = stamped.persist(StorageLevel.DISK_ONLY) if len(write) > 1 else stamped
    counts: dict[str, int] = {}
    if "recommendations" in write:
        path = files.join(folder, "recommendations")
        io.write_table(stamped, path, schemas.recommendations(user, schemas.IDS[item_type]))
        sources = {row["source"]: row["count"] for row in io.open_table(spark, path).groupBy("source").count().collect()}
        counts |= {"users": sum(sources.values()), "popular": sources.get(POPULAR, 0)}
    if "user_embeddings" in write:
        path = files.join(folder, "user_embeddings")
        io.write_table(stamped.where(F.col("embedding").isNotNull()), path, schemas.user_embeddings(user))
        counts["user_embeddings"] = io.open_table(spark, path).count()
    stamped.unpersist()
    return counts


def copy_item_embeddings(spark: SparkSession, model: str, folder: str, *, item_type: str) -> int:
    """Act: copy the model's item_embeddings into a version, so that it is complete in itself; returns the number of rows."""
    schema = schemas.item_embeddings(schemas.IDS[item_type])
    path = files.join(folder, sealed.EMBEDDINGS)
    io.write_table(io.read_table(spark, files.join(model, sealed.EMBEDDINGS), schema), path, schema)
    return io.open_table(spark, path).count()


def _indices(spark: SparkSession, model: str, meta: dict[str, Any], path: str) -> NDArray[np.int64]:
    """Indices of the ids in a list that the model knows."""
    ids = read_ids(spark, path, column="item_id", kind=schemas.IDS[meta["id_types"]["item"]])
    vocabulary = io.read_parquet(spark, files.join(model, sealed.VOCABULARY)).select("item_id", "item_idx")
    found: NDArray[np.int64] = (
        ids.join(vocabulary, "item_id").select("item_idx").toArrow()["item_idx"].to_numpy().astype(np.int64)
    )
    given = ids.count()
    if len(found) < given:
        log.warning("%d of the %d items in %s are unknown to the model", given - len(found), given, path)
    return found
