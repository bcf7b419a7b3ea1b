"""The stages of the features up to the writing: open the dataset, read the tables, place the ratings, describe them.

All of them act.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from seqrec.dataset.build_sequences import Ratings, settle
from seqrec.dataset.splits import parse_cuts
from seqrec.errors import UserError
from seqrec.ranking import history
from seqrec.ranking.catalogue import Side, count_missing, guard_missing, read_items, read_users
from seqrec.ranking.genres import distinct_genres
from seqrec.ranking.rating_splits import count_strays, mark_ratings, split_ratings
from seqrec.ranking.samples import label
from seqrec.ranking.spread import join_spread, time_bucket, time_cuts
from seqrec.storage import files, versions
from seqrec.tables import io, schemas

log = logging.getLogger("seqrec")

KINDS = ("text", "discrete", "continuous")


class Dataset(NamedTuple):
    """A version of the dataset: events and items (schemas), the types of user and item ids, and its meta.json."""

    events: DataFrame
    items: DataFrame
    user: DataType
    item: DataType
    meta: dict[str, Any]


class Placed(NamedTuple):
    """The cleaned ratings with their splits (cached), how many they are, and what cuts their times into buckets."""

    ratings: DataFrame
    rows: int
    cuts: list[int]


class Tables(NamedTuple):
    """Users and items as they are given (cached), all genres in order, and the names of their columns by KINDS."""

    users: DataFrame
    items: DataFrame
    genres: list[str]
    of_users: dict[str, list[str]]
    of_items: dict[str, list[str]]


def open_dataset(spark: SparkSession, data: str) -> Dataset:
    """The dataset's current version, or the one that the path names."""
    path = versions.resolve(data)
    meta = versions.read_meta(path, "dataset")
    user, item = (schemas.IDS[meta["id_types"][kind]] for kind in ("user", "item"))
    events = io.read_table(spark, files.join(path, "events"), schemas.events(user))
    return Dataset(events, io.read_table(spark, files.join(path, "items"), schemas.items(item)), user, item, meta)


def read_tables(
    spark: SparkSession, dataset: Dataset, sides: Mapping[str, Side], *, genres: Mapping[str, Any], max_bad_share: float
) -> Tables:
    """Read and check the tables of users, of items and those that are joined to items, and the genres: see `catalogue`."""
    users, items = sides["users"], {key: side for key, side in sides.items() if key != "users"}
    of_users = read_users(spark, users, kind=dataset.user, max_bad_share=max_bad_share).persist()
    of_items = read_items(spark, items, kind=dataset.item, genres=genres, max_bad_share=max_bad_share)
    of_items = of_items.withColumn("genre", F.get("genres", F.lit(0))).persist()
    named = genres["columns"]
    if named is None:
        named = distinct_genres(of_items, path=str(items["items"]["path"]), delimiter=genres["delimiter"], most=genres["most"])
    columns = {kind: [name for side in items.values() for name in side[kind]] for kind in KINDS}
    return Tables(of_users, of_items, named, {kind: list(users[kind]) for kind in KINDS}, columns)


def place_ratings(given: Ratings, dataset: Dataset, *, partitions: int) -> Placed:
    """Clean the ratings and place them by the dataset's events (see `splits`).

    Raises UserError if events of the dataset aren't among the ratings.
    """
    histories, rated = settle(given, partitions=partitions, min_rating=None, collapse=False, max_share=1.0)
    cuts = time_cuts(histories, rows=rated["rows"])
    bucketed = dataset.events.withColumn("bucket", time_bucket(cuts))
    named = join_spread(bucketed, dataset.items.select("item_idx", "item_id"), key="item_idx", bucket="bucket")
    built = dataset.meta["settings"]
    ordered = given.profile.types.order is not None or built["input"]["columns"].get("order") is not None
    collapse = bool(built.get("drop_consecutive_duplicates"))
    marked = mark_ratings(histories, named, partitions=partitions, ordered=ordered, collapse=collapse).persist()
    counts = count_strays(marked)
    if counts["strays"]:
        raise UserError(
            f"{counts['strays']} of the {counts['events']} events of dataset {dataset.meta['run_id']} are not among the ratings: "
            f"give those it was built from, {dataset.meta['inputs']['ratings']}, as input.path (or input=null), or build it again"
        )
    times = built.get("split_times")
    ratings = split_ratings(marked, first_cut=parse_cuts(times)[0] if times else None).persist()
    size = F.sum(F.abs(F.col("rating").cast("double"))).alias("size")
    splits = ratings.groupBy("split").agg(F.count(F.lit(1)).alias("rows"), size).collect()
    log.info("ratings by split: %s", {row["split"]: row["rows"] for row in splits})
    history.guard_sum(sum(row["size"] or 0.0 for row in splits))
    marked.unpersist()
    histories.unpersist()
    return Placed(ratings, rated["rows"], cuts)


def guard_ratings(
    ratings: DataFrame, tables: Tables, *, paths: Mapping[str, str | None], max_share: float, ranking: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How many users and items are rated, and how many of them their tables lack; ranking is how to label, if that is asked.

    Raises UserError if a greater share is missing in a table that was given, or if no rating has a label.
    """
    found = {}
    for key, table in {"users": tables.users, "items": tables.items}.items():
        rated, missing = count_missing(ratings, table, column=f"{key[:-1]}_id")
        found[key] = {"rated": rated, "missing": missing}
        path = paths[key]
        if path is not None:
            guard_missing(rated=rated, missing=missing, key=key, path=path, max_share=max_share)
            log.info("%s lacks %d of the %d rated %s", path, missing, rated, key)
    if ranking is not None and ratings.where(label(**ranking).isNotNull()).isEmpty():
        raise UserError(
            f"no rating lies above or below label.threshold={ranking['threshold']:g}: set input.columns.rating and "
            "label.threshold, or samples=[matching]"
        )
    return found


def describe_ratings(placed: Placed, tables: Tables, *, last: int, threshold: float) -> DataFrame:
    """The ratings with all features as of them and the columns of their user and item that are features, cached."""
    items = tables.items.drop(*tables.of_items["text"])
    known = history.add_items(placed.ratings, items, cuts=placed.cuts, threshold=threshold)
    known = history.add_users(known, genres=tables.genres, last=last, threshold=threshold)
    return known.join(tables.users.drop(*tables.of_users["text"]), "user_id", "left").persist()
