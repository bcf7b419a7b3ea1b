"""A table of items or users beside the ratings: its rows, and its column of ids."""

import logging
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from seqrec.catalogue.item_roles import first_id_names
from seqrec.dataset.parse import BAD_LINE
from seqrec.dataset.read_file import read_file
from seqrec.dataset.snapshot import require_whole
from seqrec.errors import UserError
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

log = logging.getLogger("seqrec")


def read_rows(spark: SparkSession, table: InputTable, *, max_bad_share: float) -> DataFrame:
    """Act: a table as its file has it, without the lines that can't be cut into its columns, which a warning counts.

    Raises UserError if the table is still being written, or more than max_bad_share of its lines are such.
    """
    require_whole(spark, table)
    raw = read_file(spark, table, used=())  # which columns are used is only known by what there are
    if BAD_LINE not in raw.columns or raw.columns[0] == BAD_LINE:
        return raw
    bad, first = F.col(BAD_LINE), F.count(io.column(raw.columns[0]))  # Spark counts no bad lines unless it reads a column, too
    rows, count, example, _ = raw.agg(F.count(F.lit(1)), F.count(bad), F.min(bad), first).collect()[0]
    if count:
        message = (
            f"{table.place}: {count:,} of {rows:,} rows have another number of columns than the first, such as {example[:200]!r}"
        )
        if count > max_bad_share * rows:
            remedy = f"check {table.key}.quote, .escape, .multiline and .delimiter"
            raise UserError(f"{message}, max_bad_share is {max_bad_share:g}: {remedy}, or raise max_bad_share")
        log.warning("%s: they are left out", message)
    return raw.where(bad.isNull()).drop(BAD_LINE)


def require_columns(raw: DataFrame, key: str, columns: Sequence[str], *, path: str) -> None:
    """Raise UserError, with the key that names it, for a column that isn't there."""
    for column in columns:
        if column not in raw.columns:
            raise UserError(f"{path} has no column {column!r}, which {key} names; it has {', '.join(raw.columns) or 'none'}")


def choose_item_column(raw: DataFrame, table: InputTable, wanted: str | None) -> str:
    """The column of the items' ids: the wanted one, else the only one whose name says so; UserError for none or several.

    Without a header a CSV's columns have no names of their own, so `names` must say them.
    """
    key, path = table.key, table.place
    if table.format == "csv" and not table.header and table.names is None:
        raise UserError(f"{path} has no header: set {key}.names=[item_id, …], the names of its columns from the first on")
    if wanted is not None:
        require_columns(raw, f"{key}.id", [wanted], path=path)
        return wanted
    names = first_id_names(raw.columns)
    if len(names) != 1:
        shown = f"{', '.join(names)} could each be the id" if names else "no column is known as the id of an item"
        raise UserError(f"{path}: {shown}; it has {', '.join(raw.columns) or 'none'}: set {key}.id=COLUMN")
    return names[0]
