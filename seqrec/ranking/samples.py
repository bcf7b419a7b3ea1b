"""Ranking samples: cleaned ratings with a label and features as of the rating."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EQUAL = {"drop": None, "positive": 1, "negative": 0}


def label(*, threshold: float, equal: str) -> Column:
    """1 for a rating above the threshold, 0 for one below; null for no rating, and for an equal one that is to be dropped.

    The threshold is taken as precisely as the ratings, as a float: 0.3 equals the rating 0.3.
    """
    rating, bound = F.col("rating"), F.lit(threshold).cast("float")
    return F.when(rating > bound, 1).when(rating < bound, 0).when(rating == bound, EQUAL[equal]).cast("int")


def ranking_samples(features: DataFrame, *, threshold: float, equal: str) -> DataFrame:
    """The ratings that have a split and a label; `features` are ratings with all that is known as of them."""
    samples = features.withColumn("label", label(threshold=threshold, equal=equal))
    return samples.where(F.col("split").isNotNull() & F.col("label").isNotNull())
