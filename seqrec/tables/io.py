"""Schema-checked reads and writes of Parquet tables."""

from collections.abc import Sequence

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, StructField, StructType

from seqrec.error_messages import explain
from seqrec.errors import UserError
from seqrec.storage import files, parts, versions


def write_table(table: DataFrame, path: str, schema: StructType) -> None:
    """Write a table as Parquet with exactly the schema's columns, in its order.

    Other columns are left out. If the path is in a version, the version is claimed first. Raises UserError if a column is missing
    or has another type.
    """
    _check(table.schema, schema, path)
    versions.claim(path.rsplit("/", 1)[0])
    table.select(*schema.fieldNames()).write.mode("overwrite").parquet(files.absolute(path))


def read_table(spark: SparkSession, path: str, schema: StructType) -> DataFrame:
    """Read a table that a finished job wrote; UserError if it is absent, unfinished or of another schema.

    What the schema doesn't name is not read: neither other columns nor, in an array of structs, other fields of its elements.
    """
    table = open_table(spark, path)
    narrowed = _narrowed(table.schema, schema)
    _check(narrowed, schema, path)
    if narrowed != table.schema:
        table = reader(spark, path).schema(narrowed).parquet(files.absolute(path))
    return table.select(*schema.fieldNames())


def open_table(spark: SparkSession, path: str) -> DataFrame:
    """Read a Parquet table of any schema; UserError if it is absent or unfinished, or its files aren't those that were written.

    A table outside of versions, such as another program's, needs no _SUCCESS.
    """
    versions.table_files(path)
    return open_parquet(spark, path)


def open_parquet(spark: SparkSession, path: str) -> DataFrame:
    """A Parquet file or folder, whoever wrote it; UserError if Spark can't read it."""
    try:
        return read_parquet(spark, path)
    except (PySparkException, Py4JJavaError) as error:
        raise UserError(f"{path} can't be read as Parquet: {explain(error)}") from None


def read_parquet(spark: SparkSession, path: str) -> DataFrame:
    """A Parquet file or folder, whoever wrote it; errors are Spark's."""
    return reader(spark, path).parquet(files.absolute(path))


def reader(spark: SparkSession, path: str) -> DataFrameReader:
    """A reader for the path: a path that exists is read literally, any other may be a pattern such as `2024-*.csv`.

    By itself Spark would take `*?[]{}` and backslashes in an existing path for a pattern too, and read all that matches. Raises
    UserError for a file whose name makes Spark skip it silently, or that Hadoop can't open.
    """
    is_there, name = files.exists(path), path.rstrip("/").rsplit("/", 1)[-1]
    if is_there and name.startswith((".", "_")) and not files.names(path):
        raise UserError(f"{path}: Spark doesn't read files whose names begin with a point or an underscore: rename it")
    if is_there and ":" in name and not files.names(path):
        raise UserError(f"{path}: Hadoop doesn't read files whose names have a colon: rename it")
    return spark.read.option("__globPaths__", "false" if is_there else "true")


def few_rows(spark: SparkSession, rows: Sequence[tuple[int, int]], key: str, value: str) -> DataFrame:
    """A table of two bigint columns, to be broadcast. Stored in the query plan: building it starts no Spark job."""
    columns = {name: pa.array([row[place] for row in rows], pa.int64()) for place, name in enumerate((key, value))}
    return F.broadcast(spark.createDataFrame(pa.table(columns)))


def column(name: str) -> Column:
    """A column by its name, whatever characters are in it."""
    return F.col("`" + name.replace("`", "``") + "`")


def assert_unique(table: DataFrame, *, key: str, path: str) -> None:
    """Act: raise UserError, with a count and examples, if values of the key repeat."""
    repeated = table.groupBy(column(key).alias("key")).agg(F.count("*").alias("rows")).where("rows > 1")
    examples = [row["key"] for row in repeated.limit(3).collect()]
    if examples:
        raise UserError(f"{path}: {repeated.count()} values of {key} repeat, e.g. {examples}: keep one row a {key}")


def _narrowed(actual: StructType, wanted: StructType) -> StructType:
    """The columns of a table, with arrays of structs that have only those fields, in their order, which a schema names."""
    kinds = {field.name: field.dataType for field in wanted}
    return StructType(
        [StructField(field.name, _common(field.dataType, kinds.get(field.name)), field.nullable) for field in actual]
    )


def _common(actual: DataType, wanted: DataType | None) -> DataType:
    """The type of an array of structs with those fields alone that the wanted type has too; another type as it is."""
    arrays = (kind for kind in (actual, wanted) if isinstance(kind, ArrayType))
    structs = [array.elementType for array in arrays if isinstance(array.elementType, StructType)]
    if len(structs) < 2:
        return actual
    there, named = structs
    kept = [there[name] for name in named.fieldNames() if name in there.fieldNames()]
    return actual if kept == there.fields else ArrayType(StructType(kept))


def _check(actual: StructType, wanted: StructType, path: str) -> None:
    """Raise UserError unless a table has the columns of a schema, with their types."""
    for field in wanted:
        if field.name not in actual.fieldNames():
            there = ", ".join(actual.fieldNames())
            again = parts.job_of(path.rsplit("/", 1)[-1])
            raise UserError(f"{path} has no column {field.name}; it has {there}: if an older version wrote it, {again} again")
        kind = actual[field.name].dataType.simpleString()  # without nullability, which Parquet doesn't keep
        if kind != field.dataType.simpleString():
            raise UserError(f"{path}: column {field.name} is {kind}, expected {field.dataType.simpleString()}")
