"""The settings of a table that a user gives: where it is, and how it is written; `auto` is found by its first rows."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path
from seqrec.tables.input_table import AUTO, NULL_VALUES, WantedTable

Mark = Literal["auto"] | Annotated[str, Field(min_length=1, max_length=1)]


class TableFile(Strict):
    """A file or folder of ratings, users or items, or a table of Spark's catalogue."""

    path: str | None = Field(None, description="file, folder or pattern; null: there is none")
    table: str | None = Field(None, description="in place of path: a table that Spark knows by name, such as db.ratings")
    format: Literal["auto", "csv", "parquet", "json", "lists", "blocks", "delta", "iceberg"] = Field(
        AUTO,
        description="csv, parquet, json, delta or iceberg; lists: a line `USER ITEM ITEM …` a user; blocks: lines "
        "`USER,RATING,DATE` below a line `ITEM:`",
    )
    delimiter: Path = Field(AUTO, description="of CSV, lists and blocks; any string, such as :: or \\t")
    header: bool | Literal["auto"] = Field(AUTO, description="whether the first line of a CSV names its columns")
    names: list[str] | None = Field(None, description="column names of a CSV, in place of its header's if it has one")
    encoding: Path = Field(AUTO, description="of text, such as UTF-8, UTF-16, windows-1252 or ISO-8859-1")
    quote: Mark | None = Field(AUTO, description="of CSV: the mark around fields that hold delimiters; null: there is none")
    escape: Mark = Field(
        AUTO, description="of CSV: what stands before a quote inside quotes; the quote itself where it is doubled"
    )
    multiline: bool | Literal["auto"] = Field(
        AUTO, description="whether quoted fields hold line ends, or JSON is an array; then a file is read by one task"
    )
    decimal: Literal["auto", ".", ","] = Field(AUTO, description="the mark before the decimals of numbers that are text")
    null_values: list[str] = Field(list(NULL_VALUES), description="cells that hold nothing")
    member: str | None = Field(None, description="the file to read inside a ZIP archive; null: its only one")

    @property
    def place(self) -> str | None:
        """The table's name or path; None if there is no table."""
        return self.table or self.path

    def wanted(self, key: str) -> WantedTable | None:
        """What these settings say of the table; None if there is none. The key names them in messages."""
        if self.place is None:
            return None
        return WantedTable(
            key=key,
            path=self.place,
            format="table" if self.table else self.format,
            delimiter=self.delimiter,
            header=self.header,
            names=self.names,
            encoding=self.encoding,
            quote=self.quote,
            escape=self.escape,
            multiline=self.multiline,
            decimal=self.decimal,
            null_values=self.null_values,
            member=self.member,
        )


class HeadedTable(TableFile):
    """A table whose columns are named by its header, or by `names`."""

    def wanted(self, key: str) -> WantedTable | None:
        """As of any table; but without `names` the first line is a header, since columns are known by their names."""
        wanted = super().wanted(key)
        if wanted is None or wanted.header != AUTO or wanted.names is not None:
            return wanted
        return replace(wanted, header=True)
