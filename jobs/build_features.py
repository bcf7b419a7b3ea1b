"""Ratings, users and items into users, item_catalogue, item_features, ranking_samples and matching_samples."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from seqrec.command.entry import run_job
from seqrec.command.screen import listed
from seqrec.command.session import open_session, working
from seqrec.command.story import end, open_draft
from seqrec.dataset.build_sequences import InputLimits, ingest
from seqrec.dataset.clean import partition_count
from seqrec.dataset.detect import detect
from seqrec.dataset.head import settle_table
from seqrec.dataset.profile import WantedTypes
from seqrec.dataset.time_range import parse_time_range
from seqrec.dataset.understood import describe_input
from seqrec.dataset.unpack import open_unpacked
from seqrec.ranking.build_features import assign_splits, describe_ratings, guard_labels, guard_missing, read_tables
from seqrec.ranking.feature_tables import write_catalogues, write_feature_schema, write_past_items, write_samples
from seqrec.ranking.features_as_of import FeatureOptions
from seqrec.ranking.genres import GenreSource
from seqrec.ranking.matching_samples import NegativeDrawing
from seqrec.ranking.ranking_samples import Labelling
from seqrec.ranking.side_tables import FeatureColumns, SideTable, SideTables
from seqrec.settings.build_features import BuildFeatures, Genres, Negatives, SideTableSettings
from seqrec.settings.build_sequences import Input
from seqrec.storage.metadata import DatasetSettings, IdTypes
from seqrec.storage.ranker_metadata import FeatureInputs, FeaturesMeta
from seqrec.tables.datasets import open_dataset
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")


def run(cfg: BuildFeatures) -> None:
    """Read and check ratings and tables, write a version of the features, and make it current."""
    with ExitStack() as copies:
        _build(cfg, copies)


def _build(cfg: BuildFeatures, copies: ExitStack) -> None:
    """The work of `run`; the copies of packed files are removed at its end, or at an error."""
    spark = open_session("build_features")
    draft = open_draft(cfg, cfg.output)
    dataset = open_dataset(spark, cfg.data)
    types = dataset.meta.id_types
    source = cfg.input or built_input(dataset.meta.settings)
    wanted = _wanted_types(source, types)
    limits = InputLimits(bad_share=cfg.max_bad_share, user_events=cfg.max_user_events)
    readable = partial(open_unpacked, folder=draft.path, copies=copies)
    detected = detect(spark, source.wanted_ratings, source.wanted_columns, readable=readable)
    if cfg.input is not None:
        log.info(describe_input(detected))
    ratings = ingest(spark, detected.readable, detected.columns, wanted=wanted, limits=limits)
    partitions = cfg.partitions or partition_count(ratings.profile.usable, at_least=spark.sparkContext.defaultParallelism)
    sides, genres = side_tables(cfg, readable), genre_source(cfg.genres)
    options = FeatureOptions(recent_items=cfg.recent_items, threshold=cfg.label.threshold)
    labelling = Labelling(threshold=cfg.label.threshold, equal=cfg.label.equal) if "ranking" in cfg.samples else None
    drawing = negative_drawing(cfg.negatives, seed=cfg.seed) if "matching" in cfg.samples else None
    with working(spark, partitions=partitions):
        tables = read_tables(spark, dataset, sides, genres=genres, max_bad_share=cfg.max_bad_share)
        split = assign_splits(ratings, dataset, partitions=partitions)
        missing = guard_missing(split.ratings, tables, sides, max_share=cfg.max_missing_share)
        if labelling is not None:
            guard_labels(split.ratings, labelling)
        features = describe_ratings(split, tables, options)
        counts = write_catalogues(features, tables, dataset, draft.path, past=cfg.history, options=options)
        if drawing is not None:
            counts |= write_past_items(split.ratings, dataset, draft.path, past=cfg.history)
        counts |= write_samples(features, tables, dataset, draft.path, labelling=labelling, drawing=drawing)
    write_feature_schema(tables, draft.path, recent_items=cfg.recent_items)
    FeaturesMeta(
        run_id=draft.run_id,
        dataset=dataset.meta.run_id,
        id_types=types,
        history=cfg.history,
        settings=draft.settings,
        inputs=FeatureInputs(ratings=source.wanted_ratings.path, users=cfg.users.place, items=cfg.items.place),
        counts={**counts, "ratings": split.rows, "missing": missing},
    ).write(draft.path)
    draft.commit(keep=cfg.keep)
    end(made=f"features {draft.run_id}: {listed(counts)}", path=draft.path)


def built_input(settings: DatasetSettings) -> Input:
    """The input that a dataset was built from. Those of older releases took all times, however far off."""
    return Input.model_validate({"time_range": None, **settings.input})


def _wanted_types(source: Input, ids: IdTypes) -> WantedTypes:
    """The types of the dataset's ids, and what the settings say of the times."""
    return WantedTypes(
        user=ids.user,
        item=ids.item,
        time=source.time_unit,
        patterns=source.time_patterns,
        time_range=parse_time_range(source.time_range),
    )


def side_tables(cfg: BuildFeatures, readable: Callable[[InputTable], InputTable]) -> SideTables:
    """The tables that the configuration names, by the keys that name them; `readable` gives a table as Spark reads it."""
    tables = {key: _side_table(key, settings) for key, settings in cfg.side_tables.items()}
    sides = {key: replace(side, table=readable(side.table)) for key, side in tables.items() if side is not None}
    joined = tuple(side for key, side in sides.items() if key.startswith("joined."))
    return SideTables(users=sides.get("users"), items=sides.get("items"), joined=joined)


def genre_source(genres: Genres) -> GenreSource:
    """Where the table of items has its genres."""
    return GenreSource(column=genres.column, columns=genres.columns, delimiter=genres.delimiter, most=genres.most)


def negative_drawing(negatives: Negatives, *, seed: int) -> NegativeDrawing:
    """How the negatives of matching samples are drawn."""
    return NegativeDrawing(count=negatives.count, redraws=negatives.redraws, power=negatives.power, seed=seed)


def _side_table(key: str, settings: SideTableSettings) -> SideTable | None:
    """A table beside the ratings; None if the configuration names no path."""
    wanted = settings.wanted(key)
    if wanted is None:
        return None
    columns = FeatureColumns(tuple(settings.text), tuple(settings.discrete), tuple(settings.continuous))
    return SideTable(table=settle_table(wanted), id=settings.id, columns=columns)


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and run."""
    run_job(BuildFeatures, run, argv)


if __name__ == "__main__":
    main()
