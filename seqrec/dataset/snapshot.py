"""Checks that an input table is complete, and that it doesn't change while it is read twice."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from seqrec.dataset.spark_tables import SPARK_TABLES, open_spark_table
from seqrec.errors import UserError
from seqrec.storage import files
from seqrec.tables import io
from seqrec.tables.input_table import InputTable

WRITERS = ("_temporary", ".spark-staging-", "__magic_job-")  # folders of a Spark job that is writing, or was killed
UNFINISHED = r"(?i)(\.(tmp|temp|part|partial|crdownload|inprogress|filepart)|\._copying_)$"  # files that grow, by their names
STARTED, COMMITTED = "_started_", "_committed_"  # a writer's marks on Databricks: the first without the second is unfinished


class Snapshot(NamedTuple):
    """The files of an input: how many, their bytes, and a hash of their names, sizes and times of modification."""

    number: int
    size: int
    digest: int


NOTHING = Snapshot(0, 0, 0)


def take_snapshot(spark: SparkSession, table: InputTable) -> Snapshot:
    """Act: look at the files of a table, without reading them; NOTHING where it can't be looked at.

    Raises UserError if the name of a file, or a mark in the folder, says that the table is still being written.
    """
    path = table.path
    try:
        if table.format in SPARK_TABLES:
            locations = open_spark_table(spark, table).inputFiles() if table.format == "table" else []
            if not locations:
                return NOTHING  # Delta and Iceberg read one version of a table, whatever is written meanwhile
            reader = spark.read.option("__globPaths__", "false")
            binary = reader.format("binaryFile").load([unquote(location) for location in locations])
        else:
            binary = io.reader(spark, path).format("binaryFile").load(files.absolute(path))
        listed = binary.select("path", "length", "modificationTime")
        growing = F.min(F.when(F.col("path").rlike(UNFINISHED), F.col("path"))).alias("growing")
        digest = F.bit_xor(F.xxhash64("path", "length", "modificationTime"))
        numbers = (F.count(F.lit(1)), F.sum("length"), digest)
        *counts, growing_file = listed.agg(*(F.coalesce(number, F.lit(0)) for number in numbers), growing).collect()[0]
    except (PySparkException, Py4JJavaError):
        return NOTHING
    mark = None if table.format in SPARK_TABLES else _mark(files.names(path))
    if growing_file and not path.endswith(growing_file.rpartition("/")[2]):
        mark = growing_file
    if mark:
        raise UserError(
            f"{table.key}.path={path} is still being written ({mark} is there): wait until it is whole, or remove what a "
            "writer that was killed has left"
        )
    return Snapshot(*counts)


def require_whole(spark: SparkSession, table: InputTable) -> None:
    """Act: raise UserError, as `take_snapshot` does, if the table is still being written."""
    take_snapshot(spark, table)


@contextmanager
def unchanged(spark: SparkSession, table: InputTable, *, before: Snapshot) -> Iterator[None]:
    """Read the table once more in the `with` block; UserError at its end if the files aren't those of the snapshot.

    If Spark itself fails because a file was removed or replaced, its error becomes that UserError too.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError):
        _compare(spark, table, before=before)
        raise
    _compare(spark, table, before=before)


def changed_error(table: InputTable, change: str) -> UserError:
    """The error of a table that isn't what it was in the first of two passes."""
    where = f"{table.key}.path={table.place}"
    return UserError(f"{where} changed while it was read ({change}): let its writer finish, then run this job again")


def _mark(names: list[str]) -> str | None:
    """The name in a folder that says that the folder is being written. Spark itself leaves out files with some of these names."""
    committed = {name.removeprefix(COMMITTED) for name in names if name.startswith(COMMITTED)}
    begun = [name for name in names if name.startswith(STARTED) and name.removeprefix(STARTED) not in committed]
    return next((name for name in names if name.startswith(WRITERS) or re.search(UNFINISHED, name)), begun[0] if begun else None)


def _compare(spark: SparkSession, table: InputTable, *, before: Snapshot) -> None:
    """Raise UserError if the table's files aren't those of the snapshot."""
    after = take_snapshot(spark, table)
    if after != before:
        change = f"{before.number} files of {before.size:,} bytes were {after.number} of {after.size:,} at the end"
        same = (before.number, before.size) == (after.number, after.size)
        raise changed_error(table, "a file was written anew" if same else change) from None
