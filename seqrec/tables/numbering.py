"""Numbers for rows, from 0, in an order that no single task sees as a whole.

A table in order lies in parts: blocks of a file, partitions of a sort, buckets of a hash. The driver learns how many rows each
part has. A row's number is then the rows of the parts before its own, plus its rank inside its part. No task and no driver holds
more than a part, whatever the size of the table.
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
    """The number of each part's first row, of the rows in each part by its key; numbers begin with `first`.

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
    """Rows with their number (bigint), by the part that they lie in and their `row_counter`, both columns of the rows.

    Each part must have been counted by one task in its order.
    """
    begin = first_numbers({counted.key: counted.rows for counted in parts}, first=first)
    shifts = [(counted.key, begin[counted.key] - counted.least) for counted in parts]
    offsets = io.few_rows(rows.sparkSession, shifts, part, "_shift")
    return rows.join(offsets, part).withColumn(number, F.col(counter) + F.col("_shift")).drop("_shift")
