"""Ranking samples: cleaned ratings with a label and features as of the rating."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EQUAL = {"drop": None, "positive": 1, "negative": 0}


def label(*, threshold: float, equal: str) -> Column:
    """1 for a rating above the threshold, 0 for one below; null for no rating, and for an equal one that is to be dropped."""
    rating = F.col("rating")
    return F.when(rating > threshold, 1).when(rating < threshold, 0).when(rating == threshold, EQUAL[equal]).cast("int")


def ranking_samples(features: DataFrame, *, threshold: float, equal: str) -> DataFrame:
    """The ratings that have a split and a label; `features` are ratings with all that is known as of them."""
    samples = features.withColumn("label", label(threshold=threshold, equal=equal))
    return samples.where(F.col("split").isNotNull() & F.col("label").isNotNull())
