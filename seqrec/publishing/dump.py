"""Puts a Parquet table into MongoDB, or a table of embeddings into Milvus, in place of all that the collection held before.

Everything is checked first. Then the rows are delivered in the steps of a publication, under a new publish_id. There is no
journal: a dump that was killed is simply run again.
"""

import logging
import os
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, FractionalType, IntegralType, StringType

from seqrec.command.screen import counted
from seqrec.errors import UserError
from seqrec.publishing.deliveries import Delivery, DocumentDelivery, VectorDelivery, steps
from seqrec.publishing.destinations import MilvusDestination, MongoDestination
from seqrec.publishing.dump_options import MAX_LOSS
from seqrec.publishing.publish_ids import is_abandoned, new_publish_id
from seqrec.storage import files, versions
from seqrec.stores import milvus, mongo
from seqrec.stores.checks import check_embeddings, count_keys
from seqrec.stores.documents import MOST_DIGITS, columns_not_for_bson
from seqrec.stores.vectors import field_types
from seqrec.tables import io
from seqrec.tables.io import column

log = logging.getLogger("seqrec")

RESERVED = "publish_id"  # the field that a dump adds to each document


class Origin(NamedTuple):
    """A table to dump, and its path for messages."""

    table: DataFrame
    path: str


def open_origin(spark: SparkSession, origin: str, *, data: str | None) -> Origin:
    """Act: a table and its path. With a slash, origin is a path; else it is a name in the current version of `data`.

    `data` is SEQREC_ROOT/dataset by default. Raises UserError for a missing table, with the names of those that exist, and for a
    table that is unfinished or not Parquet.
    """
    if "/" in origin:
        path = origin
    elif data is None and not os.environ.get("SEQREC_ROOT"):
        raise UserError(f"--origin {origin} is a table's name: say by --data FOLDER where it is (./{origin} would be a path)")
    else:
        version = versions.resolve(data or files.join(os.environ["SEQREC_ROOT"], "dataset"))
        path = files.join(version, origin)
        if not files.exists(path):
            tables = [name for name in files.names(version) if files.exists(files.join(version, name, "_SUCCESS"))]
            raise UserError(f"{version} has no table {origin}; it has {', '.join(tables) or 'none'}")
    is_file = files.exists(path) and files.names(path) in ([], [path.rsplit("/", 1)[-1]])
    return Origin(io.open_parquet(spark, path) if is_file else io.open_table(spark, path), path)


def dump_documents(origin: Origin, destination: MongoDestination, *, key: str, max_loss: float = MAX_LOSS) -> int:
    """Act: replace the collection's documents by one for each row: all columns, publish_id, and the key's value as _id.

    Returns the number of rows. Raises UserError, with the collection as it was, if the key's column is missing or has nulls or
    repeated values, if BSON can't hold a column, and if the table has fewer than 1 - max_loss times the documents that the
    collection holds.
    """
    table, path = origin
    _require_documents(table, key, path)
    collection = destination.open()
    mode = mongo.choose_mode(collection, destination.mode)
    rows = count_keys(table, key=key, path=path)
    _check_loss(rows, mongo.largest_publication(collection), path, str(collection), max_loss)
    delivery = DocumentDelivery(
        table=table if key == "_id" else table.select(column(key).alias("_id"), "*"),
        rows=rows,
        collection=collection,
        mode=mode,
        batching=destination.batching,
        whole=True,
        is_dead=is_abandoned,
    )
    delivery.try_to_write()
    publish_id = new_publish_id(after=delivery.newest_publication() or "")
    try:
        _deliver(delivery, publish_id)
    except BaseException:
        _remove_staging(delivery, publish_id)
        raise
    log.info("%s of %s to %s by %s", counted(rows, "document"), path, collection, mode)
    return rows


