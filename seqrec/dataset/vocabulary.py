"""The vocabulary: which item has which index.

An index never changes its meaning: a vocabulary only grows, at its end, so a model still fits an extension of its vocabulary. The
hash identifies a vocabulary, and the lineage lists those that it extends; both are in meta.json.
"""

import hashlib
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.errors import UserError
from seqrec.storage.metadata import Growth, IdType, Vocabulary
from seqrec.tables import schemas
from seqrec.tables.datasets import open_dataset
from seqrec.tables.numbering import CountedPart, number_rows, row_counter


class Parent(NamedTuple):
    """A vocabulary that is extended: its table of items, their id type, what its meta.json says, and its dataset's run id."""

    items: DataFrame
    id_type: IdType
    vocabulary: Vocabulary
    run_id: str


class TrainedVocabulary(NamedTuple):
    """A vocabulary, how many of its items have training events, and how many a catalogue added (None without one)."""

    vocabulary: Vocabulary
    trained: int
    added: int | None = None


def read_parent(spark: SparkSession, folder: str | None, *, id_type: str) -> Parent | None:
    """The vocabulary of a dataset, None without a folder; UserError if its item ids aren't of the wanted type (or auto)."""
    if folder is None:
        return None
    dataset = open_dataset(spark, folder)
    item_type = dataset.meta.id_types.item
    if id_type not in ("auto", item_type):
        raise UserError(
            f"vocabulary={folder} has {item_type} item ids, input.id_type is {id_type}: set it to auto or {item_type}"
        )
    return Parent(dataset.items, item_type, dataset.meta.vocabulary, dataset.meta.run_id)


def catalogue(core: DataFrame, parent: DataFrame | None, listed: DataFrame | None = None) -> DataFrame:
    """The items of the new vocabulary: item_id, core (their ratings are events), item_idx (in the parent, null for a new item).

    `listed` are the items of a catalogue (see `catalogue_items.list_items`); then a column `added` says which items come from
    there alone. Acts if there is a parent or a catalogue: the join is cached, so that Spark knows its size in later joins.
    """
    no_index = F.lit(None).cast("int").alias("item_idx")
    core = core.select("item_id", F.lit(True).alias("core"))
    if parent is None and listed is None:
        return core.select("item_id", "core", no_index)
    joined, columns = core.select("item_id", "core", no_index), [F.col("item_id"), F.col("item_idx")]
    is_core = [F.col("core"), F.lit(False)]
    if parent is not None:
        joined = core.join(parent.select("item_id", "item_idx"), "item_id", "full_outer")
    if listed is not None:
        testable = listed.select("item_id", F.col("core").alias("testable"))
        joined = joined.withColumn("old", F.lit(True)).join(testable, "item_id", "full_outer")
        is_core.insert(1, F.col("testable"))
        columns.append(F.col("old").isNull().alias("added"))
    items = joined.select(*columns, F.coalesce(*is_core).alias("core")).persist()
    items.count()
    return items


def count_training(items: DataFrame, arranged: DataFrame) -> DataFrame:
    """The items with their number of training events as `count`; 0 for one whose events are all held out.

    The arrays of the arranged users hold item ids.
    """
    trained = F.slice("event_items", F.lit(1), F.col("train_length"))
    train = arranged.select(F.explode(trained).alias("item_id")).groupBy("item_id").count()
    return items.join(train, "item_id", "left").withColumn("count", F.coalesce("count", F.lit(0).cast("bigint")))


def number_items(counted: DataFrame, *, size: int) -> DataFrame:
    """Act: item_id, item_idx, count, core. New items follow the parent's `size` items, by count descending, then item_id.

    Of those with a count of 0, items whose ratings are no events come last: a catalogue has them.
    The order is a global sort, whose partitions are the parts that `number_rows` wants.
    """
    new = counted.where(F.col("item_idx").isNull()).orderBy(F.col("count").desc(), F.col("core").desc(), "item_id")
    part, counter = F.spark_partition_id().alias("part"), row_counter().alias("counter")
    in_order = new.select("item_id", "count", "core", part, counter).persist()
    sizes = in_order.groupBy("part").agg(F.min("counter").alias("least"), F.count(F.lit(1)).alias("rows")).collect()
    parts = [CountedPart(row["part"], row["least"], row["rows"]) for row in sizes]
    first = schemas.FIRST_ITEM + size
    numbered = number_rows(in_order, parts, part="part", counter="counter", number="item_idx", first=first)
    new_items = numbered.select("item_id", F.col("item_idx").cast("int"), "count", "core")
    old_items = counted.where(F.col("item_idx").isNotNull()).select("item_id", "item_idx", "count", "core")
    return old_items.unionByName(new_items)


def describe_vocabulary(items: DataFrame, *, parent: Vocabulary | None) -> TrainedVocabulary:
    """Act: size, hash and lineage (oldest first, itself last) of a vocabulary, and how many items have training events.

    The hash is taken over the parent's hash, the size, and the new items with their indices. So another vocabulary of the same
    size has another hash, and an extension knows its parent. A vocabulary that adds nothing to its parent is the parent.
    """
    size = 0 if parent is None else parent.size
    row = F.when(F.col("item_idx") >= schemas.FIRST_ITEM + size, F.xxhash64("item_id", "item_idx"))
    sums = items.agg(
        F.count(row).alias("new"),
        F.count_if(F.col("count") > 0).alias("trained"),
        F.bit_xor(row).alias("once"),
        F.bit_xor(F.when(row.isNotNull(), F.xxhash64(row))).alias("twice"),
    ).collect()[0]
    trained = int(sums["trained"])
    if parent is not None and not sums["new"]:
        return TrainedVocabulary(parent, trained)
    before, lineage = ("", []) if parent is None else (parent.hash, parent.lineage)
    size += int(sums["new"])
    content = f"{before}:{size}:{sums['once']}:{sums['twice']}"
    itself = Growth(hash=hashlib.sha256(content.encode()).hexdigest()[:32], size=size)
    return TrainedVocabulary(Vocabulary(size=size, hash=itself.hash, lineage=[*lineage, itself]), trained)
