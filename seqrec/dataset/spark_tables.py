"""Tables that Spark itself knows how to read: by name in its catalogue, and folders of Delta and Iceberg.

A folder of Delta or Iceberg also has files of older versions of the table, so its files are never read by themselves.
"""

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from seqrec.errors import FileError, UserError
from seqrec.storage import files
from seqrec.tables.input_table import InputTable

SPARK_TABLES = ("table", "delta", "iceberg")  # formats
PACKAGES = {
    "delta": "io.delta:delta-spark_2.13, with spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension and "
    "spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "iceberg": "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13",
}


def table_format(path: str) -> str | None:
    """delta or iceberg for a folder of such a table, else None."""
    try:
        names = files.names(path)
        if "_delta_log" in names:
            return "delta"
        is_iceberg = "metadata" in names and any(
            name.endswith(".metadata.json") for name in files.names(files.join(path, "metadata"))
        )
    except FileError as error:
        raise UserError(f"{path} can't be read: {error.strerror or error}") from None
    return "iceberg" if is_iceberg else None


def open_spark_table(spark: SparkSession, table: InputTable) -> DataFrame:
    """A table of the catalogue, or a folder of Delta or Iceberg. UserError, with the remedy, if this Spark can't open it."""
    try:
        if table.format == "table":
            return spark.table(table.path)
        return spark.read.format(table.format).load(files.absolute(table.path))
    except (PySparkException, Py4JJavaError) as error:
        message = " ".join(str(error).split())
        if table.format == "table":
            names = ", ".join(found.name for found in spark.catalog.listTables()[:10]) or "none"
            raise UserError(
                f"{table.key}.table={table.path}: Spark knows no such table ({message[:200]}); "
                f"in {_database(spark)} it has {names}"
            ) from None
        if "DATA_SOURCE_NOT_FOUND" in message or "ClassNotFound" in message or "Failed to find the data source" in message:
            raise UserError(
                f"{table.key}.path={table.path} is a table of {table.format.capitalize()}, which this Spark lacks: add the "
                f"package {PACKAGES[table.format]} (spark-submit --packages), or give a copy of the table as Parquet"
            ) from None
        raise UserError(f"{table.key}.path={table.path} can't be read as {table.format}: {message[:400]}") from None


def _database(spark: SparkSession) -> str:
    """The database in which names without one are looked up."""
    return str(spark.catalog.currentDatabase())
