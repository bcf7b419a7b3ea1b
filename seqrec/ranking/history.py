"""What was known before each rating: of its user by the user's earlier ratings, of its item by the earlier training ratings.

Earlier is a smaller timestamp: ratings at the same time don't see each other, whatever their order, so that nobody's order of
ties is a hint. Ratings are summed as whole millionths, so that sums don't depend on the order of additions.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from seqrec.errors import UserError
from seqrec.ranking.spread import earlier_sums, time_bucket

MILLION = 1_000_000
LARGEST_SUM = 9 * 10**12  # of ratings: in millionths it fits 64 bits
END = 2**62  # a timestamp after all others
USER_DISCRETE = ("recent_items", "last_item", "last_genre")
USER_CONTINUOUS = ("user_count", "user_mean_rating", "user_positive_share", "user_genre_shares")
USER_FEATURES = (*USER_DISCRETE, *USER_CONTINUOUS)
ITEM_GENRES = ("genres", "genre")
ITEM_COUNTS = ("item_count", "item_mean_rating", "item_positive_share")


def counted(threshold: float) -> dict[str, Column]:
    """What of a rating is summed: itself, whether it has a value, the value in millionths, whether it is above the threshold."""
    rating = F.col("rating")
    return {
        "ratings": F.lit(1),
        "valued": F.when(rating.isNotNull(), 1).otherwise(0),
        "points": F.coalesce(F.round(rating.cast("double") * MILLION).cast("bigint"), F.lit(0)),
        "positives": F.when(rating > F.lit(threshold).cast("float"), 1).otherwise(0),
    }


def guard_sum(size: float) -> None:
    """Raise UserError if ratings whose sizes add up to so much may have a sum in millionths beyond 64 bits."""
    if size > LARGEST_SUM:
        raise UserError(
            f"the sizes of the ratings add up to {size:.3g}, but no more than {LARGEST_SUM:.3g} can be averaged exactly: divide "
            "the ratings by a number, or set input.columns.rating=null"
        )


def averages(of: str, *, ratings: Column, valued: Column, points: Column, positives: Column) -> dict[str, Column]:
    """Sums of what is `counted` as OF_count, OF_mean_rating, OF_positive_share; the latter two null where nothing is valued."""
    return {
        f"{of}_count": F.coalesce(ratings, F.lit(0)).cast("bigint"),
        f"{of}_mean_rating": F.try_divide(points, valued * MILLION).cast("float"),
        f"{of}_positive_share": F.try_divide(positives, valued).cast("float"),
    }


def add_items(ratings: DataFrame, items: DataFrame, *, cuts: Sequence[int], threshold: float) -> DataFrame:
    """Ratings with ITEM_COUNTS and the columns of items (item_id and others), null for an item it lacks.

    Of an item only training ratings count. First they are summed by item and timestamp; then those of a bucket of time (see
    `spread.time_cuts`) by themselves, and the buckets' totals over a small table.
    """
    trained = F.col("split") == "train"
    values = {name: F.when(trained, value).otherwise(0) for name, value in counted(threshold).items()}
    moments = ratings.groupBy("item_id", "timestamp").agg(*(F.sum(value).alias(name) for name, value in values.items()))
    bucketed = moments.withColumn("bucket", time_bucket(cuts))
    summed = earlier_sums(bucketed, group=["item_id"], block="bucket", order="timestamp", values=list(values), table=items)
    known = averages("item", **{name: F.col(f"earlier_{name}") for name in values})
    others = [name for name in items.columns if name != "item_id"]
    at_moments = summed.select("item_id", "timestamp", *others, *(value.alias(name) for name, value in known.items()))
    return ratings.join(at_moments, ["item_id", "timestamp"], "left")


def add_users(ratings: DataFrame, *, genres: Sequence[str], last: int, threshold: float) -> DataFrame:
    """Ratings (user_id, place, item_id, rating, timestamp, genres and others) with USER_FEATURES.

    recent_items      the `last` newest earlier items, oldest first
    last_item         the newest of them; last_genre is the first of its genres
    user_genre_shares of each genre, the share of the earlier ratings whose items have it
    A row without an item sees what came before, and no row sees it.
    """
    newest = Window.partitionBy("user_id").orderBy("place").rowsBetween(1 - last, Window.currentRow)
    earlier = Window.partitionBy("user_id").orderBy("timestamp").rangeBetween(Window.unboundedPreceding, -1)
    rated = F.col("item_id").isNotNull()
    sums = {name: F.sum(F.when(rated, value).otherwise(0)).over(earlier) for name, value in counted(threshold).items()}
    state = F.struct("place", F.col("_recent").alias("items"), "item_id", F.get("genres", F.lit(0)).alias("genre"))
    times = (F.count_if(F.array_contains("genres", genre)).over(earlier) for genre in genres)
    listed = ratings.withColumn("_recent", F.collect_list("item_id").over(newest)).withColumns(
        {
            "_last": F.max(F.when(rated, state)).over(earlier),
            "_genres": F.array(*times).cast("array<bigint>"),
            **averages("user", **sums),
        }
    )
    shares = F.transform("_genres", lambda times: F.coalesce(F.try_divide(times, "user_count"), F.lit(0.0)))
    nothing = F.array().cast(ArrayType(ratings.schema["item_id"].dataType))
    features = {
        "recent_items": F.coalesce("_last.items", nothing),
        "last_item": F.col("_last.item_id"),
        "last_genre": F.col("_last.genre"),
        "user_genre_shares": shares.cast("array<float>"),
    }
    return listed.withColumns(features).select(*ratings.columns, *USER_FEATURES)


def users_at_end(ratings: DataFrame, users: DataFrame, *, genres: Sequence[str], last: int, threshold: float) -> DataFrame:
    """user_id and USER_FEATURES after all of the ratings, a row a user: what `add_users` says of a rating that follows them."""
    needed = ("user_id", "place", "item_id", "rating", "timestamp", "genres")
    ends = users.select("user_id", F.lit(END).cast("bigint").alias("timestamp"))
    both = ratings.select(*needed).unionByName(ends, allowMissingColumns=True)
    known = add_users(both, genres=genres, last=last, threshold=threshold)
    return known.where(F.col("item_id").isNull()).select("user_id", *USER_FEATURES)


def items_at_end(ratings: DataFrame, items: DataFrame, *, threshold: float) -> DataFrame:
    """The items with ITEM_COUNTS of all of the ratings."""
    sums = ratings.groupBy("item_id").agg(*(F.sum(value).alias(name) for name, value in counted(threshold).items()))
    known = averages("item", **{name: F.col(name) for name in counted(threshold)})
    return items.join(sums, "item_id", "left").select(*items.columns, *(value.alias(name) for name, value in known.items()))
