"""Ratings into a dataset: items, events, sequences, windows, valid, test and stats.json."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from seqrec.command.entry import run_job
from seqrec.command.screen import counted, show
from seqrec.command.session import open_session, working
from seqrec.command.story import Next, end, open_draft
from seqrec.dataset.build_sequences import InputLimits, Ratings, index_histories, ingest, settle, write_dataset
from seqrec.dataset.catalogue_items import CatalogueSource, match_catalogue, read_catalogue
from seqrec.dataset.clean import partition_count
from seqrec.dataset.count_checks import check_counts
from seqrec.dataset.counts import count_events
from seqrec.dataset.detect import DetectedInput, detect, found_settings, guard_users
from seqrec.dataset.head import settle_table
from seqrec.dataset.k_core import CoreMinimum
from seqrec.dataset.profile import WantedTypes
from seqrec.dataset.splits import SplitChoice, guard_cuts, splitter
from seqrec.dataset.stats import DatasetStats, summarise_dataset, write_stats
from seqrec.dataset.time_range import parse_time_range
from seqrec.dataset.understood import describe_input, describe_rows, warn_of_order
from seqrec.dataset.unpack import open_unpacked
from seqrec.dataset.vocabulary import Parent, read_parent
from seqrec.dataset.windows import Filing, Windowing
from seqrec.settings.build_sequences import BuildSequences, Input
from seqrec.storage import versions
from seqrec.storage.metadata import DatasetInputs, DatasetMeta, DatasetSettings, IdTypes
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")


def run(cfg: BuildSequences) -> None:
    """Read and check the ratings, write a version of the dataset, and make it current."""
    with ExitStack() as copies:
        _build(cfg, copies)


def _build(cfg: BuildSequences, copies: ExitStack) -> None:
    """The work of `run`; the copies of packed files are removed at its end, or at an error."""
    choice = SplitChoice(task=cfg.task, hold_out=cfg.hold_out, times=cfg.split_times, share=cfg.split_users)
    split = splitter(choice, seed=cfg.seed)
    collapse = cfg.drop_consecutive_duplicates
    windowing = Windowing(max_len=cfg.max_len, stride=cfg.stride, seed=cfg.seed)
    filing = Filing(rows_per_file=cfg.rows_per_file, multiple=cfg.files_multiple)
    minimum = CoreMinimum(users=cfg.k_core.users, items=cfg.k_core.items)
    spark = open_session("build_sequences")
    draft = open_draft(cfg, cfg.data, key="data")
    parent = read_parent(spark, cfg.vocabulary, id_type=cfg.input.id_type)
    detected, ratings = read_ratings(spark, cfg, parent, folder=draft.path, copies=copies, say=log.info)
    types = ratings.profile.types
    partitions = cfg.partitions or partition_count(ratings.profile.usable, at_least=spark.sparkContext.defaultParallelism)
    with working(spark, partitions=partitions):
        histories, rating_counts = settle(
            ratings, partitions=partitions, min_rating=cfg.min_rating, collapse=collapse, max_share=cfg.max_duplicate_share
        )
        guard_users(detected, users=rating_counts.users, ratings=rating_counts.rows)
        guard_cuts(split.cuts, first=rating_counts.first, last=rating_counts.last)
        listed = _listed_items(cfg, histories, ratings, parent, readable=partial(open_unpacked, folder=draft.path, copies=copies))
        indexed = index_histories(histories, parent=parent, minimum=minimum, split=split, collapse=collapse, listed=listed)
        event_counts = count_events(indexed.arranged, windowing, split)
        check_counts(event_counts, indexed.vocabulary, choice)
        write_dataset(indexed, draft.path, types=types, max_history=cfg.max_history, windowing=windowing, filing=filing)
    stats = summarise_dataset(ratings.profile, rating_counts, event_counts, indexed.vocabulary)
    write_stats(stats, draft.path)
    DatasetMeta(
        run_id=draft.run_id,
        id_types=IdTypes.model_validate({"user": types.user, "item": types.item}),
        vocabulary=indexed.vocabulary.vocabulary,
        task=cfg.task,
        max_len=cfg.max_len,
        settings=DatasetSettings.model_validate(found_settings(draft.settings, detected)),
        inputs=DatasetInputs(ratings=cfg.input.place, vocabulary=parent.run_id if parent else None),
        counts=stats.counts(),
    ).write(draft.path)
    draft.commit(keep=cfg.keep)
    end(made=f"dataset {draft.run_id} of {_size(stats)}", path=draft.path, then=Next("train", ("data",)))


def _listed_items(
    cfg: BuildSequences,
    histories: DataFrame,
    ratings: Ratings,
    parent: Parent | None,
    *,
    readable: Callable[[InputTable], InputTable],
) -> DataFrame | None:
    """The items of the catalogue, compared with the ratings; None without a catalogue."""
    wanted = cfg.catalogue.wanted("catalogue")
    if wanted is None:
        return None
    source = CatalogueSource(table=readable(settle_table(wanted)), id=cfg.catalogue.id, max_bad_share=cfg.max_bad_share)
    listed = read_catalogue(histories.sparkSession, source, kind=ratings.profile.types.item)
    match_catalogue(listed, histories, known=parent.items if parent else None, table=source.table)
    return listed


def _wanted_types(source: Input, *, item: str) -> WantedTypes:
    """What the settings say of the types of ids and times."""
    return WantedTypes(
        user=source.id_type,
        item=item,
        time=source.time_unit,
        patterns=source.time_patterns,
        time_range=parse_time_range(source.time_range),
    )


def _size(stats: DatasetStats) -> str:
    """How large a dataset is, in words."""
    users, items, events = stats.users["with_events"], stats.items["vocabulary"], stats.events["all"]
    return f"{counted(users, 'user')}, {counted(items, 'item')} and {counted(events, 'event')}"


def dry_run(cfg: BuildSequences) -> None:
    """Show how the ratings are read, and write nothing."""
    spark = open_session("build_sequences")
    parent = read_parent(spark, cfg.vocabulary, id_type=cfg.input.id_type)
    with versions.passing(cfg.data) as folder, ExitStack() as copies:
        read_ratings(spark, cfg, parent, folder=folder, copies=copies, say=show)


def read_ratings(
    spark: SparkSession, cfg: BuildSequences, parent: Parent | None, *, folder: str, copies: ExitStack, say: Callable[[str], None]
) -> tuple[DetectedInput, Ratings]:
    """Find how the ratings are written, read them once, say how they are understood; packed files are copied to the folder."""
    readable = partial(open_unpacked, folder=folder, copies=copies)
    detected = detect(spark, cfg.input.wanted_ratings, cfg.input.wanted_columns, readable=readable)
    say(describe_input(detected))
    warn_of_order(detected)
    wanted = _wanted_types(cfg.input, item=parent.id_type if parent else cfg.input.id_type)
    integers_of = cfg.vocabulary if parent and parent.id_type == "bigint" and cfg.input.id_type == "auto" else None
    limits = InputLimits(bad_share=cfg.max_bad_share, user_events=cfg.max_user_events, integers_of=integers_of)
    ratings = ingest(spark, detected.readable, detected.columns, wanted=wanted, limits=limits)
    say(describe_rows(ratings, detected.columns))
    return detected, ratings


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildSequences, run, argv, dry_run=dry_run)


if __name__ == "__main__":
    main()
