"""The settings of a table that a user gives: where it is, and how it is written."""

from typing import Literal

from pydantic import Field

from seqrec.command.config import Strict
from seqrec.settings import Path
from seqrec.tables.input_table import InputTable


class TableFile(Strict):
    """A file or folder of ratings, users or items."""

    path: str | None = Field(None, description="file or folder; null: there is none")
    format: Literal["csv", "parquet", "json"] = Field("csv", description="csv, parquet or json (JSON lines)")
    delimiter: Path = Field(",", description="of CSV; any string, such as :: or \\t")
    header: bool = Field(True, description="whether the first line of a CSV names its columns")
    names: list[str] | None = Field(None, description="column names of a CSV, in place of its header's if it has one")
    encoding: str = Field("UTF-8", description="of CSV and JSON")

    def table(self, key: str) -> InputTable | None:
        """The path and the format of the table; None if there is none. The key names these settings in messages."""
        if self.path is None:
            return None
        return InputTable(
            key=key,
            path=self.path,
            format=self.format,
            delimiter=self.delimiter,
            header=self.header,
            names=self.names,
            encoding=self.encoding,
        )
