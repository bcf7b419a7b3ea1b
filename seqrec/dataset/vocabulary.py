"""The vocabulary: which item has which index. Indices never change meaning: a vocabulary only grows, at its end."""

import hashlib
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.storage import files, versions
from seqrec.tables import io, schemas
from seqrec.tables.numbering import CountedPart, number_rows, row_counter


class Parent(NamedTuple):
    """A vocabulary that is extended: its table of items, their id type, size, hash and lineage, and its dataset's run id."""

    items: DataFrame
    id_type: str
    facts: dict[str, Any]
    run_id: str


def read_parent(spark: SparkSession, folder: str | None, *, id_type: str) -> Parent | None:
    """The vocabulary of a dataset; UserError if its item ids are of another type than the one asked for."""
    if folder is None:
        return None
    path = versions.resolve(folder)
    meta = versions.read_meta(path, "dataset")
    found = meta["id_types"]["item"]
    if id_type not in ("auto", found):
        raise UserError(f"vocabulary={folder} has {found} item ids, input.id_type is {id_type}: set it to auto or {found}")
    items = io.read_table(spark, files.join(path, "items"), schemas.items(schemas.IDS[found]))
    return Parent(items, found, meta["vocabulary"], meta["run_id"])


def catalogue(core: DataFrame, parent: DataFrame | None) -> DataFrame:
    """The items there will be: item_id, core (in the k-core), item_idx (in the parent, null for a new item).

    Acts where there is a parent: what is joined with it is cached, so that its size is known to the joins that follow.
    """
    core = core.select("item_id", F.lit(True).alias("core"))
    if parent is None:
        return core.withColumn("item_idx", F.lit(None).cast("int"))
    joined = core.join(parent.select("item_id", "item_idx"), "item_id", "full_outer")
    known = joined.select("item_id", F.coalesce("core", F.lit(False)).alias("core"), "item_idx").persist()
    known.count()
    return known


def count_training(items: DataFrame, arranged: DataFrame) -> DataFrame:
    """The items with their training events as `count`: 0 for one whose events are all held out. Labels are item ids."""
    trained = F.slice("event_items", F.lit(1), F.col("train_length"))
    train = arranged.select(F.explode(trained).alias("item_id")).groupBy("item_id").count()
    return items.join(train, "item_id", "left").withColumn("count", F.coalesce("count", F.lit(0).cast("bigint")))


def number_items(counted: DataFrame, *, size: int) -> DataFrame:
    """Act: item_id, item_idx, count, core. New items follow the parent's `size` items, by count descending, then item_id.

    The order is a global sort, whose partitions are the parts that `number_rows` wants.
    """
    new = counted.where(F.col("item_idx").isNull()).orderBy(F.col("count").desc(), "item_id")
    part, counter = F.spark_partition_id().alias("part"), row_counter().alias("counter")
    in_order = new.select("item_id", "count", "core", part, counter).persist()
    sizes = in_order.groupBy("part").agg(F.min("counter").alias("least"), F.count(F.lit(1)).alias("rows")).collect()
    parts = [CountedPart(row["part"], row["least"], row["rows"]) for row in sizes]
    first = schemas.FIRST_ITEM + size
    numbered = number_rows(in_order, parts, part="part", counter="counter", number="item_idx", first=first)
    new_items = numbered.select("item_id", F.col("item_idx").cast("int"), "count", "core")
    old_items = counted.where(F.col("item_idx").isNotNull()).select("item_id", "item_idx", "count", "core")
    return old_items.unionByName(new_items)


def describe(vocabulary: DataFrame, *, parent: dict[str, Any] | None) -> tuple[dict[str, Any], int]:
    """Act: size, hash and lineage (oldest first, itself last) of a vocabulary; and how many of its items have training events.

    The hash is taken over the parent's hash, the size, and the new items with their indices: another vocabulary of the same
    size has another hash, and an extension knows its parent. What adds nothing to its parent is the parent.
    """
    size = 0 if parent is None else int(parent["size"])
    row = F.when(F.col("item_idx") >= schemas.FIRST_ITEM + size, F.xxhash64("item_id", "item_idx"))
    found = vocabulary.agg(
        F.count(row).alias("new"),
        F.count_if(F.col("count") > 0).alias("trained"),
        F.bit_xor(row).alias("once"),
        F.bit_xor(F.when(row.isNotNull(), F.xxhash64(row))).alias("twice"),
    ).collect()[0]
    if parent is not None and not found["new"]:
        return parent, int(found["trained"])
    before, lineage = ("", []) if parent is None else (parent["hash"], parent["lineage"])
    said = f"{before}:{size + found['new']}:{found['once']}:{found['twice']}"
    entry = {"size": size + int(found["new"]), "hash": hashlib.sha256(said.encode()).hexdigest()[:32]}
    return {**entry, "lineage": [*lineage, entry]}, int(found["trained"])
