"""Sums that don't depend on the order of their terms, so that scores don't depend on the partitioning.

A sum of doubles rounds differently in every order. These three kinds of sums don't:

- Whole units (`to_units`, `from_units`): any numbers whose largest value and number of terms are known beforehand. The unit is as
  small as 62 bits allow, and each term is rounded down to whole units.
- Fractions (`sum_fractions`): numbers from 0 to 1, rounded to 18 decimals. Slower than units, but for any number of terms.
- Floats (`sum_floats`): a float has 24 bits and a double 53, so the doubles' rounding is far below the precision of the sum.
"""

import math

from pyspark.sql import Column
from pyspark.sql import functions as F

BITS = 62  # of a bigint, with one to spare


def units(*, largest: float, terms: int) -> float:
    """The number of units in 1: the greatest power of two with which a sum of `terms` numbers up to `largest` fits a bigint.

    >>> math.log2(units(largest=0.5, terms=200))
    55.0
    >>> 200 * 0.5 * units(largest=0.5, terms=200) <= 2**62
    True
    """
    return 2.0 ** math.floor(BITS - math.log2(largest * terms))


def to_units(number: Column, scale: float) -> Column:
    """The number in whole units, rounded down, as a bigint."""
    return (number * F.lit(scale)).cast("bigint")


def to_nearest_units(number: Column, scale: float) -> Column:
    """The number in whole units, rounded to the nearest, as a bigint."""
    return F.round(number * F.lit(scale)).cast("bigint")


def from_units(total: Column, scale: float) -> Column:
    """A sum of units as a double."""
    return total.cast("double") / F.lit(scale)


def sum_fractions(number: Column) -> Column:
    """The sum, a double, of numbers from 0 to 1."""
    return F.sum(number.cast("decimal(20,18)")).cast("double")


def sum_floats(number: Column) -> Column:
    """The sum, a float, of floats."""
    return F.sum(number.cast("float").cast("double")).cast("float")
