"""The stages of the features up to the writing: read the tables, split the ratings, describe them. All of them act."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.command.screen import listed
from seqrec.dataset.build_sequences import Ratings, settle
from seqrec.dataset.splits import parse_cuts
from seqrec.errors import UserError
from seqrec.ranking.features_as_of import FeatureOptions, add_item_features, add_user_features, guard_sum
from seqrec.ranking.genres import GenreSource, distinct_genres
from seqrec.ranking.ranking_samples import Labelling, rating_label
from seqrec.ranking.rating_splits import count_strays, mark_ratings, split_ratings
from seqrec.ranking.side_tables import NO_COLUMNS, FeatureColumns, SideTables, read_item_tables, read_user_table
from seqrec.ranking.skew import join_spread, time_bucket, time_cuts
from seqrec.storage.ranker_metadata import MissingCount
from seqrec.tables.datasets import Dataset

log = logging.getLogger("seqrec")


class SplitRatings(NamedTuple):
    """The cleaned ratings with their splits (cached), how many they are, and what cuts their times into buckets."""

    ratings: DataFrame
    rows: int
    cuts: list[int]


class ReadTables(NamedTuple):
    """Users and items as their tables have them (cached), all genres in order, and the names of the tables' columns."""

    users: DataFrame
    items: DataFrame
    genres: list[str]
    user_columns: FeatureColumns
    item_columns: FeatureColumns


def read_tables(
    spark: SparkSession, dataset: Dataset, sides: SideTables, *, genres: GenreSource, max_bad_share: float
) -> ReadTables:
    """Read and check the tables of users, of items and those that are joined to items, and the genres: see `side_tables`."""
    users = read_user_table(spark, sides.users, kind=dataset.user, max_bad_share=max_bad_share).persist()
    items = read_item_tables(spark, sides, genres, kind=dataset.item, max_bad_share=max_bad_share)
    items = items.withColumn("genre", F.get("genres", F.lit(0))).persist()
    names: Sequence[str] = genres.columns or []
    if genres.columns is None and sides.items is not None:
        names = distinct_genres(items, genres, path=sides.items.table.place)
    user_columns = NO_COLUMNS if sides.users is None else sides.users.columns
    item_columns = NO_COLUMNS
    for side in (*([] if sides.items is None else [sides.items]), *sides.joined):
        item_columns = item_columns.followed_by(side.columns)
    return ReadTables(users, items, list(names), user_columns, item_columns)


def assign_splits(ratings: Ratings, dataset: Dataset, *, partitions: int) -> SplitRatings:
    """Clean the ratings and give them splits by the dataset's events (see `rating_splits`).

    Raises UserError if events of the dataset aren't among the ratings.
    """
    histories, counts = settle(ratings, partitions=partitions, min_rating=None, collapse=False, max_share=1.0)
    cuts = time_cuts(histories, rows=counts.rows)
    bucketed = dataset.events.withColumn("bucket", time_bucket(cuts))
    events = join_spread(bucketed, dataset.items.select("item_idx", "item_id"), key="item_idx", bucket="bucket")
    built = dataset.meta.settings
    ordered = ratings.profile.types.order is not None or built.ordered
    collapse = built.drop_consecutive_duplicates
    marked = mark_ratings(histories, events, partitions=partitions, ordered=ordered, collapse=collapse).persist()
    strays = count_strays(marked)
    if strays.strays:
        raise UserError(
            f"{strays.strays} of the {strays.events} events of dataset {dataset.meta.run_id} are not among the ratings: give "
            f"those it was built from, {dataset.meta.inputs.ratings}, as input.path (or input=null), or build it again"
        )
    first_cut = parse_cuts(built.split_times)[0] if built.split_times else None
    split = split_ratings(marked, first_cut=first_cut).persist()
    size = F.sum(F.abs(F.col("rating").cast("double"))).alias("size")
    splits = split.groupBy("split").agg(F.count(F.lit(1)).alias("rows"), size).collect()
    log.info("ratings by split: %s", listed({row["split"] or "left out": row["rows"] for row in splits}))
    guard_sum(sum(row["size"] or 0.0 for row in splits))
    marked.unpersist()
    histories.unpersist()
    return SplitRatings(split, counts.rows, cuts)


def guard_missing(ratings: DataFrame, tables: ReadTables, sides: SideTables, *, max_share: float) -> dict[str, MissingCount]:
    """Act: how many users and items are rated, and how many of them their tables lack.

    Raises UserError if a table lacks more than max_share of them. Without a table all count as missing, and nothing is raised.
    """
    missing = {}
    for key, table, side in (("users", tables.users, sides.users), ("items", tables.items, sides.items)):
        count = count_missing(ratings, table, column=f"{key[:-1]}_id")
        missing[key] = count
        if side is None:
            continue
        if count.missing > max_share * count.rated:
            raise UserError(
                f"{side.table.place} lacks {count.missing} of the {count.rated} rated {key}, max_missing_share is {max_share:g}: "
                f"give the table that belongs to these ratings ({key}.path), check {key}.id, or raise max_missing_share"
            )
        log.info("%s lacks %s of the %s rated %s", side.table.place, f"{count.missing:,}", f"{count.rated:,}", key)
    return missing


def count_missing(ratings: DataFrame, table: DataFrame, *, column: str) -> MissingCount:
    """Act: how many users or items the ratings have, and how many of them the table lacks."""
    in_table = table.select(column, F.lit(True).alias("in_table"))
    rated = ratings.select(column).distinct().join(in_table, column, "left")
    every, missing = rated.agg(F.count(F.lit(1)), F.count_if(F.col("in_table").isNull())).collect()[0]
    return MissingCount(rated=every, missing=missing)


def guard_labels(ratings: DataFrame, labelling: Labelling) -> None:
    """Act: raise UserError if no rating gets a label."""
    if ratings.where(rating_label(labelling).isNotNull()).isEmpty():
        raise UserError(
            f"no rating lies above or below label.threshold={labelling.threshold:g}: set input.columns.rating and "
            "label.threshold, or samples=[matching]"
        )


def describe_ratings(split: SplitRatings, tables: ReadTables, options: FeatureOptions) -> DataFrame:
    """The ratings, cached, with all features as of each, and the feature columns of its user and item."""
    items = tables.items.drop(*tables.item_columns.text)
    features = add_item_features(split.ratings, items, cuts=split.cuts, threshold=options.threshold)
    features = add_user_features(features, genres=tables.genres, options=options)
    return features.join(tables.users.drop(*tables.user_columns.text), "user_id", "left").persist()
