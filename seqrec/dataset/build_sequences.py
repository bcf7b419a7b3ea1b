"""The stages of a dataset: ingest and settle the ratings, index them, write the tables. All of them act."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.command.bars import working_on
from seqrec.command.screen import counted, duration
from seqrec.dataset.catalogue_items import list_items
from seqrec.dataset.clean import clean, guard_bad, guard_duplicates, guard_extended, guard_user_events
from seqrec.dataset.counts import RatingCounts, count_ratings
from seqrec.dataset.events import arrange, learnable_items
from seqrec.dataset.k_core import CoreMinimum, k_core
from seqrec.dataset.parse import ColumnTypes, parse_ratings
from seqrec.dataset.profile import Profile, WantedTypes, profile
from seqrec.dataset.read import read_interactions
from seqrec.dataset.read_file import first_line
from seqrec.dataset.sequences import events, held_out, sequences
from seqrec.dataset.snapshot import Snapshot, changed_error, take_snapshot, unchanged
from seqrec.dataset.splits import Split, say_time
from seqrec.dataset.unreadable import reading
from seqrec.dataset.vocabulary import (
    Parent,
    TrainedVocabulary,
    catalogue,
    count_training,
    describe_vocabulary,
    number_items,
)
from seqrec.dataset.windows import Filing, Windowing, count_buckets, shuffle_into_files, windows
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io, schemas
from seqrec.tables.input_table import InputTable, RatingColumns

log = logging.getLogger("seqrec")

SIDE_BY_SIDE = 3  # tables that are written at a time: while one is planned or committed, another uses the cores


class InputLimits(NamedTuple):
    """The limits of an input: the largest share of rows that can't be used, and the most ratings of a user.

    `integers_of` is the vocabulary that is extended, if the type of its ids, integers, is taken for the items'.
    """

    bad_share: float
    user_events: int
    integers_of: str | None = None


class Ratings(NamedTuple):
    """The interactions of an input, not parsed yet; their profile; the input, and a snapshot of it from before the first pass."""

    interactions: DataFrame
    profile: Profile
    table: InputTable
    snapshot: Snapshot


class Indexed(NamedTuple):
    """Items (with `core`) and arranged users, both cached at their first use; and the vocabulary."""

    items: DataFrame
    arranged: DataFrame
    vocabulary: TrainedVocabulary


def ingest(
    spark: SparkSession, table: InputTable, columns: RatingColumns, *, wanted: WantedTypes, limits: InputLimits
) -> Ratings:
    """Act, in one pass: the input's interactions and their profile.

    If the input has no timestamp, a row's position is used as its time. Raises UserError if the input can't be read, is still
    being written, or has too many rows that can't be used, if a user has too many rows, or if there is a range of times but no
    column of a time. The rows of each user are counted in a
    second pass, unless the profile rules such a user out.
    """
    if columns.timestamp is None and isinstance(wanted.time_range, tuple):
        raise UserError(
            f"{table.key}.time_range is [{', '.join(map(say_time, wanted.time_range))}], but {table.place} has no column of "
            f"times: set {table.key}.columns.timestamp=COLUMN, or leave {table.key}.time_range out"
        )
    working_on("reading the ratings")
    snapshot = take_snapshot(spark, table)
    if columns.timestamp is None:
        wanted = WantedTypes(user=wanted.user, item=wanted.item, time="order")
    with reading(table):
        interactions = read_interactions(spark, table, columns)
        facts = profile(interactions, wanted)
    log.info("read %s of %s", counted(facts.rows, "row"), table.place)
    head = first_line(spark, table) if facts.usable < facts.rows else ""
    if limits.integers_of is not None:
        guard_extended(facts, limits.integers_of, max_share=limits.bad_share, path=table.place)
    guard_bad(facts, max_share=limits.bad_share, path=table.place, head=head)
    if facts.fullest > limits.user_events:
        guard_user_events(parse_ratings(interactions, types=facts.types), most=limits.user_events, path=table.place)
    return Ratings(interactions, facts, table, snapshot)


def settle(
    ratings: Ratings, *, partitions: int, min_rating: float | None, collapse: bool, max_share: float
) -> tuple[DataFrame, RatingCounts]:
    """Act, in another pass: the histories of the cleaned ratings, cached, and their counts.

    Raises UserError if the input changed since the first pass, or if more than max_share of its rows are exact duplicates.
    """
    working_on("ordering the histories")
    spark, usable = ratings.interactions.sparkSession, ratings.profile.usable
    typed = parse_ratings(ratings.interactions, types=ratings.profile.types)
    with unchanged(spark, ratings.table, before=ratings.snapshot):
        histories = typed.transform(clean, partitions=partitions, min_rating=min_rating, collapse=collapse).persist()
        counts = count_ratings(histories)
    if counts.usable != usable:
        raise changed_error(ratings.table, f"{usable:,} rows could be used at first, then {counts.usable:,}")
    guard_duplicates(rows=usable, kept=counts.rows, max_share=max_share)
    return histories, counts


def index_histories(
    histories: DataFrame,
    *,
    parent: Parent | None,
    minimum: CoreMinimum,
    split: Split,
    collapse: bool,
    listed: DataFrame | None = None,
) -> Indexed:
    """Act: the k-core, the vocabulary of its items after the parent's, and the users arranged by both.

    With a split by time, the k-core and the counts use only ratings before the first cut. An item that first appears later isn't
    in the vocabulary: its ratings are no events, but they are counted, and a user's targets are the items of the vocabulary
    that are rated after the cut. The items `listed` in a catalogue come into the vocabulary whatever is rated.
    """
    working_on("counting the events")
    learnable = histories.select("user_id", learnable_items(split.first_cut).alias("items"))
    core = k_core(learnable, users=minimum.users, items=minimum.items)
    listed = None if listed is None else list_items(listed, learnable, first_cut=split.first_cut)
    to_be = catalogue(core, parent.items if parent else None, listed)
    arranging = partial(arrange, histories, split=split, users=minimum.users, collapse=collapse)
    counted = count_training(to_be, arranging(to_be.withColumn("item", F.col("item_id")))).persist()
    items = number_items(counted, size=parent.vocabulary.size if parent else 0).persist()
    vocabulary = describe_vocabulary(items, parent=parent.vocabulary if parent else None)
    if listed is not None:
        vocabulary = vocabulary._replace(added=to_be.where("added").count())
    arranged = arranging(items.select("item_id", "core", F.col("item_idx").alias("item"))).persist()
    return Indexed(items, arranged, vocabulary)


def write_dataset(
    indexed: Indexed, path: str, *, types: ColumnTypes, max_history: int, windowing: Windowing, filing: Filing
) -> None:
    """Act: write the dataset's tables into a folder. The arranged users are cached; the windows are counted before the first."""
    working_on("writing the tables")
    user, item, arranged = schemas.IDS[types.user], schemas.IDS[types.item], indexed.arranged
    buckets = count_buckets(arranged, windowing)
    shuffled = shuffle_into_files(windows(arranged, windowing), buckets=buckets, filing=filing)
    tables: dict[str, tuple[DataFrame, StructType]] = {
        "items": (indexed.items, schemas.items(item)),
        "events": (events(arranged), schemas.events(user)),
        "sequences": (sequences(arranged, max_history=max_history), schemas.sequences(user)),
        "windows": (shuffled, schemas.windows()),
        "valid": (held_out(arranged, split="valid", max_history=max_history), schemas.held_out(user)),
        "test": (held_out(arranged, split="test", max_history=max_history), schemas.held_out(user)),
    }
    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        jobs = [threads.submit(_write, table, files.join(path, name), schema) for name, (table, schema) in tables.items()]
        for job in jobs:
            job.result()


def _write(table: DataFrame, path: str, schema: StructType) -> None:
    """Write a table, and log how long it took."""
    started = time.monotonic()
    io.write_table(table, path, schema)
    log.debug("wrote %s in %s", path, duration(time.monotonic() - started))
