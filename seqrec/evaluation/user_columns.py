"""Columns of a table of users, by which an evaluation tells groups of them apart: of any file, or of build_features."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from seqrec.dataset.id_tables import read_rows, require_columns
from seqrec.dataset.ids import clean_cell, id_column, typed_id
from seqrec.errors import UserError
from seqrec.evaluation.held_out import HeldOut
from seqrec.storage import files, versions
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

USERS = "users"  # the table of build_features
MAX_BAD_SHARE = 0.01  # of lines that can't be cut into columns

log = logging.getLogger("seqrec")


@dataclass(frozen=True, kw_only=True)
class UserColumns:
    """Where a table of users is: a file as Spark reads it, or a version of build_features; and its column of the ids."""

    table: InputTable | None = None
    features: str | None = None
    id: str = "user_id"

    @property
    def place(self) -> str:
        """The path, for messages."""
        return self.table.place if self.table is not None else files.join(self.features or "", USERS)


def find_features(path: str) -> str | None:
    """The version that a path names if it is a folder of build_features, else None."""
    name = path.rstrip("/").rpartition("/")[2]
    return versions.resolve(path) if files.exists(files.join(path, versions.CURRENT)) or versions.RUN_ID.match(name) else None


def read_user_columns(held_out: HeldOut, source: UserColumns, columns: Sequence[str]) -> DataFrame:
    """Act: user_id, of the dataset's type, and the columns as text, null for cells that hold nothing.

    Raises UserError for a column that isn't there, for ids that repeat, and if no id is one of the dataset's type, or of an
    evaluated user. Rows whose id isn't of the type are left out, and a warning counts them; another one, if most of the evaluated
    users have no row.
    """
    dataset = held_out.dataset
    if source.table is None:
        raw, null_values = io.open_table(dataset.spark, source.place), []
    else:
        raw = read_rows(dataset.spark, source.table, max_bad_share=MAX_BAD_SHARE)
        null_values = list(source.table.null_values)
    require_columns(raw, "users.id", [source.id], path=source.place)
    require_columns(raw, "segments", columns, path=source.place)
    kind = raw.schema[source.id].dataType
    user_id = typed_id(id_column(io.column(source.id), kind, null_values), kind, dataset.user.simpleString())
    cells = [clean_cell(io.column(name), raw.schema[name].dataType, null_values).cast("string").alias(name) for name in columns]
    table = raw.select(user_id.alias("user_id"), *cells).persist()
    rows, usable = table.agg(F.count("*"), F.count("user_id")).collect()[0]
    if not usable:
        raise UserError(
            f"{source.place}: none of {rows:,} values of {source.id} is a {dataset.user.simpleString()}, as the dataset's ids "
            "are: set users.id=COLUMN"
        )
    if usable < rows:
        log.warning("%s: %s of %s rows have no id of a user: they are left out", source.place, f"{rows - usable:,}", f"{rows:,}")
    users = table.where(F.col("user_id").isNotNull())
    io.assert_unique(users, key="user_id", path=source.place)
    _require_evaluated(users, held_out, place=source.place)
    return users


def _require_evaluated(users: DataFrame, held_out: HeldOut, *, place: str) -> None:
    """Act: raise UserError if none of the evaluated users has a row in a table (key user_id); warn if fewer than half have."""
    evaluated = held_out.users.select("user_id")
    total, described = evaluated.count(), evaluated.join(users, "user_id", "left_semi").count()
    if not described:
        theirs, ours = ([row["user_id"] for row in some.orderBy("user_id").limit(3).collect()] for some in (users, evaluated))
        raise UserError(
            f"{place}: none of the {total:,} evaluated users ({', '.join(map(repr, ours))}, …) has a row; its ids are "
            f"{', '.join(map(repr, theirs))}, …: give the table that belongs to the ratings, or set users.id=COLUMN"
        )
    if 2 * described < total:
        log.warning("%s: only %s of the %s evaluated users have a row", place, f"{described:,}", f"{total:,}")
