"""A Parquet table into MongoDB, or a table of embeddings into Milvus, whole: what the collection held before goes.

Everything is checked first. Then the new rows are staged and switched to, or where the store can't stage, they are upserted
and the stale ones removed. A dump that was killed is simply run again.
"""

import argparse
import logging
import os
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import ArrayType, DataType, FractionalType, IntegralType, StringType

from seqrec.errors import UserError
from seqrec.publishing.publish_ids import fresh, is_abandoned
from seqrec.storage import files, versions
from seqrec.stores import milvus, mongo, mongo_place
from seqrec.stores.checks import check_vectors, count_rows
from seqrec.stores.documents import MOST_DIGITS, unfit
from seqrec.stores.milvus_index import Index
from seqrec.stores.targets import MilvusTarget, MongoTarget
from seqrec.stores.vectors import fields
from seqrec.tables import io
from seqrec.tables.io import column

log = logging.getLogger("seqrec")

MAX_LOSS = 0.1
RESERVED = "publish_id"  # what a dump adds to a document


def origin_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --origin and --data to a command line."""
    parser.add_argument(
        "--origin", required=True, metavar="TABLE", help="a Parquet table's path, or (without a slash) its name in --data"
    )
    parser.add_argument(
        "--data", metavar="FOLDER", help="dataset or output with that table, or a version of it (default: $SEQREC_ROOT/dataset)"
    )


def index_parameter(text: str) -> tuple[str, int]:
    """NAME=NUMBER, for argparse."""
    name, _, number = text.partition("=")
    if not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER, such as M=16")
    return name, int(number)


def loss_argument(parser: argparse.ArgumentParser) -> None:
    """Add --max-loss to a command line."""
    parser.add_argument(
        "--max-loss",
        type=_share,
        default=MAX_LOSS,
        metavar="SHARE",
        help="share of what the collection holds that may be missing in the table (default: %(default)s)",
    )


def open_origin(spark: SparkSession, origin: str, *, data: str | None) -> tuple[DataFrame, str]:
    """Act: a table and its path. With a slash, origin is a path; else it is a name in the current version of `data`.

    Without `data` that is SEQREC_ROOT/dataset. Raises UserError, with the tables that are there, for one that isn't, and for one
    that is unfinished or not Parquet.
    """
    if "/" in origin:
        path = origin
    elif data is None and not os.environ.get("SEQREC_ROOT"):
        raise UserError(f"--origin {origin} is a table's name: say by --data FOLDER where it is (./{origin} would be a path)")
    else:
        version = versions.resolve(data or files.join(os.environ["SEQREC_ROOT"], "dataset"))
        path = files.join(version, origin)
        if not files.exists(path):
            known = [name for name in files.names(version) if files.exists(files.join(version, name, "_SUCCESS"))]
            raise UserError(f"{version} has no table {origin}; it has {', '.join(known) or 'none'}")
    is_file = files.exists(path) and files.names(path) in ([], [path.rsplit("/", 1)[-1]])
    return io.open_parquet(spark, path) if is_file else io.open_table(spark, path), path


def dump_documents(
    table: DataFrame,
    target: MongoTarget,
    *,
    path: str,
    key: str,
    database: str,
    collection: str,
    mode: Literal["auto", "swap", "upsert"],
    writers: int,
    batch_size: int,
    max_loss: float = MAX_LOSS,
) -> int:
    """Act: make the collection hold one document a row, with all columns, publish_id, and the key's value as _id; their number.

    Raises UserError, with the collection as it was, for a key that isn't there, is null or repeats, for columns that BSON can't
    hold, and for a table that lacks more than the share max_loss of the documents that the collection holds.
    """
    _require_key(table, key, path)
    taken = [name for name in table.columns if name == RESERVED or (name.lower() == "_id" and name != key)]
    if taken:
        raise UserError(f"{path} has a column {taken[0]}, which is a field of the dump's own: rename the column")
    if misfits := unfit(table.schema):
        wanted = f"decimals of at most {MOST_DIGITS} digits and maps with strings or integers as keys, and no intervals"
        raise UserError(f"{path}: MongoDB can't hold {', '.join(misfits)}; it holds {wanted}: cast or drop the columns")
    place = target.place(database=database, collection=collection)
    chosen = mongo.choose_mode(place, mode)
    rows = count_rows(table, key=key, path=path)
    _check_loss(rows, mongo.largest(place), path, str(place), max_loss)
    mongo.try_to_write(place, chosen)
    documents = table if key == "_id" else table.select(column(key).alias("_id"), "*")
    _replace_documents(documents, place, chosen, target, rows=rows, writers=writers, batch_size=batch_size)
    log.info("%d documents of %s to %s by %s", rows, path, place, chosen)
    return rows


def dump_vectors(
    table: DataFrame,
    target: MilvusTarget,
    *,
    path: str,
    key: str,
    embedding: str,
    alias: str,
    dim: int | None,
    index: Index,
    keep: int,
    writers: int,
    max_loss: float = MAX_LOSS,
) -> int:
    """Act: make what the alias reaches hold the embeddings, and beside them the columns of strings, numbers and booleans.

    Returns the number of rows. Other columns are left out and named in a warning; run_id is the dump's own. Raises UserError,
    with the old rows in place, for a column that isn't there or of another type, as `check_vectors` does, and for a table that
    lacks more than the share max_loss of the rows that the alias reaches.
    """
    _require_key(table, key, path)
    _require_column(table, embedding, path, "embedding")
    kind = table.schema[embedding].dataType
    if not (isinstance(kind, ArrayType) and isinstance(kind.elementType, FractionalType | IntegralType)):
        raise UserError(f"{path}: column {embedding} is {kind.simpleString()}, expected an array of numbers")
    others = [name for name in table.columns if name not in (key, embedding, "embedding", "run_id")]
    known = fields(table.select(*map(column, others)).schema)
    if len(known) < len(others):
        log.warning("left out, as Milvus has no such fields: %s", ", ".join(name for name in others if name not in known))
    vectors = table.select(column(key), *map(column, known), column(embedding).cast("array<float>").alias("embedding"))
    place = target.place(alias=alias)
    rows, width = check_vectors(vectors, place, path=path, dim=dim)
    _check_loss(rows, milvus.largest(place), path, str(place), max_loss)
    milvus.try_to_write(place, dim=width, index=index)
    publish_id = fresh(after=milvus.newest(place) or "")
    if place.aliases:
        milvus.stage(
            vectors, place, run_id=publish_id, publish_id=publish_id, items=rows, dim=width, index=index, writers=writers
        )
        milvus.switch(place, publish_id=publish_id)
        milvus.remove_collections(place, publish_id=publish_id, keep=keep, dead=is_abandoned)
    else:
        milvus.upsert(vectors, place, run_id=publish_id, dim=width, index=index)
        milvus.remove_stale(place, run_id=publish_id, items=rows)
    log.info("%d embeddings of %s to %s", rows, path, place)
    return rows


def _replace_documents(
    documents: DataFrame,
    place: mongo_place.Place,
    mode: mongo.Mode,
    target: MongoTarget,
    *,
    rows: int,
    writers: int,
    batch_size: int,
) -> None:
    publish_id = fresh(after=mongo.newest(place) or "")
    try:
        if mode == "swap":
            mongo.stage(documents, place, publish_id=publish_id, rows=rows, writers=writers, batch_size=batch_size)
            mongo.switch(place, publish_id=publish_id)
        else:
            mongo.upsert(documents, place, publish_id=publish_id, rows=rows, writers=writers, batch_size=batch_size)
            target.flush()
            mongo.remove_older(place, publish_id=publish_id)
    except BaseException:
        hurried = replace(place, limits=replace(place.limits, return_s=0.0))
        with suppress(UserError):  # the error that came first is the one to tell
            mongo.remove_stagings(hurried, dead=lambda staged: staged == publish_id)
        raise
    mongo.remove_stagings(place, dead=is_abandoned)
    target.flush()


def _share(text: str) -> float:
    """A number from 0 to 1, for argparse."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1")
    return share


def _check_loss(rows: int, held: int, path: str, place: str, max_loss: float) -> None:
    if rows < (1 - max_loss) * held:
        raise UserError(
            f"{path} has {rows} rows, and {place} holds {held}: more than --max-loss={max_loss} of them would go; raise it if "
            f"that is meant"
        )


def _require_key(table: DataFrame, key: str, path: str) -> None:
    kind = _require_column(table, key, path, "queryid")
    if not isinstance(kind, StringType | IntegralType):
        raise UserError(f"{path}: column {key} is {kind.simpleString()}: --queryid takes a column of integers or strings")


def _require_column(table: DataFrame, name: str, path: str, option: str) -> DataType:
    if name not in table.columns:
        raise UserError(f"{path} has no column {name!r} for --{option}; it has {', '.join(table.columns)}")
    return table.schema[name].dataType
