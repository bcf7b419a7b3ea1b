"""Row numbers, from 0, for an ordered table that no single task reads as a whole.

The table is in ordered parts: blocks of a file, partitions of a sort, buckets of a hash. The driver learns the number of rows in
each part. A row's number is the number of rows in all earlier parts, plus its rank inside its part. Neither a task nor the driver
holds more than one part, whatever the size of the table.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from seqrec.tables import io


class CountedPart(NamedTuple):
    """A part of a table: its key, which sorts the parts; the least value of its rows' counter; how many rows it has."""

    key: int
    least: int
    rows: int


def first_numbers(rows: Mapping[int, int], *, first: int = 0) -> dict[int, int]:
    """The number of each part's first row, by key, from the number of rows in each part; numbers begin with `first`.

    >>> first_numbers({2: 5, 0: 3, 1: 4})
    {0: 0, 1: 3, 2: 7}
    """
    numbers = {}
    for key in sorted(rows):
        numbers[key] = first
        first += rows[key]
    return numbers


def row_counter() -> Column:
    """A counter that rises by 1 from row to row within a task; where it begins differs from task to task."""
    return F.monotonically_increasing_id()


def number_rows(
    rows: DataFrame, parts: Sequence[CountedPart], *, part: str, counter: str, number: str, first: int = 0
) -> DataFrame:
    """Add the column `number` (bigint), made from two columns of the rows: `part`, a part's key, and `counter`, a `row_counter`.

    One task must have counted all rows of a part, in their order.
    """
    begin = first_numbers({counted.key: counted.rows for counted in parts}, first=first)
    shifts = [(counted.key, begin[counted.key] - counted.least) for counted in parts]
    offsets = io.few_rows(rows.sparkSession, shifts, part, "_shift")
    return rows.join(offsets, part).withColumn(number, F.col(counter) + F.col("_shift")).drop("_shift")
