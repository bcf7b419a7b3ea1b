"""Sums that don't depend on their order: of whole multiples of a unit, so that scores are the same for any partitioning."""

import math

from pyspark.sql import Column
from pyspark.sql import functions as F

BITS = 62  # of a bigint, with one to spare


def units(*, largest: float, terms: int) -> float:
    """How many units are 1: the greatest power of two with which a sum of so many terms, none above the largest, fits a bigint.

    >>> math.log2(units(largest=0.5, terms=200))
    55.0
    >>> 200 * 0.5 * units(largest=0.5, terms=200) <= 2**62
    True
    """
    return 2.0 ** math.floor(BITS - math.log2(largest * terms))


def to_units(number: Column, scale: float) -> Column:
    """The number in whole units, rounded down, as a bigint."""
    return (number * F.lit(scale)).cast("bigint")


def from_units(total: Column, scale: float) -> Column:
    """A sum of units as a double."""
    return total.cast("double") / F.lit(scale)
