"""Features as of each rating: of its user from the user's earlier ratings, of its item from the item's earlier training ratings.

Earlier means a smaller timestamp. Ratings with the same timestamp don't count for each other, so that the order of ties gives
nothing away. Ratings are summed as whole millionths, so that sums don't depend on the order of additions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from seqrec.errors import UserError
from seqrec.ranking.skew import earlier_sums, time_bucket
from seqrec.tables.exact_sums import to_nearest_units

MILLION = 1_000_000
LARGEST_SUM = 9 * 10**12  # of ratings: in millionths it fits 64 bits
END = 2**62  # a timestamp after all others
USER_DISCRETE = ("recent_items", "last_item", "last_genre")
USER_CONTINUOUS = ("user_count", "user_mean_rating", "user_positive_share", "user_genre_shares")
USER_FEATURES = (*USER_DISCRETE, *USER_CONTINUOUS)
ITEM_GENRES = ("genres", "genre")
ITEM_COUNTS = ("item_count", "item_mean_rating", "item_positive_share")


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How features are made: how many newest items of a user they list, and the threshold above which a rating is positive."""

    recent_items: int
    threshold: float


@dataclass(frozen=True, kw_only=True)
class RatingSums:
    """Columns of sums over ratings: their number, the number that have a value, their values in millionths, the positive ones."""

    ratings: Column
    valued: Column
    millionths: Column
    positives: Column


def summands(threshold: float) -> dict[str, Column]:
    """What a rating adds to each of RatingSums."""
    rating = F.col("rating")
    return {
        "ratings": F.lit(1),
        "valued": F.when(rating.isNotNull(), 1).otherwise(0),
        "millionths": F.coalesce(to_nearest_units(rating.cast("double"), MILLION), F.lit(0)),
        "positives": F.when(rating > F.lit(threshold).cast("float"), 1).otherwise(0),
    }


def guard_sum(size: float) -> None:
    """Raise UserError if the sum of the ratings' absolute values, `size`, is so large that millionths may overflow 64 bits."""
    if size > LARGEST_SUM:
        raise UserError(
            f"the sizes of the ratings add up to {size:.3g}, but no more than {LARGEST_SUM:.3g} can be averaged exactly: divide "
            "the ratings by a number, or set input.columns.rating=null"
        )


def mean_columns(of: str, sums: RatingSums) -> list[Column]:
    """OF_count, OF_mean_rating and OF_positive_share; the latter two are null where no rating has a value."""
    return [
        F.coalesce(sums.ratings, F.lit(0)).cast("bigint").alias(f"{of}_count"),
        F.try_divide(sums.millionths, sums.valued * MILLION).cast("float").alias(f"{of}_mean_rating"),
        F.try_divide(sums.positives, sums.valued).cast("float").alias(f"{of}_positive_share"),
    ]


def add_item_features(ratings: DataFrame, items: DataFrame, *, cuts: Sequence[int], threshold: float) -> DataFrame:
    """Ratings with ITEM_COUNTS and the columns of items (item_id and others), null for an item it lacks.

    Of an item only training ratings count. They are summed by item and timestamp first, then within each bucket of time (see
    `skew.time_cuts`); the buckets' totals are summed over a small table.
    """
    trained = F.col("split") == "train"
    values = {name: F.when(trained, value).otherwise(0) for name, value in summands(threshold).items()}
    moments = ratings.groupBy("item_id", "timestamp").agg(*(F.sum(value).alias(name) for name, value in values.items()))
    bucketed = moments.withColumn("bucket", time_bucket(cuts))
    summed = earlier_sums(bucketed, group=["item_id"], block="bucket", order="timestamp", values=list(values), table=items)
    counts = mean_columns("item", _sums({name: F.col(f"earlier_{name}") for name in values}))
    item_columns = [name for name in items.columns if name != "item_id"]
    at_moments = summed.select("item_id", "timestamp", *item_columns, *counts)
    return ratings.join(at_moments, ["item_id", "timestamp"], "left")


def add_user_features(ratings: DataFrame, *, genres: Sequence[str], options: FeatureOptions) -> DataFrame:
    """Ratings (user_id, ordinal, item_id, rating, timestamp, genres and others) with USER_FEATURES.

    recent_items        the newest earlier items, oldest first
    last_item           the newest of them; last_genre is the first of its genres
    user_genre_shares   of each genre, the share of the earlier ratings whose items have it
    A row without an item gets features of the ratings before it, and counts for no other row.
    """
    newest = Window.partitionBy("user_id").orderBy("ordinal").rowsBetween(1 - options.recent_items, Window.currentRow)
    earlier = Window.partitionBy("user_id").orderBy("timestamp").rangeBetween(Window.unboundedPreceding, -1)
    rated = F.col("item_id").isNotNull()
    values = {name: F.when(rated, value).otherwise(0) for name, value in summands(options.threshold).items()}
    averages = mean_columns("user", _sums({name: F.sum(value).over(earlier) for name, value in values.items()}))
    state = F.struct("ordinal", F.col("_recent").alias("items"), "item_id", F.get("genres", F.lit(0)).alias("genre"))
    times = (F.count_if(F.array_contains("genres", genre)).over(earlier) for genre in genres)
    with_past = ratings.withColumn("_recent", F.collect_list("item_id").over(newest)).select(
        "*",
        F.max(F.when(rated, state)).over(earlier).alias("_last"),
        F.array(*times).cast("array<bigint>").alias("_genres"),
        *averages,
    )
    shares = F.transform("_genres", lambda times: F.coalesce(F.try_divide(times, "user_count"), F.lit(0.0)))
    no_items = F.array().cast(ArrayType(ratings.schema["item_id"].dataType))
    features = {
        "recent_items": F.coalesce("_last.items", no_items),
        "last_item": F.col("_last.item_id"),
        "last_genre": F.col("_last.genre"),
        "user_genre_shares": shares.cast("array<float>"),
    }
    return with_past.withColumns(features).select(*ratings.columns, *USER_FEATURES)


def user_features_at_end(ratings: DataFrame, users: DataFrame, *, genres: Sequence[str], options: FeatureOptions) -> DataFrame:
    """user_id and USER_FEATURES after all of the ratings, for each user: those that `add_user_features` gives a later rating."""
    needed = ("user_id", "ordinal", "item_id", "rating", "timestamp", "genres")
    ends = users.select("user_id", F.lit(END).cast("bigint").alias("timestamp"))
    both = ratings.select(*needed).unionByName(ends, allowMissingColumns=True)
    features = add_user_features(both, genres=genres, options=options)
    return features.where(F.col("item_id").isNull()).select("user_id", *USER_FEATURES)


def item_features_at_end(ratings: DataFrame, items: DataFrame, *, threshold: float) -> DataFrame:
    """The items with ITEM_COUNTS of all of the ratings."""
    values = summands(threshold)
    sums = ratings.groupBy("item_id").agg(*(F.sum(value).alias(name) for name, value in values.items()))
    counts = mean_columns("item", _sums({name: F.col(name) for name in values}))
    return items.join(sums, "item_id", "left").select(*items.columns, *counts)


def _sums(columns: dict[str, Column]) -> RatingSums:
    """Columns by the names of `summands`."""
    return RatingSums(
        ratings=columns["ratings"],
        valued=columns["valued"],
        millionths=columns["millionths"],
        positives=columns["positives"],
    )
