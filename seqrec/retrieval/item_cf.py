"""ItemCF: the cosine of two items' users, a user of |I_u| items counting w_u^2 = 1 / |I_u|."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.retrieval.activity import Sample, sample_size
from seqrec.tables.exact_sums import from_units, to_units, units

PAIRS_PER_TASK = 2_000_000


def item_pairs(max_users_per_item: int | None) -> Column:
    """The number of pairs (user of the sample, other item of that user) of an item, see `item_users`, as expected of a sample."""
    return sample_size(max_users_per_item) / F.col("users") * (F.col("listed") - F.col("users"))


def item_cf(sample: Sample) -> DataFrame:
    """item_idx, neighbour, score: the sum of w_u^2 over the users of i who have j, over sqrt(W_i * W_j), W_i the sum over U_i.

    If S_i is smaller than U_i, the sum over S_i is multiplied by |U_i| / |S_i|; its expectation over samples is the sum over U_i.
    So scores of items with and without a sample are comparable, and the score of i and j in j's list, which is counted on S_j,
    differs by chance alone.

    Cost: the sample is shuffled once, at most max_user_items indices for an interaction. It is partitioned by item_idx, so pairs
    are counted without another shuffle.
    """
    scale = units(largest=1.0, terms=sample.most_users)
    weight = to_units(1 / F.col("size"), scale).alias("weight")
    pairs = sample.users.select("item_idx", weight, F.explode("items").alias("neighbour")).where("item_idx != neighbour")
    sums = pairs.groupBy("item_idx", "neighbour").agg(F.sum("weight").alias("common"))
    share = F.col("users") / sample_size(sample.max_users_per_item)
    left = sample.items.select("item_idx", "weight", share.alias("stands_for"))
    right = sample.items.select(F.col("item_idx").alias("neighbour"), F.col("weight").alias("neighbour_weight"))
    score = from_units(F.col("common"), scale) * F.col("stands_for") / F.sqrt(F.col("weight") * F.col("neighbour_weight"))
    return sums.join(left, "item_idx").join(right, "neighbour").select("item_idx", "neighbour", score.alias("score"))
