"""Ranking samples: cleaned ratings with a label and features as of the rating."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

EQUAL = {"drop": None, "positive": 1, "negative": 0}


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """Ratings above the threshold are positive, those below negative; `equal`, one of EQUAL, is what a rating equal to it is."""

    threshold: float
    equal: str


def rating_label(labelling: Labelling) -> Column:
    """1 for a rating above the threshold, 0 for one below; null for no rating, and for an equal one that is to be dropped.

    The threshold is taken as precisely as the ratings, as a float: 0.3 equals the rating 0.3.
    """
    rating, bound = F.col("rating"), F.lit(labelling.threshold).cast("float")
    return F.when(rating > bound, 1).when(rating < bound, 0).when(rating == bound, EQUAL[labelling.equal]).cast("int")


def ranking_samples(features: DataFrame, labelling: Labelling) -> DataFrame:
    """The ratings that have a split and a label; `features` are ratings with their features as of each."""
    samples = features.withColumn("label", rating_label(labelling))
    return samples.where(F.col("split").isNotNull() & F.col("label").isNotNull())
