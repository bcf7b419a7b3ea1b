"""The settings of a table that a user gives: where it is, and how it is written; `auto` is found by its first rows."""

from typing import Literal

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path
from seqrec.tables.input_table import AUTO, WantedTable


class TableFile(Strict):
    """A file or folder of ratings, users or items."""

    path: str | None = Field(None, description="file or folder; null: there is none")
    format: Literal["auto", "csv", "parquet", "json"] = Field(AUTO, description="csv, parquet or json (JSON lines)")
    delimiter: Path = Field(AUTO, description="of CSV; any string, such as :: or \\t")
    header: bool | Literal["auto"] = Field(AUTO, description="whether the first line of a CSV names its columns")
    names: list[str] | None = Field(None, description="column names of a CSV, in place of its header's if it has one")
    encoding: str = Field(AUTO, description="of CSV and JSON, such as UTF-8 or ISO-8859-1")

    def wanted(self, key: str) -> WantedTable | None:
        """What these settings say of the table; None if there is none. The key names them in messages."""
        if self.path is None:
            return None
        return WantedTable(
            key=key,
            path=self.path,
            format=self.format,
            delimiter=self.delimiter,
            header=self.header,
            names=self.names,
            encoding=self.encoding,
        )
