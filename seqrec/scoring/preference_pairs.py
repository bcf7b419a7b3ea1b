"""Training events into pairs of preferences: at which positions, after which context, and what a user rated low.

    events of a user    a  b  c  d  e          position 3: context a b c, chosen d
    ratings             4  5  3  5  2          low_rated: e, as it comes later and is below the mean of 3.8; c is in the context

All of it is made of training events. What is held out is used in no way, not even to spare it as a rejected item, since a model
that is never told to reject some items knows them.
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.sequences import newest_before
from seqrec.dataset.windows import bucket_of

SCORED, NEIGHBOURS, LOW_RATED = "scored", "neighbours", "low_rated"
SOURCES = (SCORED, NEIGHBOURS, LOW_RATED)


def source_quotas(shares: Mapping[str, float], *, pairs: int) -> dict[str, int]:
    """How many of a user's pairs each source makes: whole numbers whose sum is `pairs`, by shares of any sum.

    >>> source_quotas({"scored": 1, "neighbours": 1, "low_rated": 1}, pairs=20)
    {'scored': 7, 'neighbours': 6, 'low_rated': 7}
    """
    total, before, quotas = sum(shares.values()), 0.0, {}
    for source, share in shares.items():
        quotas[source] = round((before + share) * pairs / total) - round(before * pairs / total)
        before += share
    return quotas


def training_histories(events: DataFrame) -> DataFrame:
    """user_id, items and ratings (oldest first, a rating may be null), mean (of the ratings, null without any), low.

    Low are the items that the user rated below the mean each time, with the first position of each, later ones first.
    """
    entry = F.struct("position", "item_idx", "rating")
    grouped = events.where("split = 'train'").groupBy("user_id").agg(F.sort_array(F.collect_list(entry)).alias("entries"))
    rated = F.filter("ratings", lambda rating: rating.isNotNull())
    total = F.aggregate(rated, F.lit(0.0), lambda sum_, rating: sum_ + rating)
    mean = F.when(F.size(rated) > 0, total / F.size(rated))
    below = F.filter("items", lambda _, place: F.get("ratings", place) < F.col("mean"))
    others = F.filter("items", lambda _, place: F.coalesce(F.get("ratings", place) >= F.col("mean"), F.lit(True)))
    first = F.transform(
        F.array_except(below, others),
        lambda item: F.struct((F.array_position("items", item) - 1).cast("int").alias("position"), item.alias("item")),
    )
    return (
        grouped.select("user_id", F.col("entries.item_idx").alias("items"), F.col("entries.rating").alias("ratings"))
        .withColumn("mean", mean)
        .withColumn("low", F.sort_array(first, asc=False))
    )


def draw_positions(histories: DataFrame, *, source: str, quota: int, seed: int) -> DataFrame:
    """user_id, items, low, positions and draws: at most `quota` positions of chosen items, in the order of a seeded hash.

    The item at each position but the first can be chosen; of low_rated only one that is rated at or above the mean, before one
    that is rated below it. Draws are non-negative numbers that choose among candidates. Users without a position are left out.
    """
    positions = F.when(F.size("items") > 1, F.sequence(F.lit(1), F.size("items") - 1)).otherwise(F.array().cast("array<int>"))
    if source == LOW_RATED:
        last = F.get(F.col("low.position"), F.lit(0))
        positions = F.filter(
            positions, lambda place: F.coalesce((F.get("ratings", place) >= F.col("mean")) & (place < last), F.lit(False))
        )
    hashed = F.transform(
        positions,
        lambda place: F.struct(F.xxhash64(F.lit(seed), F.lit(source), "user_id", place).alias("key"), place.alias("place")),
    )
    drawn = F.slice(F.sort_array(hashed), 1, quota)
    draws = F.transform(
        drawn, lambda pair: F.shiftrightunsigned(F.xxhash64(F.lit(seed + 1), F.lit(source), "user_id", pair.place), 1)
    )
    chosen = histories.select("user_id", "items", "low", drawn.place.alias("positions"), draws.alias("draws"))
    return chosen.where(F.size("positions") > 0)


def reject_low_rated(drawn: DataFrame) -> DataFrame:
    """Add `rejected` to drawn positions: at each one of the low items that the user first took later."""

    def reject(place: Column, number: Column) -> Column:
        later = F.filter("low", lambda low: low.position > place)
        return F.get(later, F.pmod(F.get("draws", number), F.size(later)).cast("int")).item

    return drawn.withColumn("rejected", F.transform("positions", reject))


def list_pairs(drawn: DataFrame, *, source: str, max_len: int, seed: int) -> DataFrame:
    """Drawn positions and their `rejected` items (0 where none was left) as rows of schemas.preferences, one a position.

    Besides these there are the columns of the shuffle (see `windows.shuffle_into_files`).
    """
    pairs = F.arrays_zip("positions", "rejected")
    rows = drawn.select("user_id", "items", F.explode(pairs).alias("pair")).withColumn("place", F.col("pair.positions"))
    key = F.xxhash64(F.lit(seed), "user_id", "place", F.lit(source))
    return rows.select(
        newest_before(F.col("items"), F.col("place"), max_len).alias("context"),
        F.get("items", F.col("place")).alias("chosen"),
        F.col("pair.rejected").alias("rejected"),
        F.lit(source).alias("source"),
        F.xxhash64("user_id").alias("user"),
        bucket_of(key).alias("bucket"),
        key.alias("key"),
        "user_id",
        (F.col("place") * len(SOURCES) + SOURCES.index(source)).alias("window"),
    )
