"""An input table: what a configuration says of it, how it is read, and the names of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AUTO: Literal["auto"] = "auto"  # of what is found by the first rows of a file


@dataclass(frozen=True, kw_only=True)
class WantedTable:
    """What a configuration says of an input table: AUTO where it says nothing. The fields are those of `InputTable`."""

    key: str
    path: str
    format: str = AUTO
    delimiter: str = AUTO
    header: bool | Literal["auto"] = AUTO
    names: Sequence[str] | None = None
    encoding: str = AUTO


@dataclass(frozen=True, kw_only=True)
class InputTable:
    """A file or folder of CSV, Parquet or JSON lines; `key` is the configuration's key that names it, for messages.

    delimiter   of CSV
    header      whether the first line of a CSV names its columns
    names       the columns of a CSV, in place of its header's if it has one
    encoding    of CSV and JSON
    """

    key: str
    path: str
    format: str = "csv"
    delimiter: str = ","
    header: bool = True
    names: Sequence[str] | None = None
    encoding: str = "UTF-8"


@dataclass(frozen=True, kw_only=True)
class RatingColumns:
    """The names of the columns of a table of ratings; None means that the table has no such column.

    timestamp   None: ratings are ordered by their lines in the input, which is one file
    order       orders ratings of the same timestamp
    items       the list of a user's items in order, in a table of one row a user: item_id, rating, timestamp and order are unused

    Of what a configuration says, AUTO is a column that is found by the first rows.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    rating: str | None = "rating"
    timestamp: str | None = "timestamp"
    order: str | None = None
    items: str | None = None
