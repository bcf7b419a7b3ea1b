"""An input table: what a configuration says of it, how it is read, and the names of its columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

AUTO: Literal["auto"] = "auto"  # of what is found by the first rows of a file
NULL_VALUES = ("", "NA", "N/A", "NULL", "null", "NaN", "nan", "None", "\\N")  # cells that hold nothing
SETTLED_BY = {  # what the first rows are asked for, by format; other formats say all of it themselves
    "csv": ("delimiter", "header", "encoding", "quote", "escape", "multiline", "decimal"),
    "json": ("encoding", "multiline"),
    "lists": ("delimiter", "header", "encoding"),
    "blocks": ("delimiter", "encoding"),
}


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
    quote: str | None = AUTO
    escape: str = AUTO
    multiline: bool | Literal["auto"] = AUTO
    decimal: str = AUTO
    null_values: Sequence[str] = NULL_VALUES
    member: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the configuration says all of how the file is written, so that its first rows tell nothing more."""
        return self.format != AUTO and AUTO not in (getattr(self, name) for name in SETTLED_BY.get(self.format, ()))

    def settled(self, found: "InputTable") -> "InputTable":
        """How the table is read: as the configuration says and, where it says nothing, as was found."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        if said["names"] is None:
            del said["names"]
        return replace(found, **{name: value for name, value in said.items() if value != AUTO})


@dataclass(frozen=True, kw_only=True)
class InputTable:
    """A file, a folder or a table of Spark's catalogue; `key` is the configuration's key that names it, for messages.

    format      csv, parquet, json, delta or iceberg; `lists`: a line a user, the user and then the items; `blocks`: lines of
                ratings below a line `ITEM:`; `table`: the path is a name in Spark's catalogue
    delimiter   of CSV, lists and blocks
    header      whether the first line of a CSV names its columns
    names       the columns of a CSV, in place of its header's if it has one
    encoding    of text
    quote       of CSV, the mark around fields that may hold delimiters; None: no mark is one
    escape      of CSV, what stands before a quote inside quotes; the quote itself, where it is doubled
    multiline   whether a quoted field of a CSV may hold line ends, or JSON is written over several lines
    decimal     the mark before the decimals of a number
    null_values cells that hold nothing
    member      the file inside a ZIP archive; None: its only one
    origin      what the path was unpacked from; None if the input lies as it is
    """

    key: str
    path: str
    format: str = "csv"
    delimiter: str = ","
    header: bool = True
    names: Sequence[str] | None = None
    encoding: str = "UTF-8"
    quote: str | None = '"'
    escape: str = '"'
    multiline: bool = False
    decimal: str = "."
    null_values: Sequence[str] = NULL_VALUES
    member: str | None = None
    origin: str | None = None

    @property
    def place(self) -> str:
        """The path or the name that the configuration has, for messages."""
        return self.origin or self.path


@dataclass(frozen=True, kw_only=True)
class RatingColumns:
    """The names of the columns of a table of ratings; None means that the table has no such column.

    timestamp   None: ratings are ordered by their lines in the input, which is one file
    order       orders ratings of the same timestamp
    items       the list of a user's items in order, in a table of one or several rows a user. item_id, rating and timestamp then
                name fields of its elements, where these are objects; a rating and a timestamp may also be lists beside it, and a
                timestamp the time of the row

    Of what a configuration says, AUTO is a column that is found by the first rows.
    """

    user_id: str = "user_id"
    item_id: str = "item_id"
    rating: str | None = "rating"
    timestamp: str | None = "timestamp"
    order: str | None = None
    items: str | None = None
