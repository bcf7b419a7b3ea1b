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
    """item_idx, neighbour, score: the sum of w_u^2 over the u of U_i that have j, over sqrt(W_i * W_j), W_i that over all U_i.

    Where S_i is less than U_i the sum is that over S_i times |U_i| / |S_i|, whose expectation over samples is the sum over U_i:
    scores of items with and without a sample compare, and the score of i and j in j's own list, counted on S_j, differs by chance
    alone.

    Cost: the users' items go once to each item they are sampled for, and a pair is counted where its item is: as the sample is
    partitioned by item_idx, nothing but it is shuffled, at most max_user_items indices for an interaction.
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
