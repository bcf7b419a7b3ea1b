"""What of a user's ratings may be learned from, by hand."""

import pytest
from pyspark.sql import SparkSession

from seqrec.dataset.clean import clean

RATINGS = "user_id bigint, item_id bigint, rating float, timestamp bigint"


@pytest.mark.parametrize("least", [4.1, 3.3, 0.7, 4.2, -0.1])
def test_a_rating_equal_to_the_minimum_is_kept(spark: SparkSession, least: float) -> None:
    """The ratings are floats, of which 4.1 is below the double 4.1."""
    rows = [(1, 1, least, 1), (1, 2, least - 0.1, 2), (1, 3, least + 0.1, 3), (1, 4, None, 4)]
    (user,) = clean(spark.createDataFrame(rows, RATINGS), partitions=1, min_rating=least).collect()
    assert dict(zip(user["items"], user["good"], strict=True)) == {1: True, 2: False, 3: True, 4: False}
    assert (user["rated"], user["learnable"]) == (2, 2)
