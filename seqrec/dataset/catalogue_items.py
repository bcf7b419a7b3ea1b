"""A table of all items that there are, whether anybody rated them or not: its ids, and how they match the ratings.

Rated items that the table lacks stay in the vocabulary by themselves, and are counted.
"""

import logging
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.screen import counted
from seqrec.dataset.id_tables import choose_item_column, read_rows
from seqrec.dataset.ids import id_column, is_undecoded, typed_id
from seqrec.dataset.unreadable import reading
from seqrec.errors import UserError
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class CatalogueSource:
    """Where a catalogue is, its column of the id (None: found by its name), and the share of its rows that may have no id."""

    table: InputTable
    id: str | None
    max_bad_share: float


def read_catalogue(spark: SparkSession, source: CatalogueSource, *, kind: str) -> DataFrame:
    """Act: the distinct ids, item_id, of a catalogue, cached; kind is their type, bigint or string.

    Raises UserError for a catalogue without items, and for more than max_bad_share of rows whose id isn't of that type.
    """
    table = source.table
    with reading(table):
        raw = read_rows(spark, table, max_bad_share=source.max_bad_share)
        name = choose_item_column(raw, table, source.id)
        value, stored = id_column(io.column(name), raw.schema[name].dataType, table.null_values), raw.schema[name].dataType
        typed = typed_id(value, stored, kind)
        wrong = typed.isNull() | is_undecoded(value, stored) | (value.cast("string") == "")
        example = F.min(F.when(wrong, F.coalesce(io.column(name).cast("string"), F.lit("null"))))
        rows, unusable, such = raw.agg(F.count(F.lit(1)), F.count_if(wrong), example).collect()[0]
        if not rows:
            raise UserError(f"{table.place} has no rows: give a table of all items as {table.key}.path, or set it to null")
        message = f"{table.place}: {unusable:,} of {rows:,} values of {name} are no {kind} ids, such as {such!r}"
        if unusable > source.max_bad_share * rows:
            remedy = f"check {table.key}.id" + (", or set input.id_type=string" if kind == "bigint" else "")
            raise UserError(f"{message}, max_bad_share is {source.max_bad_share:g}: {remedy}")
        if unusable:
            log.warning("%s: they are left out", message)
        return raw.where(~wrong).select(typed.alias("item_id")).distinct().persist()


def match_catalogue(listed: DataFrame, histories: DataFrame, *, known: DataFrame | None, table: InputTable) -> None:
    """Act: say how many items of a catalogue are rated or in the extended vocabulary (`known`); UserError if none is.

    Then its ids are others than those of the ratings, and every item of it would be a stranger.
    """
    rated = histories.select(F.explode(F.array_distinct("items")).alias("item_id")).distinct()
    mark = F.lit(True).alias("rated")
    both = listed.withColumn("listed", F.lit(True)).join(rated.withColumn("rated", F.lit(True)), "item_id", "full_outer")
    if known is not None:
        both = both.join(known.select("item_id", mark.alias("known")), "item_id", "left")
    old = F.col("rated").isNotNull() | (F.lit(False) if known is None else F.col("known").isNotNull())
    is_listed, is_rated = F.col("listed").isNotNull(), F.col("rated").isNotNull()
    counts = both.agg(F.count_if(is_listed), F.count_if(is_listed & old), F.count_if(is_rated), F.count_if(is_rated & is_listed))
    items, matched, all_rated, covered = counts.collect()[0]
    if not matched:
        ours, theirs = (
            ", ".join(repr(row["item_id"]) for row in ids.orderBy("item_id").limit(3).collect()) for ids in (listed, rated)
        )
        raise UserError(
            f"{table.place}: 0 % of its {counted(items, 'item')} ({ours}, …) are rated ({theirs}, …): set {table.key}.id to the "
            "column with the ids of the ratings"
        )
    log.info(
        "the catalogue %s has %s: %.1f %% of them are rated or known, and it has %.1f %% of the %s",
        table.place,
        counted(items, "item"),
        100 * matched / items,
        100 * covered / all_rated,
        counted(all_rated, "rated item"),
    )


def list_items(listed: DataFrame, learnable: DataFrame, *, first_cut: int | None) -> DataFrame:
    """item_id and core of a catalogue's items; `core` says whether an item that isn't in the k-core can be tested on.

    With a split by time an item without a rating before the first cut can: the k-core never saw it. `learnable` are the
    good ratings before the cut as lists `items`.
    """
    if first_cut is None:
        return listed.select("item_id", F.lit(False).alias("core"))
    early = learnable.select(F.explode(F.array_distinct("items")).alias("item_id")).distinct()
    joined = listed.join(early.withColumn("early", F.lit(True)), "item_id", "left")
    return joined.select("item_id", F.col("early").isNull().alias("core"))
