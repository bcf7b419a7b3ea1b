"""Times with the name of a zone: each name has one meaning wherever it stands, and one with several isn't read."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.types import StringType

from seqrec.dataset.time_formats import date_patterns
from seqrec.dataset.times import TimeReading, epoch_milliseconds

MOMENT = 1_600_327_202_000  # 2020-09-17 07:20:02 UTC


@pytest.mark.parametrize(
    "text",
    [
        "2020-09-17 07:20:02 GMT",
        "2020-09-17T07:20:02.000 UTC",
        "2020-09-17 02:20:02 EST",
        "Thu Sep 17 02:20:02 EST 2020",
        "Thu Sep 17 03:20:02 EDT 2020",
        "09/17/2020 9:20:02 AM CEST",
        "17 Sep 2020 00:20:02 PDT",
        "2020-09-17 09:20:02 Europe/Berlin",
        "Thu Sep 17 07:20:02 +0000 2020",
        "2020-09-17 07:20:02Z",
    ],
)
def test_a_zone_by_its_name(spark: SparkSession, text: str) -> None:
    assert read(spark, text) == MOMENT


@pytest.mark.parametrize(
    "text", ["2020-09-17 08:20:02 BST", "Thu Sep 17 08:20:02 BST 2020", "2020-09-17 12:50:02 IST", "17 Sep 2020 07:20:02 XYZ"]
)
def test_a_name_of_several_zones_is_not_read(spark: SparkSession, text: str) -> None:
    """Spark reads the first as the time of Dhaka, and the second as that of Bougainville."""
    assert read(spark, text) is None
    assert date_patterns(text) == {}


def test_a_given_pattern_is_obeyed(spark: SparkSession) -> None:
    assert read(spark, "2020-09-17 07:20:02 BST", "yyyy-MM-dd HH:mm:ss 'BST'") == MOMENT


def read(spark: SparkSession, text: str, *given: str) -> int | None:
    """A text in epoch ms, by the patterns that it suggests, or by the given ones alone."""
    reading = TimeReading("iso", given or tuple(date_patterns(text).values()), iso=not given)
    table = spark.createDataFrame([(text,)], "timestamp string")
    milliseconds: int | None = table.select(epoch_milliseconds(StringType(), reading)).collect()[0][0]
    return milliseconds
