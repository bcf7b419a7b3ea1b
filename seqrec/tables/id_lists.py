"""Ids that a configuration names: in a list, a text file, a CSV file or a Parquet table."""

import logging

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType, StringType

from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io

log = logging.getLogger("seqrec")


def read_ids(spark: SparkSession, ids: list[str] | str, *, column: str, kind: DataType) -> DataFrame:
    """Act: the distinct ids, as a table of `column` with the type `kind`, from a list of ids or the path of a file or table.

    A path ending in .csv is a CSV with a header, a folder or a path ending in .parquet a Parquet table, both with the column;
    any other file has one id in each line. Blank lines and nulls are skipped. Raises UserError if the file or the column is
    missing, if a value doesn't have the type, or if there are no ids.
    """
    if isinstance(ids, str):
        source = f"{column}s in {ids}"
        raw = _read(spark, ids, column)
    else:
        source = f"{column}s given"
        raw = spark.createDataFrame([(str(value),) for value in ids], f"`{column}` string")
    typed = raw.select(F.col(column).alias("raw"), F.col(column).try_cast(kind).alias(column)).where(F.col("raw").isNotNull())
    wrong = [row["raw"] for row in typed.where(F.col(column).isNull()).select("raw").limit(3).collect()]
    if wrong:
        raise UserError(f"{source}: {wrong} are not of type {kind.simpleString()}, as the dataset's are: correct or remove them")
    distinct = typed.select(column).distinct()
    if distinct.isEmpty():
        raise UserError(f"{source}: there is none; leave the key out to take all")
    return distinct


def read_id_pairs(spark: SparkSession, path: str, kinds: dict[str, DataType]) -> DataFrame:
    """Act: the distinct rows of columns of ids, with the types `kinds`, of a CSV with a header or a Parquet file or table.

    Rows without an id are left out, and counted in a warning; so says one if no row is left. Raises UserError if the file or a
    column is missing, or if a value doesn't have its type.
    """
    if not files.exists(path):
        raise UserError(f"{path}: no such file; give a CSV or a table with the columns {' and '.join(kinds)}")
    table = _open(spark, path)
    if table is None:
        raise UserError(f"{path}: is it a CSV? Give it a name that ends in .csv, with a header of {','.join(kinds)}")
    rows = table.select(*(_id_column(table, name, path) for name in kinds))
    raw = rows.dropna()
    if lacking := rows.count() - raw.count():
        log.warning("%s: %s rows without %s are left out", path, f"{lacking:,}", " or ".join(kinds))
    typed = raw.select("*", *(F.col(name).try_cast(kind).alias(f"typed_{name}") for name, kind in kinds.items()))
    for name, kind in kinds.items():
        wrong = [row[0] for row in typed.where(F.col(f"typed_{name}").isNull()).select(name).limit(3).collect()]
        if wrong:
            kind_name = kind.simpleString()
            raise UserError(
                f"{name}s in {path}: {wrong} are not of type {kind_name}, as the dataset's are: correct or remove them"
            )
    distinct = typed.select(*(F.col(f"typed_{name}").alias(name) for name in kinds)).distinct()
    if distinct.isEmpty():
        log.warning("%s: there is no row, so that nothing is meant", path)
    return distinct


def _read(spark: SparkSession, path: str, column: str) -> DataFrame:
    """One column of raw values, from a file or table."""
    if not files.exists(path):
        raise UserError(f"{path}: no such file; give a list such as [1, 2], a text file with an id a line, a CSV or a table")
    table = _open(spark, path)
    if table is None:
        lines = io.reader(spark, path).text(files.absolute(path)).select(F.trim("value").alias(column))
        return lines.where(F.col(column) != "")
    return table.select(_id_column(table, column, path))


def _open(spark: SparkSession, path: str) -> DataFrame | None:
    """A CSV, a Parquet file or a table; None for any other file."""
    if path.endswith(".csv"):
        return io.reader(spark, path).csv(files.absolute(path), header=True)
    if files.names(path) not in ([], [path.rsplit("/", 1)[-1]]):
        return io.open_table(spark, path)
    return io.open_parquet(spark, path) if path.endswith(".parquet") else None


def _id_column(table: DataFrame, column: str, path: str) -> Column:
    """A column of ids; UserError if it is missing or of another type."""
    if column not in table.columns:
        raise UserError(f"{path} has no column {column}; it has {', '.join(table.columns)}")
    if not isinstance(table.schema[column].dataType, IntegralType | StringType):
        raise UserError(f"{path}: column {column} is {table.schema[column].dataType.simpleString()}, expected bigint or string")
    return F.col(column)