def dump_vectors(
    origin: Origin,
    destination: MilvusDestination,
    *,
    key: str,
    embedding: str,
    dim: int | None,
    max_loss: float = MAX_LOSS,
) -> int:
    """Act: replace the rows behind the alias by the embeddings, with the columns of strings, numbers and booleans beside them.

    Returns the number of rows. Other columns are left out and named in a warning; the dump adds run_id. Raises UserError, with
    the old rows in place, if a column is missing or has another type, if `check_embeddings` does, and if the table has fewer than
    1 - max_loss times the rows behind the alias.
    """
    table = _with_embedding(origin, key, embedding)
    alias = destination.open()
    embeddings = check_embeddings(table, alias, path=origin.path, dim=dim)
    _check_loss(embeddings.rows, milvus.largest_publication(alias), origin.path, str(alias), max_loss)
    publish_id = new_publish_id(after=milvus.newest_publication(alias) or "")
    delivery = VectorDelivery(
        embeddings=embeddings,
        alias=alias,
        run_id=publish_id,
        index=destination.index,
        keep=destination.keep,
        writers=destination.writers,
        is_dead=is_abandoned,
    )
    delivery.try_to_write()
    _deliver(delivery, publish_id)
    log.info("%s of %s to %s", counted(embeddings.rows, "embedding"), origin.path, alias)
    return embeddings.rows


def _deliver(delivery: Delivery, publish_id: str) -> None:
    """Take the steps of one delivery."""
    for _, step in steps([delivery]):
        step(publish_id)


def _remove_staging(delivery: DocumentDelivery, publish_id: str) -> None:
    """Drop what a failed dump has staged: no run will use it. Errors are ignored, because the dump's own error says more."""
    server = delivery.collection.server
    hurried = replace(delivery.collection, server=replace(server, timeouts=replace(server.timeouts, return_s=0.0)))
    with suppress(UserError):
        mongo.remove_stagings(hurried, is_dead=lambda staged: staged == publish_id)


def _with_embedding(origin: Origin, key: str, embedding: str) -> DataFrame:
    """The key, the other columns that Milvus can hold, and the vector as `embedding`; UserError if key or vector don't fit."""
    table, path = origin
    _require_key(table, key, path)
    kind = _require_column(table, embedding, path, "embedding")
    if not (isinstance(kind, ArrayType) and isinstance(kind.elementType, FractionalType | IntegralType)):
        raise UserError(f"{path}: column {embedding} is {kind.simpleString()}, expected an array of numbers")
    others = [name for name in table.columns if name not in (key, embedding, "embedding", "run_id")]
    kept = field_types(table.select(*map(column, others)).schema)
    if len(kept) < len(others):
        log.warning("left out, as Milvus has no such fields: %s", ", ".join(name for name in others if name not in kept))
    return table.select(column(key), *map(column, kept), column(embedding).cast("array<float>").alias("embedding"))


def _check_loss(rows: int, standing: int, path: str, destination: str, max_loss: float) -> None:
    """Raise UserError if the table has too few rows, compared with those that the store holds."""
    if rows < (1 - max_loss) * standing:
        raise UserError(
            f"{path} has {rows} rows, and {destination} holds {standing}: more than --max-loss={max_loss} of them would go; "
            f"raise it if that is meant"
        )


def _require_documents(table: DataFrame, key: str, path: str) -> None:
    """Raise UserError if the rows can't be documents with this key."""
    _require_key(table, key, path)
    taken = [name for name in table.columns if name == RESERVED or (name.lower() == "_id" and name != key)]
    if taken:
        raise UserError(f"{path} has a column {taken[0]}, which is a field of the dump's own: rename the column")
    if misfits := columns_not_for_bson(table.schema):
        wanted = f"decimals of at most {MOST_DIGITS} digits and maps with strings or integers as keys, and no intervals"
        raise UserError(f"{path}: MongoDB can't hold {', '.join(misfits)}; it holds {wanted}: cast or drop the columns")


def _require_key(table: DataFrame, key: str, path: str) -> None:
    """Raise UserError if the key is absent, or of a type that no store takes."""
    kind = _require_column(table, key, path, "queryid")
    if not isinstance(kind, StringType | IntegralType):
        raise UserError(f"{path}: column {key} is {kind.simpleString()}: --queryid takes a column of integers or strings")


def _require_column(table: DataFrame, name: str, path: str, option: str) -> DataType:
    """The type of a column; UserError that names the command's option if the column is absent."""
    if name not in table.columns:
        raise UserError(f"{path} has no column {name!r} for --{option}; it has {', '.join(table.columns)}")
    return table.schema[name].dataType
