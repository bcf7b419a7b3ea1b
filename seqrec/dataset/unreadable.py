"""Spark's errors about a table that it can't read, as one line."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from seqrec.errors import UserError
from seqrec.tables.input_table import InputTable

SPARK_ERRORS = (PySparkException, Py4JJavaError)
READ_FAILURE = re.compile(r"\[((?:FAILED_READ_FILE|INVALID_PARAMETER_VALUE)[.\w]*)\] (.*?)\s*(?:SQLSTATE.*)?$", re.MULTILINE)
OTHER_TYPE = re.compile(r"PARQUET_COLUMN_DATA_TYPE_MISMATCH|Data type mismatches when reading Parquet column")
LONGEST = 400  # characters of what Spark says


@contextmanager
def reading(table: InputTable) -> Iterator[None]:
    """In the `with` block, Spark's errors about a file of the table become a UserError, see `unreadable`; other errors pass."""
    try:
        yield
    except SPARK_ERRORS as error:
        if not READ_FAILURE.search(str(error)):
            raise
        raise unreadable(error, table) from None


def unreadable(error: Exception, table: InputTable) -> UserError:
    """The error for a table that can't be read: which file, why, and the settings that say what it is."""
    text, key = str(error), table.key
    failure = READ_FAILURE.search(text)
    lines = [line.removeprefix(": ") for line in text.splitlines() if line.strip() and not line.startswith("An error occurred")]
    first = failure[2] if failure else lines[0]
    causes = [line.partition("Caused by: ")[2] for line in lines if line.strip().startswith("Caused by: ")]
    message = " ".join(" ".join([first, *causes[-1:]]).split())[:LONGEST]
    remedy = f"{key}.format is csv, parquet or json; mend or remove a broken file"
    if OTHER_TYPE.search(text):
        remedy = "another file has this column in another type: write all of them with one type"
    return UserError(f"{key}.path={table.place} can't be read as {table.format} ({message}): {remedy}")
