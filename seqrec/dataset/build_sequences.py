"""The stages of a dataset: ingest and settle the ratings, encode them, write the tables. All of them act."""

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from seqrec.dataset.clean import clean, guard_bad, guard_duplicates, guard_user_events
from seqrec.dataset.events import arrange, learnable_items
from seqrec.dataset.k_core import k_core
from seqrec.dataset.parse import Profile, Types, parse, profile
from seqrec.dataset.read import first_line, read_interactions
from seqrec.dataset.sequences import events, held_out, sequences
from seqrec.dataset.snapshot import Snapshot, refuse_changed, take_snapshot, unchanged
from seqrec.dataset.splits import Split
from seqrec.dataset.stats import count_ratings
from seqrec.dataset.unreadable import reading
from seqrec.dataset.vocabulary import Parent, catalogue, count_training, describe, number_items
from seqrec.dataset.windows import count_buckets, shuffle_into_files, windows
from seqrec.storage import files
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

SIDE_BY_SIDE = 3  # tables that are written at a time: one's planning and commit leave the cores to another


class Ratings(NamedTuple):
    """The input's interactions, not parsed yet; what one pass found them to be; their path and its files before that pass."""

    rows: DataFrame
    profile: Profile
    path: str
    files: Snapshot


class Encoded(NamedTuple):
    """Items (with `core`) and arranged users, both to be cached; facts of the vocabulary; its items with training events."""

    items: DataFrame
    arranged: DataFrame
    vocabulary: dict[str, Any]
    trained: int


def ingest(
    spark: SparkSession,
    *,
    path: str,
    format: str,
    columns: Mapping[str, str | None],
    id_type: str,
    item_type: str | None,
    time_unit: str,
    max_bad_share: float,
    max_user_events: int,
    **text: Any,
) -> Ratings:
    """Act, in one pass: the input's interactions, and what they are. `text` is what `read_interactions` takes for text formats.

    Item type is that of the vocabulary that is extended, if there is one. Where the input has no timestamp a row's place is
    taken as it is. Raises UserError for an input that can't be read or is still being written, of which too many rows can't be
    used, or in which a user has too many (counted in a second pass, where the first leaves that possible).
    """
    before = take_snapshot(spark, path, key="input")
    placed = columns["timestamp"] is None or columns["items"] is not None
    with reading(key="input", path=path, format=format):
        raw = read_interactions(spark, path=path, format=format, columns=columns, **text)
        found = profile(raw, user=id_type, item=item_type or id_type, time="ms" if placed else time_unit)
    log.info("read %s rows of %s", f"{found.rows:,}", path)
    head = first_line(spark, path=path, format=format) if found.usable < found.rows else ""
    guard_bad(found, max_share=max_bad_share, path=path, head=head)
    if found.fullest > max_user_events:
        guard_user_events(parse(raw, types=found.types), most=max_user_events, path=path)
    return Ratings(raw, found, path, before)


def settle(
    ratings: Ratings, *, partitions: int, min_rating: float | None, collapse: bool, max_share: float
) -> tuple[DataFrame, dict[str, int]]:
    """Act, in another pass: the histories of the cleaned ratings, cached, and their counts.

    Raises UserError if the input isn't what it was in the first pass, or a greater share of its rows are exact duplicates.
    """
    spark, usable = ratings.rows.sparkSession, ratings.profile.usable
    typed = parse(ratings.rows, types=ratings.profile.types)
    with unchanged(spark, ratings.path, key="input", before=ratings.files):
        histories = typed.transform(clean, partitions=partitions, min_rating=min_rating, collapse=collapse).persist()
        rated = count_ratings(histories)
    if rated["usable"] != usable:
        change = f"{usable:,} rows could be used at first, then {rated['usable']:,}"
        raise refuse_changed(ratings.path, key="input", change=change)
    guard_duplicates(rows=usable, kept=rated["rows"], max_share=max_share)
    return histories, rated


def encode(
    histories: DataFrame,
    *,
    parent: Parent | None,
    min_users: int,
    min_items: int,
    split: Split,
    first_cut: int | None,
    collapse: bool,
) -> Encoded:
    """Act: the k-core, the vocabulary of its items after the parent's, and the users arranged by both.

    Of a split by time the k-core and the counts know only what lies before the first cut. An item that comes up later is not
    in the vocabulary, so its ratings are no events and a user's target is the first rating after the cut that is one; the
    others are counted.
    """
    learnable = histories.select("user_id", learnable_items(first_cut).alias("items"))
    known = catalogue(k_core(learnable, users=min_users, items=min_items), parent.items if parent else None)
    arranging = partial(arrange, histories, split=split, users=min_users, first_cut=first_cut, collapse=collapse)
    size = int(parent.facts["size"]) if parent else 0
    counted = count_training(known, arranging(known.withColumn("label", F.col("item_id")))).persist()
    items = number_items(counted, size=size).persist()
    vocabulary, trained = describe(items, parent=parent.facts if parent else None)
    arranged = arranging(items.select("item_id", "core", F.col("item_idx").alias("label"))).persist()
    return Encoded(items, arranged, vocabulary, trained)


def write_tables(
    encoded: Encoded,
    path: str,
    *,
    types: Types,
    max_history: int,
    max_len: int,
    stride: int | None,
    rows_per_file: int,
    multiple: int,
    seed: int,
) -> None:
    """Act: write the dataset's tables into a folder. The arranged users are cached; the windows are counted before the first."""
    user, item, arranged = schemas.IDS[types.user], schemas.IDS[types.item], encoded.arranged
    buckets = count_buckets(arranged, max_len=max_len, stride=stride, seed=seed)
    cut = windows(arranged, max_len=max_len, stride=stride, seed=seed)
    shuffled = shuffle_into_files(cut, buckets=buckets, rows_per_file=rows_per_file, multiple=multiple)
    tables: dict[str, tuple[DataFrame, StructType]] = {
        "items": (encoded.items, schemas.items(item)),
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
    started = time.monotonic()
    io.write_table(table, path, schema)
    log.info("wrote %s in %.1f s", path, time.monotonic() - started)
